// What follows a failure, by table.

import { describe, expect, test } from "vitest";
import { decide, type RestartPolicy, withinWindow } from "../../../runtime/cell/supervisor.ts";

const policy = (maxRestarts: number, withinMs = 1_000, firstMs = 100, factor = 2, maxMs = 500): RestartPolicy => ({
  maxRestarts,
  withinMs,
  backoff: { firstMs, factor, maxMs },
});

const restart = (afterMs: number) => ({ kind: "restart", afterMs });
const [stop, escalate] = [{ kind: "stop" }, { kind: "escalate" }];

describe("decide", () => {
  test.each([
    ["no restarts allowed", [], policy(0), false, 0, stop],
    ["no restarts allowed, with a parent", [], policy(0), true, 0, escalate],
    ["the first", [], policy(3), false, 10_000, restart(100)],
    ["the second", [9_900], policy(3), false, 10_000, restart(200)],
    ["the third", [9_500, 9_900], policy(3), false, 10_000, restart(400)],
    ["one too many", [9_500, 9_700, 9_900], policy(3), false, 10_000, stop],
    ["one too many, with a parent", [9_500, 9_700, 9_900], policy(3), true, 10_000, escalate],
    ["an old one no longer counts (S1)", [8_000, 9_700, 9_900], policy(3), false, 10_000, restart(400)],
    ["one exactly as old as the window no longer counts", [9_000], policy(1), false, 10_000, restart(100)],
    ["one a millisecond younger does", [9_001], policy(1), false, 10_000, stop],
    ["the wait has a bound (S2)", [1, 2, 3, 4, 5], policy(10), false, 6, restart(500)],
    ["no wait stays none, however often", Array(2_000).fill(5), policy(9_999, 1_000, 0), false, 6, restart(0)],
    [
      "a huge factor stays within the bound",
      Array(2_000).fill(5),
      policy(9_999, 1_000, 1, 1e6),
      false,
      6,
      restart(500),
    ],
  ] as const)("%s", (_, restarts, given, toParent, nowMs, expected) => {
    expect(decide([...restarts], given, toParent, nowMs)).toEqual(expected);
  });
});

test("withinWindow keeps what counts, in order, and leaves its input alone", () => {
  const given = Object.freeze([1, 500, 900]);
  expect(withinWindow(given, policy(3), 1_200)).toEqual([500, 900]);
});
