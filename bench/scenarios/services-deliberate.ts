// What a way of asking adds to a deliberation: the call's time here less what the council says that it took. Three mocks in a council of one
// round, in the services' process; by the RPC door, and as a call of the actor.
//
// DC1  The council's time is in whole milliseconds of a clock, so a difference is off by up to one; medians of many are not.

import { readFile } from "node:fs/promises";
import { orchestratorOf } from "../../actors/index.ts";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { openGrpc } from "../grpc-call.ts";
import type { Scenario } from "../scenario.ts";
import { type BenchServices, startServices } from "../services.ts";
import { percentile } from "../stats.ts";

const CALLS = { full: 100, quick: 20 } as const;
const US_IN_MS = 1_000;
const TASK = "Write a function that says hello, with a test.";
const MEMBERS = 3;
const DELIBERATE = "fleet.orchestrator.v1.OrchestratorService/Deliberate";

/** Resolves to the milliseconds that the council took. */
type Ask = () => Promise<number>;

const deliberate = (
  id: string,
  atMostMs: number | undefined,
  asking: (services: BenchServices) => Promise<{ readonly ask: Ask; readonly close: () => void }>,
): Scenario => ({
  id,
  unit: "ms",
  bars: atMostMs === undefined ? [] : [{ of: "value", atMost: atMostMs }],
  async start({ quick, servers }) {
    const flags = ["--only", "orchestrator,planning", "--rpc", "127.0.0.1:0"];
    const services = await startServices(await servers(), { flags });
    await orchestratorOf(services.system).createCouncil({ role: "DEV", agents: MEMBERS });
    const { ask, close } = await asking(services);
    return {
      async round() {
        const addedMs: number[] = [];
        for (let count = 0; count < (quick ? CALLS.quick : CALLS.full); count++) {
          const startMs = systemClock.monotonic();
          const councilMs = await ask();
          addedMs.push(systemClock.monotonic() - startMs - councilMs);
        }
        const sorted = addedMs.sort((one, other) => one - other);
        return { value: percentile(sorted, 0.5), p99Us: percentile(sorted, 0.99) * US_IN_MS };
      },
      async stop() {
        close();
        await services[Symbol.asyncDispose]();
      },
    };
  },
});

export const deliberateGrpc = deliberate("services.deliberate.grpc", 2, async ({ rpc }) => {
  const connection = openGrpc(rpc.url, (await readFile(rpc.tokenFile, "utf8")).trim());
  const ask = async () => {
    const request = { taskId: systemRandom.id(), taskDescription: TASK, role: "DEV" };
    return Number((await connection.call(DELIBERATE, request)).durationMs ?? 0);
  };
  return { ask, close: () => connection.close() };
});

/** The same of an actor's call over NATS. */
export const deliberateCall = deliberate("services.deliberate.call", undefined, async ({ system }) => {
  const orchestrator = orchestratorOf(system);
  const ask = async () =>
    (await orchestrator.deliberate({ taskId: systemRandom.id(), task: TASK, role: "DEV" })).durationMs;
  return { ask, close: () => {} };
});
