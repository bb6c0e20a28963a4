// Finds this machine's GPUs: the first vendor's tool that sees some, under the environment's masks and the operator's word.
//
//     nvidia-smi ─▶ amd-smi ─▶ rocm-smi        the first that finds some; else the first that failed; else none, and why not
//
// GD1  It never throws: no GPU, a broken driver and an operator who is mistaken are answers.
// GD2  One vendor: where both are plugged in, NVIDIA's are used.

import type { FlotillaError } from "../../runtime/index.ts";
import { amdSmi } from "./amd-smi.ts";
import { gpuFaults } from "./faults.ts";
import type { Gpu, GpuVendor } from "./gpu.ts";
import { nvidiaSmi } from "./nvidia-smi.ts";
import { contradicted, type DeviceMasks, declaredGpus, type GpuOverride, narrowed, visible } from "./override.ts";
import { rocmSmi } from "./rocm-smi.ts";
import type { GpuTool, ToolAnswer } from "./tool.ts";
import type { RunTool } from "./tool-run.ts";

export interface FoundGpus {
  readonly kind: "found";
  readonly vendor: GpuVendor;
  /** At least one. */
  readonly gpus: readonly Gpu[];
  /** The driver's version, "unknown" where the tool does not say it. */
  readonly driver: string;
  /** Who says so: "nvidia-smi", or "the operator" (nobody can be asked again). */
  readonly tool: string;
  /** What went wrong besides, in words: a device that does not answer. */
  readonly problems: readonly string[];
}

export type GpuDiscovery =
  | FoundGpus
  | { readonly kind: "none"; readonly why: string }
  | { readonly kind: "failed"; readonly tool: string; readonly why: string }
  /** GpuOverrideContradicted, for whoever starts the daemon to throw. */
  | { readonly kind: "contradicted"; readonly error: FlotillaError };

export interface DiscoveryOptions {
  readonly run: RunTool;
  readonly override?: GpuOverride;
  readonly masks?: DeviceMasks;
}

export const DECLARED = "the operator";
const TOOLS: readonly GpuTool[] = [nvidiaSmi, amdSmi, rocmSmi];

/** The tool that found these GPUs; undefined for declared ones. */
export const toolOf = ({ tool }: FoundGpus): GpuTool | undefined => TOOLS.find(({ program }) => program === tool);

/** This machine's GPUs. Never rejects (GD1). */
export async function discoverGpus({ run, override, masks = {} }: DiscoveryOptions): Promise<GpuDiscovery> {
  if (override?.kind === "none") return { kind: "none", why: "the operator says that there are none" };
  const asked: Asked[] = [];
  for (const tool of TOOLS) {
    const answer = await tool.discover(run);
    if (answer.kind === "found" && answer.gpus.length > 0) {
      const troubles = asked.flatMap((other) => (other.answer.kind === "failed" ? [other.answer.why] : []));
      return found(tool, { ...answer, problems: [...troubles, ...answer.problems] }, override, masks);
    }
    asked.push({ tool, answer });
  }
  return nothing(asked, override);
}

interface Asked {
  readonly tool: GpuTool;
  readonly answer: ToolAnswer;
}

function found(
  { program, vendor }: GpuTool,
  { gpus, driver, problems }: Extract<ToolAnswer, { kind: "found" }>,
  override: GpuOverride | undefined,
  masks: DeviceMasks,
): GpuDiscovery {
  const seen = visible(gpus, vendor, masks);
  const kept = override === undefined ? undefined : narrowed(override, { program, gpus: seen, inAll: gpus.length });
  if (kept?.kind === "contradicted") return kept;
  const meant = kept?.gpus ?? seen;
  if (meant.length === 0) {
    return { kind: "none", why: `${program} shows ${gpus.length}, all hidden from this process by its environment` };
  }
  const judged = meant.map((gpu) => ({ ...gpu, faults: gpuFaults(gpu) }));
  return { kind: "found", vendor, gpus: judged, driver, tool: program, problems };
}

function nothing(asked: readonly Asked[], override: GpuOverride | undefined): GpuDiscovery {
  if (override?.kind === "declared") {
    const { vendor } = override;
    return { kind: "found", vendor, gpus: declaredGpus(override), driver: "unknown", tool: DECLARED, problems: [] };
  }
  const why = asked.map(({ tool, answer }) => whyNot(tool, answer)).join("; ");
  if (override !== undefined) {
    const said = override.kind === "count" ? `${override.count} GPUs` : "which GPUs";
    return contradicted(`the operator says ${said}, but none can be found: ${why}`);
  }
  const failed = asked.find(({ answer }) => answer.kind === "failed");
  if (failed === undefined) return { kind: "none", why };
  return { kind: "failed", tool: failed.tool.program, why: whyNot(failed.tool, failed.answer) };
}

const whyNot = ({ program }: GpuTool, answer: ToolAnswer): string =>
  answer.kind === "found" ? `${program} shows no usable device: ${answer.problems.join("; ")}` : answer.why;
