// The door of the simulator.

export type { EngineState as VllmSimState } from "./engine.ts";
export { type SimRule, simApiKey, type VllmSimOptions } from "./options.ts";
export { startVllmSim, type VllmSim } from "./vllm-sim.ts";
