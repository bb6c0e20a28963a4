// A server that behaves to a client as vLLM 0.32 does, without a model: for tests, and for users without GPUs. docs/vllm-sim.md says how far.
// What it is made of is in simulation.ts and loaded when one is started: a daemon that starts none does not hold it in memory.

import type { EngineState } from "./engine.ts";
import type { VllmSimOptions } from "./options.ts";

export interface VllmSim extends AsyncDisposable {
  /** `http://127.0.0.1:port`, without /v1. */
  readonly url: string;
  readonly port: number;
  /** `tcp://127.0.0.1:port` of the PUB socket; undefined without KV events. */
  readonly kvEndpoint: string | undefined;
  /** Of the ROUTER socket that replays. */
  readonly replayEndpoint: string | undefined;
  /** What it is doing now. */
  readonly state: EngineState;
  /** Resolves when nothing listens any more: "stopped" by `stop`, or "died" with its engine. */
  readonly ended: Promise<"stopped" | "died">;
  /** The engine dies: requests under way fail, health is 503, and the server ends unless it is kept alive. */
  die(): void;
  /** The engine hangs: health is 200, requests wait. */
  hang(): void;
  /** Goes on after `hang`; after `die` as a new engine, if it was kept alive. */
  heal(): void;
  /** Ends all connections at once. May be called twice. */
  stop(): Promise<void>;
}

/** Starts one; resolves when it listens. Throws SimOptionInvalid, SimPortTaken. */
export async function startVllmSim(options: VllmSimOptions): Promise<VllmSim> {
  const { startSimulation } = await import("./simulation.ts");
  return startSimulation(options);
}
