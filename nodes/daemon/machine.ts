// What a daemon finds on its machine before it joins anything: its GPUs, what it has to grant in all, and whether it may limit memory.

import type { Amounts, Clock } from "../../runtime/index.ts";
import { discoverGpus, type GpuDiscovery } from "../gpu/discovery.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { parseGpuOverride } from "../gpu/override.ts";
import { type RunTool, toolRunner } from "../gpu/tool-run.ts";
import { deviceMasks } from "../options.ts";
import { discoverAmounts } from "../resources/machine.ts";

export interface Machine {
  readonly discovery: Exclude<GpuDiscovery, { kind: "contradicted" }>;
  readonly gpus: readonly Gpu[];
  /** What it has to grant, in all. */
  readonly amounts: Amounts;
}

export interface MachineOptions {
  readonly clock: Clock;
  /** The operator's word about GPUs (gpu/override.ts). */
  readonly gpus?: string;
  /** In place of what was found, or beside it, by name. */
  readonly resources?: Amounts;
  /** How the tools that know of GPUs are run. Default: as they are. */
  readonly run?: RunTool;
}

/** Looks at this machine. Throws GpuOverrideInvalid, GpuOverrideContradicted. */
export async function lookAtMachine(options: MachineOptions): Promise<Machine> {
  const { clock, gpus: override, resources = {}, run = toolRunner({ clock }) } = options;
  const discovery = await discoverGpus({
    run,
    masks: deviceMasks(),
    ...(override !== undefined && { override: parseGpuOverride(override) }),
  });
  if (discovery.kind === "contradicted") throw discovery.error;
  const gpus = discovery.kind === "found" ? discovery.gpus : [];
  const found = { ...discoverAmounts(), ...(gpus.length > 0 && { gpus: gpus.length }) };
  return { discovery, gpus, amounts: { ...found, ...resources } };
}
