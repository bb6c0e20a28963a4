// How a row is measured: whose turn it is, what is thrown away, what a ratio is of, and what a failure costs.

import { afterEach, beforeEach, describe, expect, test, vi } from "vitest";
import { type Missing, measure, type Peers, ratios } from "../../bench/measurement.ts";
import type { Sample } from "../../bench/sample.ts";
import {
  NotMeasured,
  type Peer,
  type PeerName,
  type Running,
  type Scenario,
  type Setting,
} from "../../bench/scenario.ts";

const SETTING: Setting = { quick: true, roundMs: 1, servers: async () => "nats://nowhere" };
const COUNT = { warmUps: 1, rounds: 3 };

let turns: string[];
beforeEach(() => {
  turns = [];
});

/** Gives one sample after another; an error among them is thrown. */
function running(name: string, samples: readonly (Sample | Error)[]): Running {
  const left = [...samples];
  return {
    async round() {
      turns.push(name);
      const next = left.shift();
      if (next === undefined || next instanceof Error) throw next ?? new Error("no sample left");
      return next;
    },
    stop: async () => void turns.push(`${name} stops`),
  };
}

const values = (...figures: number[]): Sample[] => figures.map((value) => ({ value }));
const scenario = (start: () => Running): Scenario => ({
  id: "row",
  unit: "calls/s",
  bars: [{ of: "ray", atLeast: 2 }],
  start: async () => start(),
});
const peer = (name: string, samples: readonly (Sample | Error)[], rows = ["row"]): Peer => ({
  rows,
  versions: {},
  running: () => running(name, samples),
});

test("contenders take turns; the warm-up is thrown away; ratios are of one turn", async () => {
  const own = scenario(() => running("own", values(1, 20, 40, 60)));
  const peers = new Map([["ray", peer("ray", values(999, 10, 10, 20))]] as const);
  const row = await measure(own, SETTING, peers, COUNT);
  expect(turns).toEqual([...Array(4).fill(["ray", "own"]).flat(), "ray stops", "own stops"]);
  expect(row.own).toEqual({ value: 40, low: 20, high: 60 });
  expect(row.peers.ray).toEqual({ value: 10, low: 10, high: 20, ratio: { value: 3, low: 2, high: 4 } });
});

test("latencies are medians over the rounds", async () => {
  const samples = [50, 80, 70, 90].map((us) => ({ value: 1, p50Us: us, p99Us: 10 * us }));
  const row = await measure(
    scenario(() => running("own", samples)),
    SETTING,
    new Map(),
    COUNT,
  );
  expect(row.own).toMatchObject({ p50Us: 80, p99Us: 800 });
});

test("a peer without the row has no line; one that could not start says why where a bar names it", async () => {
  const own = scenario(() => running("own", values(1, 2, 2, 2)));
  const absent = { notMeasured: "could not be installed: no network" };
  const peers: Peers = new Map<PeerName, Peer | Missing>([
    ["nats", peer("nats", [], ["another"])],
    ["moleculer", absent],
    ["ray", absent],
  ]);
  expect((await measure(own, SETTING, peers, COUNT)).peers).toEqual({ ray: absent });
});

describe("what fails", () => {
  beforeEach(() => void vi.spyOn(console, "error").mockImplementation(() => {}));
  afterEach(() => void vi.restoreAllMocks());

  test("costs a peer its own figure, and takes no more turns", async () => {
    const own = scenario(() => running("own", values(1, 2, 4, 6)));
    const peers = new Map([["ray", peer("ray", [...values(1, 2), new NotMeasured("out of memory")])]] as const);
    const row = await measure(own, SETTING, peers, COUNT);
    expect(row.own).toEqual({ value: 4, low: 2, high: 6 });
    expect(row.peers.ray).toEqual({ notMeasured: "out of memory" });
    expect(turns.filter((turn) => turn === "ray")).toHaveLength(3);
  });

  test("leaves the peers' figures, without a ratio, when it is ours", async () => {
    const own = scenario(() => {
      throw new NotMeasured("comes with tasks");
    });
    const row = await measure(own, SETTING, new Map([["ray", peer("ray", values(1, 2, 3, 4))]] as const), COUNT);
    expect(row.own).toEqual({ notMeasured: "comes with tasks" });
    expect(row.peers.ray).toEqual({ value: 3, low: 2, high: 4 });
    expect(console.error).not.toHaveBeenCalled();
  });

  test("unexpectedly is told apart from what cannot be measured, and shown", async () => {
    const own = scenario(() => running("own", [new Error("broken")]));
    const row = await measure(own, SETTING, new Map(), COUNT);
    expect(row.own).toEqual({ notMeasured: "failed: broken", failed: true });
    expect(console.error).toHaveBeenCalled();
    expect(turns).toContain("own stops");
  });
});

test.each([
  [[4, 9], [2, 3], { value: 2.5, low: 2, high: 3 }],
  [[1], [4], { value: 0.25, low: 0.25, high: 0.25 }],
])("the ratios of %j to %j", (own, other, summary) => {
  expect(ratios(values(...own), values(...other))).toEqual(summary);
});

test("a ratio to a round that is missing is refused", () => {
  expect(() => ratios(values(1, 2), values(1))).toThrow(RangeError);
});
