// What a probe of a server means, by table; and that one fault is told once.

import fc from "fast-check";
import { describe, expect, it, test } from "vitest";
import { clockVerdict, FLEET_CHECKS, type FleetCheck, fleetVerdict, offText } from "../../../nodes/doctor/fleet.ts";
import { type FleetProbe, FlotillaError, type NodeClock } from "../../../runtime/index.ts";

const SOUND: FleetProbe = {
  server: { name: "s", address: "10.0.0.1:4222", version: "2.15.2", apiLevel: 4, payloadMaxBytes: 1_048_576 },
  roundTripMs: 0.31,
  missing: [],
  aheadMs: 12,
  refused: [],
  nodes: [],
};
const found = (change: Partial<FleetProbe>) => ({ kind: "found", probe: { ...SOUND, ...change } }) as const;
const node = (aheadMs: number, isExact: boolean): NodeClock => ({ name: "north", aheadMs, isExact });

test.for<[string, FleetCheck, Partial<FleetProbe>, string, RegExp]>([
  ["a server", "server", {}, "ok", /^2\.15\.2 at 10\.0\.0\.1:4222$/],
  ["a size", "payload", {}, "ok", /1024 KiB/],
  ["a quick way", "roundTrip", {}, "ok", /^0\.31 ms$/],
  ["a slow way", "roundTrip", { roundTripMs: 180 }, "warn", /^180 ms: each call/],
  ["streams", "streams", {}, "ok", /all there/],
  ["no streams", "streams", { missing: ["a", "b", "c", "d", "e"] }, "warn", /none is there yet/],
  ["a stream too few", "streams", { missing: ["x_queue"] }, "warn", /missing: x_queue/],
  ["streams out of sight", "streams", { missing: undefined }, "skipped", /may not see/],
  ["nodes out of sight", "nodeClocks", { nodes: undefined }, "skipped", /no stream/],
  ["rights", "rights", {}, "ok", /can do/],
  ["no rights", "rights", { refused: ["send frames: no"] }, "fail", /send frames: no/],
  ["no time", "clock", { aheadMs: undefined }, "skipped", /no stream/],
  ["a good clock", "clock", { aheadMs: -999 }, "ok", /equal to 999 ms/],
  ["a doubtful clock", "clock", { aheadMs: -1_000 }, "warn", /this one is 1\.0 s behind/],
  ["a wrong clock", "clock", { aheadMs: 5_000 }, "fail", /this one is 5\.0 s ahead/],
  ["no nodes", "nodeClocks", {}, "skipped", /no nodes/],
  ["a node", "nodeClocks", { nodes: [node(-20, true)] }, "ok", /of 1 node none is off by a second$/],
  [
    "a node that is silent",
    "nodeClocks",
    { nodes: [node(-9e6, false)] },
    "ok",
    /1 of them told nothing new, and may be behind/,
  ],
  ["a node ahead", "nodeClocks", { nodes: [node(3_600_000, false)] }, "fail", /north is at least 60\.0 min ahead/],
  ["a node behind", "nodeClocks", { nodes: [node(-2_000, true)] }, "warn", /north is 2\.0 s behind/],
])("%s", ([, id, change, status, says]) => {
  const verdict = fleetVerdict(id, found(change));
  expect(verdict).toMatchObject({ status, found: expect.stringMatching(says) });
  if (status === "warn" || status === "fail") expect(verdict.remedy).toMatch(/\.$/);
});

describe("a server that could not be asked", () => {
  test.for<[string, FleetCheck]>([
    ["ServerUnreachable", "server"],
    ["ServerNotNats", "server"],
    ["ServerTooOld", "server"],
    ["ServerPayloadSmall", "payload"],
    ["ServerWithoutJetStream", "jetstream"],
    ["ServerRefused", "rights"],
    ["InvalidOption", "server"],
    ["SomethingElse", "server"],
  ])("for %s fails in %s alone", ([code, culprit]) => {
    const error = new FlotillaError(code, `it is ${code}`);
    const verdicts = FLEET_CHECKS.map(({ id }) => ({ id, ...fleetVerdict(id, { kind: "failed", error }) }));
    const failed = verdicts.filter(({ status }) => status === "fail");
    expect(failed).toEqual([
      { id: culprit, status: "fail", found: `it is ${code}`, remedy: expect.stringMatching(/\.$/) },
    ]);
    expect(
      verdicts.filter(({ id }) => id !== culprit && id !== "server").every(({ status }) => status === "skipped"),
    ).toBe(true);
  });
});

it("the larger a clock is off, the worse, whichever way", () => {
  const rank = { ok: 0, skipped: 0, warn: 1, fail: 2 };
  fc.assert(
    fc.property(fc.double({ min: 0, max: 1e9, noNaN: true }), fc.double({ min: 0, max: 1e9, noNaN: true }), (a, b) => {
      const [less, more] = a < b ? [a, b] : [b, a];
      expect(rank[clockVerdict(less).status]).toBeLessThanOrEqual(rank[clockVerdict(more).status]);
      expect(clockVerdict(-a).status).toBe(clockVerdict(a).status);
      expect(offText(a)).toMatch(/^(equal to \d+ ms|\d+\.\d (s|min|h) ahead)$/);
    }),
  );
});
