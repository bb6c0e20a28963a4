// NVIDIA's GPUs, by nvidia-smi. Its output is read by nvidia-text.ts and nvidia-xml.ts.
//
// NS1  With MIG on, the MIG devices are the GPUs: a program can be given nothing else. (vLLM resolves their UUIDs in some versions and fails
//      in others: whoever gives it one tries it first.)
// NS2  A refresh is one query; processes are asked for only when the memory used has changed, and everything only where there is MIG, of
//      which the query says nothing.

import type { Gpu, GpuProcess } from "./gpu.ts";
import type { MigName, NvidiaRow } from "./nvidia-text.ts";
import { GPU_QUERY, PROCESS_QUERY, parseGpuRows, parseMigNames, parseProcessRows } from "./nvidia-text.ts";
import { type MigPart, type NvidiaDevice, parseNvidiaXml } from "./nvidia-xml.ts";
import type { GpuTool, ToolAnswer } from "./tool.ts";
import { type RunTool, runInWords, type ToolOutput } from "./tool-run.ts";
import { given, pciOf } from "./tool-value.ts";

const PROGRAM = "nvidia-smi";
const DETAILS: readonly string[] = ["-q", "-x"];
const LIST: readonly string[] = ["-L"];

export const nvidiaSmi: GpuTool = {
  program: PROGRAM,
  vendor: "nvidia",
  everyMs: 5_000,
  discover,
  refresh,
};

/** Words of nvidia-smi that say what is wrong, and what to do about it. */
const TROUBLES: readonly (readonly [said: RegExp, kind: "none" | "failed", why: string])[] = [
  [/No devices were found/i, "none", "nvidia-smi sees no device"],
  [
    /couldn't communicate with the NVIDIA driver/i,
    "failed",
    "nvidia-smi cannot reach the NVIDIA driver: load it (modprobe nvidia), or in a container ask for the GPUs (--gpus all)",
  ],
  [
    /Driver\/library version mismatch/i,
    "failed",
    "the loaded NVIDIA driver is not the one that is installed: reboot, or reload it",
  ],
  [/Insufficient Permissions/i, "failed", "nvidia-smi may not use the devices: check the rights of /dev/nvidia*"],
];

interface Rows {
  readonly kind: "rows";
  readonly rows: readonly NvidiaRow[];
  readonly problems: readonly string[];
}

async function queried(run: RunTool): Promise<Rows | Exclude<ToolAnswer, { kind: "found" }>> {
  const output = await run(PROGRAM, GPU_QUERY);
  if (output.kind === "missing") return { kind: "none", why: runInWords(PROGRAM, output) };
  if (output.kind === "late") return { kind: "failed", why: runInWords(PROGRAM, output) };
  const { rows, problems } = parseGpuRows(`${output.out}\n${output.err}`);
  if (rows.length > 0) return { kind: "rows", rows, problems };
  const trouble = TROUBLES.find(([said]) => said.test(`${output.out}${output.err}`));
  if (trouble !== undefined) return { kind: trouble[1], why: trouble[2] };
  return { kind: "failed", why: runInWords(PROGRAM, output) };
}

async function discover(run: RunTool): Promise<ToolAnswer> {
  const answer = await queried(run);
  if (answer.kind !== "rows") return answer;
  const full = await run(PROGRAM, DETAILS);
  const log = full.kind === "ended" ? parseNvidiaXml(full.out) : undefined;
  const isDivided = answer.rows.some((row) => row.isDivided);
  const names = isDivided ? await run(PROGRAM, LIST) : undefined;
  // Without these MIG devices would look as if they were gone.
  if (isDivided && log === undefined) return { kind: "failed", why: detailsMissing(full) };
  if (names !== undefined && names.kind !== "ended") return { kind: "failed", why: runInWords(PROGRAM, names) };
  const problems = [...answer.problems, ...(log === undefined ? [`no details: ${detailsMissing(full)}`] : [])];
  const gpus = answer.rows.flatMap((row) => {
    const device = log?.gpus.find(({ uuid }) => uuid === row.uuid);
    if (!row.isDivided) return [wholeGpu(row, device)];
    const parts = partsOf(row, device, parseMigNames(names?.out ?? ""));
    if (parts.length === 0)
      problems.push(`GPU ${row.index} (${row.uuid}) is in MIG mode and has no MIG device to give`);
    return parts;
  });
  return { kind: "found", gpus, driver: log?.driver ?? answer.rows[0]?.driver ?? "unknown", problems };
}

const detailsMissing = (output: ToolOutput): string =>
  output.kind === "ended" && output.code === 0 ? "nvidia-smi -q -x printed no whole log" : runInWords(PROGRAM, output);

function wholeGpu(row: NvidiaRow, device: NvidiaDevice | undefined): Gpu {
  const { memoryBytes = 0, usedBytes = 0, utilization, temperatureC, uncorrectedErrors } = { ...device, ...row };
  return {
    id: row.uuid,
    index: row.index,
    kind: row.name,
    memoryBytes,
    usedBytes,
    processes: device?.processes ?? [],
    ...given("temperatureC", temperatureC),
    ...given("utilization", utilization),
    health: { ...device?.health, ...given("uncorrectedErrors", uncorrectedErrors ?? device?.health.uncorrectedErrors) },
    faults: [],
    ...given("pci", pciOf(row.pci) ?? device?.pci),
  };
}

function partsOf(row: NvidiaRow, device: NvidiaDevice | undefined, names: readonly MigName[]): Gpu[] {
  const whole = wholeGpu(row, device);
  return (device?.parts ?? []).flatMap((part) => {
    const name = names.find(({ parent, index }) => parent === row.uuid && index === part.index);
    return name === undefined ? [] : [partOf(whole, part, name)];
  });
}

function partOf(whole: Gpu, part: MigPart, { uuid, profile }: MigName): Gpu {
  const own = part.uncorrectedErrors;
  const errors = own === undefined ? whole.health.uncorrectedErrors : own + (whole.health.uncorrectedErrors ?? 0);
  return {
    ...whole,
    id: uuid,
    kind: `${whole.kind} MIG ${profile}`,
    memoryBytes: part.memoryBytes ?? 0,
    usedBytes: part.usedBytes ?? 0,
    processes: part.processes,
    health: { ...whole.health, ...given("uncorrectedErrors", errors) },
    mig: { parent: whole.id, profile },
  };
}

async function refresh(run: RunTool, gpus: readonly Gpu[]): Promise<ToolAnswer> {
  if (gpus.some(({ mig }) => mig !== undefined)) return discover(run);
  const answer = await queried(run);
  if (answer.kind !== "rows") return answer;
  const rowOf = new Map(answer.rows.map((row) => [row.uuid, row]));
  const hasMoved = gpus.some(({ id, usedBytes }) => (rowOf.get(id)?.usedBytes ?? usedBytes) !== usedBytes);
  const processes = hasMoved ? await processesNow(run) : undefined;
  const now = gpus.flatMap((gpu) => {
    const row = rowOf.get(gpu.id);
    return row === undefined ? [] : [refreshed(gpu, row, processes)];
  });
  return { kind: "found", gpus: now, driver: answer.rows[0]?.driver ?? "unknown", problems: answer.problems };
}

async function processesNow(run: RunTool): Promise<ReadonlyMap<string, readonly GpuProcess[]> | undefined> {
  const output = await run(PROGRAM, PROCESS_QUERY);
  return output.kind === "ended" && output.code === 0 ? parseProcessRows(output.out) : undefined;
}

function refreshed(gpu: Gpu, row: NvidiaRow, processes: ReadonlyMap<string, readonly GpuProcess[]> | undefined): Gpu {
  // What is not said now is not known now: an old temperature must not look like a reading.
  const { temperatureC: _, utilization: __, ...lasting } = gpu;
  return {
    ...lasting,
    ...given("usedBytes", row.usedBytes),
    ...given("temperatureC", row.temperatureC),
    ...given("utilization", row.utilization),
    health: { ...gpu.health, ...given("uncorrectedErrors", row.uncorrectedErrors) },
    processes: processes === undefined ? gpu.processes : (processes.get(gpu.id) ?? []),
  };
}
