// Reads what nvidia-smi prints line by line: its CSV queries, and the list of devices. Pure; nvidia-smi.ts runs it.
//
// NT1  CSV is not quoted, and a product's name may have commas: the name is asked for last.
// NT2  A line that is no row is a problem told in nvidia-smi's own words ("Unable to determine the device handle for GPU1: …"): it prints
//      those among the rows, with exit code 0 as well.

import type { GpuProcess } from "./gpu.ts";
import { mebibytesIn, numberIn, percentIn, textIn } from "./tool-value.ts";

const FIELDS = [
  ...["index", "uuid", "pci.bus_id", "memory.total", "memory.used", "utilization.gpu", "temperature.gpu"],
  ...["ecc.errors.uncorrected.volatile.total", "mig.mode.current", "driver_version", "name"],
];
const FORMAT = "--format=csv,noheader,nounits";

export const GPU_QUERY: readonly string[] = [`--query-gpu=${FIELDS.join(",")}`, FORMAT];
export const PROCESS_QUERY: readonly string[] = ["--query-compute-apps=gpu_uuid,pid,used_memory", FORMAT];

export interface NvidiaRow {
  readonly index: number;
  readonly uuid: string;
  readonly pci?: string;
  readonly memoryBytes?: number;
  readonly usedBytes?: number;
  readonly utilization?: number;
  readonly temperatureC?: number;
  readonly uncorrectedErrors?: number;
  /** It is divided into MIG devices. */
  readonly isDivided: boolean;
  readonly driver?: string;
  readonly name: string;
}

const linesOf = (text: string): string[] =>
  text
    .split(/\r?\n/)
    .map((line) => line.trim())
    .filter((line) => line !== "");

function rowOf(line: string): NvidiaRow | undefined {
  const parts = line.split(", ");
  const [index = "", uuid = "", pci, total, used, busy, temperature, errors, mig, driver] = parts;
  const name = parts.slice(FIELDS.length - 1).join(", ");
  if (!/^\d+$/.test(index) || !uuid.startsWith("GPU-") || name === "") return undefined;
  const row = {
    pci: textIn(pci),
    memoryBytes: mebibytesIn(total),
    usedBytes: mebibytesIn(used),
    utilization: percentIn(busy),
    temperatureC: numberIn(temperature),
    uncorrectedErrors: numberIn(errors),
    driver: textIn(driver),
  };
  const known = Object.entries(row).filter(([, value]) => value !== undefined);
  return { index: Number(index), uuid, name, isDivided: mig === "Enabled", ...Object.fromEntries(known) };
}

/** The rows of GPU_QUERY, and its other lines (NT2). */
export function parseGpuRows(text: string): {
  readonly rows: readonly NvidiaRow[];
  readonly problems: readonly string[];
} {
  const rows: NvidiaRow[] = [];
  const problems: string[] = [];
  for (const line of linesOf(text)) {
    const row = rowOf(line);
    if (row === undefined) problems.push(line);
    else rows.push(row);
  }
  return { rows, problems };
}

/** The rows of PROCESS_QUERY, by the UUID of the GPU. */
export function parseProcessRows(text: string): ReadonlyMap<string, readonly GpuProcess[]> {
  const found = new Map<string, GpuProcess[]>();
  for (const line of linesOf(text)) {
    const [uuid = "", pid, used] = line.split(", ");
    const number = numberIn(pid);
    if (number === undefined || !/^(GPU|MIG)-/.test(uuid)) continue;
    const usedBytes = mebibytesIn(used);
    const process = usedBytes === undefined ? { pid: number } : { pid: number, usedBytes };
    found.set(uuid, [...(found.get(uuid) ?? []), process]);
  }
  return found;
}

export interface MigName {
  readonly parent: string;
  /** Counted within its GPU. */
  readonly index: number;
  readonly profile: string;
  readonly uuid: string;
}

/** MIG devices in what `nvidia-smi -L` prints: only there do they have their UUIDs and profiles. */
export function parseMigNames(text: string): readonly MigName[] {
  const names: MigName[] = [];
  let parent = "";
  for (const line of linesOf(text)) {
    parent = /^GPU \d+: .*\(UUID: (GPU-[^)]+)\)$/.exec(line)?.[1] ?? parent;
    const [, profile, index, uuid] = /^MIG (\S+)\s+Device\s+(\d+): \(UUID: (MIG-[^)]+)\)$/.exec(line) ?? [];
    if (profile !== undefined && uuid !== undefined) names.push({ parent, index: Number(index), profile, uuid });
  }
  return names;
}
