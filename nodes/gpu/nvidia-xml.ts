// Reads what `nvidia-smi -q -x` prints: everything the driver knows of each GPU. Pure; nvidia-smi.ts runs it and gives MIG devices their names.
//
// NX1  Fields come and go between drivers (510 and 580 differ in temperatures, ECC and recovery): each is looked for where either has it.
// NX2  No entity is declared or expanded, and what is cut off is refused: a device that is missing there would be taken for a lost one.

import { XMLParser, XMLValidator } from "fast-xml-parser";
import type { GpuHealth, GpuProcess } from "./gpu.ts";
import { given, isRecord, mebibytesIn, numberIn, pciOf, percentIn, textIn, valueAt } from "./tool-value.ts";

export interface NvidiaLog {
  readonly driver: string;
  readonly gpus: readonly NvidiaDevice[];
}

export interface NvidiaDevice {
  readonly uuid: string;
  readonly name: string;
  readonly pci?: string;
  readonly memoryBytes?: number;
  readonly usedBytes?: number;
  readonly utilization?: number;
  readonly temperatureC?: number;
  readonly health: GpuHealth;
  readonly processes: readonly GpuProcess[];
  /** MIG devices that it is divided into. */
  readonly parts: readonly MigPart[];
}

export interface MigPart {
  readonly index: number;
  readonly memoryBytes?: number;
  readonly usedBytes?: number;
  readonly uncorrectedErrors?: number;
  readonly processes: readonly GpuProcess[];
}

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  processEntities: false,
  parseTagValue: false,
  isArray: (name) => ["gpu", "mig_device", "process_info"].includes(name),
});

/** The log, or undefined for what is none or was cut off. */
export function parseNvidiaXml(text: string): NvidiaLog | undefined {
  const start = text.indexOf("<");
  const xml = start < 0 ? "" : text.slice(start);
  if (XMLValidator.validate(xml) !== true) return undefined;
  const log = valueAt(parser.parse(xml), "nvidia_smi_log");
  if (!isRecord(log)) return undefined;
  const gpus = listAt(log, "gpu").flatMap((gpu) => deviceOf(gpu) ?? []);
  return { driver: textIn(log.driver_version) ?? "unknown", gpus };
}

const listAt = (tree: unknown, ...path: readonly string[]): readonly unknown[] => {
  const value = valueAt(tree, ...path);
  return Array.isArray(value) ? value : [];
};

function deviceOf(gpu: unknown): NvidiaDevice | undefined {
  const uuid = textIn(valueAt(gpu, "uuid"));
  if (uuid === undefined) return undefined;
  const processes = listAt(gpu, "processes", "process_info");
  return {
    uuid,
    name: textIn(valueAt(gpu, "product_name")) ?? "unknown",
    ...given("pci", pciOf(textIn(valueAt(gpu, "@id")) ?? textIn(valueAt(gpu, "pci", "pci_bus_id")))),
    ...memoryOf(gpu),
    ...given("utilization", percentIn(valueAt(gpu, "utilization", "gpu_util"))),
    ...given("temperatureC", numberIn(valueAt(gpu, "temperature", "gpu_temp"))),
    health: healthOf(gpu),
    processes: processes.flatMap(processOf),
    parts: listAt(gpu, "mig_devices", "mig_device").flatMap((part) => partOf(part, processes)),
  };
}

function memoryOf(tree: unknown): { memoryBytes?: number; usedBytes?: number } {
  const [total, used] = ["total", "used"].map((name) => mebibytesIn(valueAt(tree, "fb_memory_usage", name)));
  return { ...given("memoryBytes", total), ...given("usedBytes", used) };
}

function processOf(tree: unknown): GpuProcess[] {
  const pid = numberIn(valueAt(tree, "pid"));
  return pid === undefined ? [] : [{ pid, ...given("usedBytes", mebibytesIn(valueAt(tree, "used_memory"))) }];
}

function partOf(part: unknown, processes: readonly unknown[]): MigPart[] {
  const index = numberIn(valueAt(part, "index"));
  const instance = numberIn(valueAt(part, "gpu_instance_id"));
  if (index === undefined) return [];
  const own = processes.filter((process) => numberIn(valueAt(process, "gpu_instance_id")) === instance);
  const errors = numberIn(valueAt(part, "ecc_error_count", "volatile_count", "sram_uncorrectable"));
  return [{ index, ...memoryOf(part), ...given("uncorrectedErrors", errors), processes: own.flatMap(processOf) }];
}

function healthOf(gpu: unknown): GpuHealth {
  const isYes = (...path: string[]) => {
    const said = textIn(valueAt(gpu, ...path));
    return said === undefined ? undefined : said === "Yes";
  };
  return {
    ...given("slowdownC", slowdownOf(valueAt(gpu, "temperature"))),
    ...given("uncorrectedErrors", uncorrectedOf(valueAt(gpu, "ecc_errors", "volatile"))),
    ...given("remapFailed", isYes("remapped_rows", "remapped_row_failure")),
    ...given("tooManyErrors", isYes("ecc_errors", "aggregate", "sram_threshold_exceeded")),
    ...given("recovery", recoveryOf(valueAt(gpu, "gpu_recovery_action"))),
  };
}

/** "None" is something said: that nothing is wanted any more. */
const recoveryOf = (text: unknown): string | undefined => (text === "None" ? text : textIn(text));

/** Older drivers say the temperature; newer ones how far the present one is from the limit, and where before or behind it the slowdown is. */
function slowdownOf(temperature: unknown): number | undefined {
  const slow = numberIn(valueAt(temperature, "gpu_temp_slow_threshold"));
  if (slow !== undefined) return slow;
  const names = ["gpu_temp", "gpu_temp_tlimit", "gpu_temp_slow_tlimit_threshold"];
  const [now, left, behind] = names.map((name) => numberIn(valueAt(temperature, name)));
  return now === undefined || left === undefined || behind === undefined ? undefined : now + left - behind;
}

/** sram_uncorrectable and dram_uncorrectable, or sram_uncorrectable_parity and _secded; before Ampere, double_bit/total. */
function uncorrectedOf(volatile: unknown): number | undefined {
  const old = numberIn(valueAt(volatile, "double_bit", "total"));
  if (old !== undefined || !isRecord(volatile)) return old;
  const counts = Object.entries(volatile).flatMap(([name, value]) =>
    name.includes("_uncorrectable") ? (numberIn(value) ?? []) : [],
  );
  return counts.length === 0 ? undefined : counts.reduce((sum, count) => sum + count, 0);
}
