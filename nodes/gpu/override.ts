// What the operator says about this machine's GPUs, and the masks that its own environment lays over them. Text in, GPUs out; no tool is run.
//
//     "none"                     it has none
//     "2"                        the first two of those that are found
//     "0,2"   "GPU-…,MIG-…"      these, by index or id (a single one by index: "2,")
//     "2x80GiB:H100"             two with 80 GiB each, where no tool tells; "amd:2x192GiB:MI300X" for AMD
//
// OV1  It narrows what is found, or stands for it where nothing is; what it says against a tool is an error that names both.

import type { FlotillaError } from "../../runtime/index.ts";
import { parseByteSize } from "../byte-size.ts";
import { nodeError } from "../errors.ts";
import type { Gpu, GpuVendor } from "./gpu.ts";

export type GpuOverride =
  | { readonly kind: "none" }
  | { readonly kind: "count"; readonly count: number }
  | { readonly kind: "which"; readonly which: readonly string[] }
  | {
      readonly kind: "declared";
      readonly vendor: GpuVendor;
      readonly count: number;
      readonly memoryBytes: number;
      readonly product: string;
    };

const COUNT_MAX = 64;

/** Reads the operator's text. Throws GpuOverrideInvalid. */
export function parseGpuOverride(text: string): GpuOverride {
  const said = text.trim();
  if (said === "none" || said === "0") return { kind: "none" };
  if (/^\d+$/.test(said)) return { kind: "count", count: counted(said, text) };
  const [, vendor = "nvidia", count, size, product = "GPU"] =
    /^(?:(nvidia|amd):)?(\d+)x([0-9.]+\s*[A-Za-z]+)(?::(.{1,80}))?$/.exec(said) ?? [];
  if (count !== undefined && size !== undefined) {
    const memoryBytes = parseByteSize(size);
    if (memoryBytes === undefined || memoryBytes === 0) throw invalid(text);
    return { kind: "declared", vendor: vendor as GpuVendor, count: counted(count, text), memoryBytes, product };
  }
  const which = said.replace(/,$/, "").split(/\s*,\s*/);
  const isList = which.every((name) => /^(\d+|(GPU|MIG)-[A-Za-z0-9/-]+)$/.test(name));
  if (!isList || new Set(which).size < which.length) throw invalid(text);
  return { kind: "which", which };
}

function counted(digits: string, text: string): number {
  const count = Number(digits);
  if (count < 1 || count > COUNT_MAX) throw invalid(text);
  return count;
}

const invalid = (text: string): FlotillaError =>
  nodeError(
    "GpuOverrideInvalid",
    `GPUs "${text.slice(0, 100)}": expected none, a count (2), a list (0,2 or GPU-…,GPU-…) or a declaration (2x80GiB:H100)`,
  );

/** What a tool found, for words: "nvidia-smi". */
interface Seen {
  readonly program: string;
  readonly gpus: readonly Gpu[];
  /** Of these before a mask of the environment. */
  readonly inAll: number;
}

export type Narrowed =
  | { readonly kind: "kept"; readonly gpus: readonly Gpu[] }
  | { readonly kind: "contradicted"; readonly error: FlotillaError };

/** Those of the GPUs seen that the operator means (OV1). */
export function narrowed(override: GpuOverride, seen: Seen): Narrowed {
  const hidden = seen.inAll - seen.gpus.length;
  const shows = `${seen.program} shows ${seen.inAll}${hidden === 0 ? "" : `, ${hidden} of them hidden from this process by its environment`}`;
  switch (override.kind) {
    case "none":
      return { kind: "kept", gpus: [] };
    case "count":
      if (override.count <= seen.gpus.length) return { kind: "kept", gpus: seen.gpus.slice(0, override.count) };
      return contradicted(`the operator says ${override.count} GPUs, but ${shows}`);
    case "declared":
      return contradicted(
        `the operator declares ${override.count} GPUs (${override.product}), but ${shows}: say which of those instead`,
      );
    case "which":
      return named(override.which, seen, shows);
  }
}

function named(which: readonly string[], seen: Seen, shows: string): Narrowed {
  const isMeant = (gpu: Gpu, name: string) => gpu.id === name || gpu.mig?.parent === name || String(gpu.index) === name;
  const unknown = which.filter((name) => !seen.gpus.some((gpu) => isMeant(gpu, name)));
  if (unknown.length === 0) {
    return { kind: "kept", gpus: seen.gpus.filter((gpu) => which.some((name) => isMeant(gpu, name))) };
  }
  const known = seen.gpus.map(({ index, id }) => `${index} (${id})`).join(", ");
  return contradicted(`the operator says GPU ${unknown.join(", ")}, but ${shows}: ${known}`);
}

export const contradicted = (message: string): Extract<Narrowed, { kind: "contradicted" }> => ({
  kind: "contradicted",
  error: nodeError("GpuOverrideContradicted", message),
});

/** Declared devices are called by their index. */
export function declaredGpus({
  count,
  memoryBytes,
  product,
}: Extract<GpuOverride, { kind: "declared" }>): readonly Gpu[] {
  return Array.from({ length: count }, (_, index) => ({
    ...{ id: String(index), index, kind: product, memoryBytes, usedBytes: 0 },
    ...{ processes: [], health: {}, faults: [] },
  }));
}

/** Masks that this process was started under. Absent: none. An empty one hides everything. */
export interface DeviceMasks {
  readonly cuda?: string;
  readonly rocr?: string;
  readonly hip?: string;
}

/** The GPUs that programs started by this process can see. ROCr's mask comes first and HIP counts in what that leaves; HIP takes CUDA's for its own. */
export function visible(gpus: readonly Gpu[], vendor: GpuVendor, masks: DeviceMasks): readonly Gpu[] {
  if (vendor === "nvidia") return masked(gpus, masks.cuda);
  return masked(masked(gpus, masks.rocr), masks.hip ?? masks.cuda);
}

/** As CUDA reads its mask: by place or id (or the beginning of one), in that order, up to the first entry that names nothing. */
function masked(gpus: readonly Gpu[], mask: string | undefined): readonly Gpu[] {
  if (mask === undefined) return gpus;
  const shown: Gpu[] = [];
  for (const entry of mask.split(",").map((part) => part.trim())) {
    const meant = /^\d+$/.test(entry) ? gpus.slice(Number(entry), Number(entry) + 1) : withId(gpus, entry);
    if (meant.length === 0) break;
    shown.push(...meant.filter((gpu) => !shown.includes(gpu)));
  }
  return shown;
}

function withId(gpus: readonly Gpu[], entry: string): readonly Gpu[] {
  if (!/^(GPU|MIG)-./.test(entry)) return [];
  const found = gpus.filter(({ id, mig }) => id.startsWith(entry) || mig?.parent.startsWith(entry));
  const parents = new Set(found.map(({ id, mig }) => mig?.parent ?? id));
  return parents.size === 1 ? found : [];
}
