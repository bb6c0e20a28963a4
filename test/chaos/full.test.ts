// The counts that the issue asks for: `npm run test:chaos` runs them, the suite does not.

import { describe, expect, test } from "vitest";
import { natsMissing } from "../support/nats-server.ts";
import { contest } from "./contest.ts";
import { taskStorm } from "./task-storm.ts";

const missing = natsMissing();

describe.skipIf(missing !== undefined)(`full counts (${missing ?? "there"})`, { timeout: 600_000 }, () => {
  test("10,000 tasks, a node killed five times", async () => {
    const report = await taskStorm(10_000, [0.1, 0.25, 0.4, 0.55, 0.7]);
    console.log("tasks:", report);
    expect(report.repeated).toBeGreaterThan(0);
  });

  test("1,000 rounds of 50 contenders for one name", async () => {
    const report = await contest(1_000);
    console.log("contest:", report);
    expect(report.rounds).toBe(1_000);
  });
});
