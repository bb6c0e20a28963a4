// Calls to an actor in another process over NATS: one at a time, with many outstanding, with payloads, and from many callers.

import { randomBytes } from "node:crypto";
import { availableParallelism } from "node:os";
import type { Handle } from "../../runtime/index.ts";
import { startFleet } from "../fleet.ts";
import { drive, driveTimed, repeat } from "../load.ts";
import type { Sample } from "../sample.ts";
import type { Bar, Scenario } from "../scenario.ts";
import { Caller, Counter } from "./actors.ts";

const OUTSTANDING = 1_000;
const OUTSTANDING_LARGE = 100;
const CALLERS = 4;
const CALLS_EACH = { full: 5_000, quick: 1_000 } as const;

type Drive = (counter: Handle<typeof Counter>, ms: number) => Promise<Sample>;

const scenario = (id: string, bars: readonly Bar[], drive: Drive): Scenario => ({
  id,
  unit: "calls/s",
  bars,
  async start({ roundMs, servers }) {
    const fleet = await startFleet(await servers());
    const counter = await fleet.system.spawn(Counter, { node: fleet.nodes[0] });
    return { round: () => drive(counter, roundMs), stop: () => fleet.close() };
  },
});

export const remoteSequential = scenario(
  "remote.call.sequential",
  [
    { of: "ray", atLeast: 4 },
    { of: "nats", atLeast: 1.2 },
    { of: "p50Us", atMost: 100 },
    { of: "p99Us", atMost: 400 },
  ],
  (counter, ms) => driveTimed(1, ms, () => counter.add({ by: 1 })),
);

export const remotePipelined = scenario(
  "remote.call.pipelined",
  [
    { of: "ray", atLeast: 100 },
    { of: "moleculer", atLeast: 10 },
  ],
  (counter, ms) => drive(OUTSTANDING, ms, () => counter.add({ by: 1 })),
);

const echo = (bytes: number, outstanding: number): Drive => {
  const payload = new Uint8Array(randomBytes(bytes));
  return (counter, ms) => drive(outstanding, ms, () => counter.echo(payload));
};

export const remoteEchoSmall = scenario("remote.echo.1k", [{ of: "ray", atLeast: 15 }], echo(1_000, OUTSTANDING));

export const remoteEchoLarge = scenario(
  "remote.echo.100k",
  [
    { of: "ray", atLeast: 1 },
    { of: "nats", atLeast: 0.9 },
  ],
  echo(100_000, OUTSTANDING_LARGE),
);

/** Ray's shape: 4 callers, each a process of its own, send 5,000 calls each, all at once, over cores/2 actors in one more process. */
export const remoteMany: Scenario = {
  id: "remote.call.nn",
  unit: "calls/s",
  bars: [{ of: "ray", atLeast: 30 }],
  async start({ quick, roundMs, servers }) {
    const calls = quick ? CALLS_EACH.quick : CALLS_EACH.full;
    const fleet = await startFleet(await servers(), 1 + CALLERS);
    const [host, ...others] = fleet.nodes;
    // Twice what can be outstanding: a full mailbox is another row's business.
    const options = { node: host, mailboxMax: 2 * CALLERS * calls };
    const spawnCounter = () => fleet.system.spawn(Counter, options);
    const counters = await Promise.all(Array.from({ length: Math.max(1, availableParallelism() >> 1) }, spawnCounter));
    const callers = await Promise.all(others.map((node) => fleet.system.spawn(Caller, { node })));
    const work = async () => {
      await Promise.all(callers.map((caller) => caller.work(counters, calls)));
      return CALLERS * calls;
    };
    return { round: () => repeat(roundMs, work), stop: () => fleet.close() };
  },
};
