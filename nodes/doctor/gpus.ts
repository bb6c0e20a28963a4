// The check of GPUs: what a daemon on this machine would find, judged.

import { join } from "node:path";
import type { GpuDiscovery } from "../gpu/discovery.ts";
import type { Gpu } from "../gpu/gpu.ts";
import { bad, ok, type Verdict, warn } from "./check.ts";
import { sizeText } from "./machine.ts";
import { isThere } from "./programs.ts";

/** What a driver leaves in /dev, and the tool that tells of it. */
const DEVICES = [
  { device: "dev/nvidiactl", kind: "NVIDIA", tool: "nvidia-smi" },
  { device: "dev/kfd", kind: "AMD", tool: "amd-smi" },
] as const;

const LOOK = "dmesg tells more. Faulty devices are given to nobody: drain the machine, then reset or exchange them.";

/** `root`: where the machine's files are, for tests. */
export async function gpusVerdict(discovery: GpuDiscovery, root = "/"): Promise<Verdict> {
  switch (discovery.kind) {
    case "found":
      return foundVerdict(discovery);
    case "failed":
      return bad(
        discovery.why,
        "Install or load the driver that fits the tool; dmesg says why a driver did not start.",
      );
    case "contradicted":
      return bad(discovery.error.message, "Correct the operator's word about GPUs.");
    case "none":
      return noneVerdict(discovery.why, root);
  }
}

function foundVerdict({ gpus, driver, tool, problems }: Extract<GpuDiscovery, { kind: "found" }>): Verdict {
  const found = `${kindsOf(gpus)}; driver ${driver}, by ${tool}`;
  const troubles = [...gpus.flatMap(({ faults }) => faults.map(({ message }) => message)), ...problems];
  if (troubles.length === 0) return ok(found);
  const said = `${found}; ${troubles.join("; ")}`;
  return gpus.every(({ faults }) => faults.length > 0) ? bad(said, LOOK) : warn(said, LOOK);
}

/** "2 NVIDIA H100 80GB HBM3 (79.6 GiB each)". */
function kindsOf(gpus: readonly Gpu[]): string {
  const counts = new Map<string, number>();
  for (const { kind, memoryBytes } of gpus) {
    const name = `${kind} (${sizeText(memoryBytes)} each)`;
    counts.set(name, (counts.get(name) ?? 0) + 1);
  }
  return [...counts].map(([name, count]) => `${count} ${name}`).join(", ");
}

async function noneVerdict(why: string, root: string): Promise<Verdict> {
  for (const { device, kind, tool } of DEVICES) {
    if (!(await isThere(join(root, device)))) continue;
    const problem = `the driver of an ${kind} GPU is loaded, but none can be used: ${why}`;
    return warn(problem, `Put ${tool} on the PATH, and look whether CUDA_VISIBLE_DEVICES or its like hide them.`);
  }
  return ok(`none (${why}): this machine hosts actors without GPUs`);
}
