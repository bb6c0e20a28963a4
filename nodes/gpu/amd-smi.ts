// AMD's GPUs, by amd-smi: JSON of `static`, `metric` and `process`. The parsers are pure.
//
// AS1  A list of GPUs is an array, or an object with the array as `gpu_data`, by version; a value is { value, unit }, a number, a text or "N/A".
// AS2  amd-smi writes MB and means MiB: an MI300X of 192 GiB has "196592 MB".
// AS3  It is a Python program that takes a good part of a second of a core: it is asked once a minute.

import { amdId } from "./amd-gpu.ts";
import type { Gpu, GpuProcess } from "./gpu.ts";
import type { GpuTool, ToolAnswer } from "./tool.ts";
import { type RunTool, runInWords } from "./tool-run.ts";
import { given, isRecord, jsonIn, mebibytesIn, numberIn, pciOf, percentIn, textIn, valueAt } from "./tool-value.ts";

const PROGRAM = "amd-smi";

export const amdSmi: GpuTool = { program: PROGRAM, vendor: "amd", everyMs: 60_000, discover, refresh };

export interface AmdMetric {
  readonly memoryBytes?: number;
  readonly usedBytes?: number;
  readonly utilization?: number;
  readonly temperatureC?: number;
  readonly uncorrectedErrors?: number;
}

/** Entries by the tool's own index (AS1); undefined for what is no list of GPUs. */
function entriesIn(text: string): ReadonlyMap<number, unknown> | undefined {
  const json = jsonIn(text);
  const list = Array.isArray(json) ? json : valueAt(json, "gpu_data");
  if (!Array.isArray(list)) return undefined;
  const entries = list.flatMap((entry): [number, unknown][] => {
    const index = numberIn(valueAt(entry, "gpu"));
    return index === undefined ? [] : [[index, entry]];
  });
  return new Map(entries);
}

export function parseAmdStatic(text: string): { readonly driver: string; readonly gpus: readonly Gpu[] } | undefined {
  const entries = entriesIn(text);
  if (entries === undefined) return undefined;
  const [first] = entries.values();
  const driver = textIn(valueAt(first, "driver", "version")) ?? textIn(valueAt(first, "driver", "driver_version"));
  return { driver: driver ?? "unknown", gpus: [...entries].map(([index, entry]) => staticGpu(index, entry)) };
}

function staticGpu(index: number, entry: unknown): Gpu {
  const asic = valueAt(entry, "asic");
  const limits = ["hotspot", "edge"].map((place) => numberIn(valueAt(entry, "limit", `slowdown_${place}_temperature`)));
  return {
    id: amdId(textIn(valueAt(asic, "asic_serial")), index),
    index,
    kind: textIn(valueAt(asic, "market_name")) ?? textIn(valueAt(entry, "board", "product_name")) ?? "AMD GPU",
    memoryBytes: mebibytesIn(valueAt(entry, "vram", "size")) ?? 0,
    usedBytes: 0,
    processes: [],
    health: given("slowdownC", limits[0] ?? limits[1]),
    faults: [],
    ...given("pci", pciOf(textIn(valueAt(entry, "bus", "bdf")))),
  };
}

export function parseAmdMetrics(text: string): ReadonlyMap<number, AmdMetric> | undefined {
  const entries = entriesIn(text);
  return entries && new Map([...entries].map(([index, entry]) => [index, metricOf(entry)]));
}

function metricOf(entry: unknown): AmdMetric {
  const [hot, edge] = ["hotspot", "edge"].map((place) => numberIn(valueAt(entry, "temperature", place)));
  return {
    ...given("memoryBytes", mebibytesIn(valueAt(entry, "mem_usage", "total_vram"))),
    ...given("usedBytes", mebibytesIn(valueAt(entry, "mem_usage", "used_vram"))),
    ...given("utilization", percentIn(valueAt(entry, "usage", "gfx_activity"))),
    ...given("temperatureC", hot ?? edge),
    ...given("uncorrectedErrors", numberIn(valueAt(entry, "ecc", "total_uncorrectable_count"))),
  };
}

/** By index; an idle GPU has a sentence where a process would be. */
export function parseAmdProcesses(text: string): ReadonlyMap<number, readonly GpuProcess[]> | undefined {
  const entries = entriesIn(text);
  return entries && new Map([...entries].map(([index, entry]) => [index, processesOf(entry)]));
}

function processesOf(entry: unknown): GpuProcess[] {
  const list = valueAt(entry, "process_list");
  if (!Array.isArray(list)) return [];
  return list.flatMap((each: unknown) => {
    const info = valueAt(each, "process_info") ?? each;
    const pid = isRecord(info) ? numberIn(info.pid) : undefined;
    const used = numberIn(valueAt(info, "memory_usage", "vram_mem")) ?? numberIn(valueAt(info, "mem_usage"));
    return pid === undefined ? [] : [{ pid, ...given("usedBytes", used) }];
  });
}

async function discover(run: RunTool): Promise<ToolAnswer> {
  const output = await run(PROGRAM, ["static", "--json"]);
  if (output.kind === "missing") return { kind: "none", why: runInWords(PROGRAM, output) };
  const known = output.kind === "ended" ? parseAmdStatic(output.out) : undefined;
  if (known === undefined) return { kind: "failed", why: runInWords(PROGRAM, output) };
  if (known.gpus.length === 0) return { kind: "none", why: "amd-smi sees no device" };
  const answer = await measured(run, known.gpus, true);
  return answer.kind === "found" ? { ...answer, driver: known.driver } : answer;
}

function refresh(run: RunTool, gpus: readonly Gpu[]): Promise<ToolAnswer> {
  return measured(run, gpus, false);
}

/** The devices with what changes; their processes as well, `isFull` or when the memory used has changed. */
async function measured(run: RunTool, gpus: readonly Gpu[], isFull: boolean): Promise<ToolAnswer> {
  const output = await run(PROGRAM, ["metric", "--json"]);
  const metrics = output.kind === "ended" ? parseAmdMetrics(output.out) : undefined;
  if (metrics === undefined) return { kind: "failed", why: runInWords(PROGRAM, output) };
  const hasMoved = gpus.some(({ index, usedBytes }) => (metrics.get(index)?.usedBytes ?? usedBytes) !== usedBytes);
  const processes = isFull || hasMoved ? await processesNow(run) : undefined;
  const now = gpus.flatMap((gpu) => {
    const metric = metrics.get(gpu.index);
    return metric === undefined ? [] : [withMetric(gpu, metric, processes?.get(gpu.index))];
  });
  return { kind: "found", gpus: now, driver: "unknown", problems: [] };
}

async function processesNow(run: RunTool): Promise<ReadonlyMap<number, readonly GpuProcess[]> | undefined> {
  const output = await run(PROGRAM, ["process", "--json"]);
  return output.kind === "ended" ? parseAmdProcesses(output.out) : undefined;
}

function withMetric(gpu: Gpu, metric: AmdMetric, processes: readonly GpuProcess[] | undefined): Gpu {
  // What is not said now is not known now: an old temperature must not look like a reading.
  const { temperatureC: _, utilization: __, ...lasting } = gpu;
  const { uncorrectedErrors, memoryBytes, ...changing } = metric;
  return {
    ...lasting,
    ...changing,
    memoryBytes: memoryBytes ?? gpu.memoryBytes,
    health: { ...gpu.health, ...given("uncorrectedErrors", uncorrectedErrors) },
    processes: processes ?? gpu.processes,
  };
}
