// A race for one name, again and again. The 1,000 rounds are run by full.test.ts.

import { describe, expect, test } from "vitest";
import { natsMissing } from "../support/nats-server.ts";
import { contest } from "./contest.ts";

const missing = natsMissing();
const ROUNDS = 100;

describe.skipIf(missing !== undefined)(`a race for one name (${missing ?? "there"})`, { timeout: 120_000 }, () => {
  test(`${ROUNDS} rounds of 50 contenders: one winner each, tokens rise`, async () => {
    const report = await contest(ROUNDS);
    console.log("contest:", report);
    expect(report.rounds).toBe(ROUNDS);
  });
});
