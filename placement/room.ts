// What a node can still grant, and whether a demand fits into it. Plain arithmetic on amounts and devices: which device an actor really gets
// is the node's own affair (runtime/resources.ts), so this is an estimate that errs where the node's rule differs.
//
// RM1  A share of a GPU lies on one device that has that much left; whole ones need devices of which nothing is granted; `gpuMemoryBytes` is
//      wanted on each of them, and alone asks for memory of one device.
// RM2  Where no device is reported, GPUs are counted like any other amount.
// RM3  A share goes to the device that it fills best, so that whole devices stay whole.

import type { Amounts, GpuReport, NodeRecord } from "../runtime/index.ts";

export type Device = Pick<GpuReport, "free" | "memoryBytes" | "freeBytes">;

export interface Room {
  readonly free: Amounts;
  /** Empty: no device is known (RM2). */
  readonly gpus: readonly Device[];
}

/** A demand, read once. */
export interface Need {
  /** All but what concerns GPUs. */
  readonly amounts: readonly (readonly [name: string, amount: number])[];
  readonly gpus: number;
  readonly gpuMemoryBytes: number;
  /** Devices it lies on, and its share of each. */
  readonly devices: number;
  readonly share: number;
}

export interface Shortage {
  /** What there is too little of: "cpus", "whole GPUs". */
  readonly what: string;
  readonly has: string;
  readonly wants: string;
}

/** Sums of fractions do not come out even. */
const EPSILON = 1e-9;
const GPUS = "gpus";
const GPU_MEMORY = "gpuMemoryBytes";

/** What fits everywhere. */
export const NO_NEED: Need = { amounts: [], gpus: 0, gpuMemoryBytes: 0, devices: 0, share: 0 };

/** Undefined when nothing is asked for. */
export function needOf(resources: Amounts | undefined): Need | undefined {
  if (resources === undefined) return undefined;
  const asked = Object.entries(resources).filter(([, amount]) => amount !== 0);
  if (asked.length === 0) return undefined;
  const gpus = Math.max(0, amountOf(resources, GPUS));
  const gpuMemoryBytes = Math.max(0, amountOf(resources, GPU_MEMORY));
  const isOnOne = gpus < 1 && (gpus > 0 || gpuMemoryBytes > 0);
  return {
    amounts: asked.filter(([name]) => name !== GPUS && name !== GPU_MEMORY),
    gpus,
    gpuMemoryBytes,
    devices: isOnOne ? 1 : Math.ceil(gpus),
    share: Math.min(gpus, 1),
  };
}

/** All that a node has to grant. */
export function wholeRoom({ resources, report }: NodeRecord): Room {
  const whole = ({ memoryBytes }: GpuReport) => ({ free: 1, memoryBytes, freeBytes: memoryBytes });
  return { free: resources ?? {}, gpus: report?.gpus.map(whole) ?? [] };
}

/** What it says is not granted; a node that reports nothing has granted nothing. */
export function freeRoom(record: NodeRecord): Room {
  const { report } = record;
  return report === undefined ? wholeRoom(record) : { free: report.free, gpus: report.gpus };
}

/** What is lacking; undefined when the need fits. */
export function shortage(room: Room, need: Need): Shortage | undefined {
  for (const [name, amount] of need.amounts) {
    const has = amountOf(room.free, name);
    if (!isEnough(has, amount)) return { what: name, has: shown(name, has), wants: shown(name, amount) };
  }
  if (need.devices === 0) return undefined;
  if (need.gpus > 1 && !Number.isInteger(need.gpus))
    return { what: "GPUs to divide so", has: "0", wants: `${need.gpus}` };
  return room.gpus.length === 0 ? countedShortage(room.free, need) : deviceShortage(room.gpus, need);
}

function countedShortage(free: Amounts, need: Need): Shortage | undefined {
  const has = amountOf(free, GPUS);
  if (!isEnough(has, need.gpus)) return { what: GPUS, has: `${has}`, wants: `${need.gpus}` };
  const bytes = amountOf(free, GPU_MEMORY);
  if (isEnough(bytes, need.gpuMemoryBytes)) return undefined;
  return { what: GPU_MEMORY, has: shown(GPU_MEMORY, bytes), wants: shown(GPU_MEMORY, need.gpuMemoryBytes) };
}

function deviceShortage(gpus: readonly Device[], need: Need): Shortage | undefined {
  let suited = 0;
  for (const device of gpus) if (suits(device, need)) suited++;
  if (suited >= need.devices) return undefined;
  const kind = need.share === 1 ? "whole GPUs" : need.share === 0 ? "GPUs" : `GPUs with a share of ${need.share}`;
  const memory = need.gpuMemoryBytes === 0 ? "" : ` with ${shown(GPU_MEMORY, need.gpuMemoryBytes)}`;
  return { what: `${kind}${memory}`, has: `${suited}`, wants: `${need.devices}` };
}

/** What is left when the need is granted; undefined when it does not fit. */
export function take(room: Room, need: Need): Room | undefined {
  if (shortage(room, need) !== undefined) return undefined;
  const free: Record<string, number> = { ...room.free };
  for (const [name, amount] of need.amounts) free[name] = amountOf(free, name) - amount;
  if (need.devices === 0) return { free, gpus: room.gpus };
  free[GPUS] = amountOf(free, GPUS) - need.gpus;
  if (room.gpus.length > 0) return { free, gpus: taken(room.gpus, need) };
  free[GPU_MEMORY] = amountOf(free, GPU_MEMORY) - need.gpuMemoryBytes;
  return { free, gpus: [] };
}

function taken(gpus: readonly Device[], need: Need): readonly Device[] {
  const suited = gpus.filter((device) => suits(device, need));
  const chosen = suited.sort((a, b) => a.free - b.free || a.freeBytes - b.freeBytes).slice(0, need.devices);
  return gpus.map((device) => {
    if (!chosen.includes(device)) return device;
    const bytes = need.gpuMemoryBytes > 0 ? need.gpuMemoryBytes : need.share * device.memoryBytes;
    const freeBytes = need.share === 1 ? 0 : Math.max(0, device.freeBytes - bytes);
    return { free: device.free - need.share, memoryBytes: device.memoryBytes, freeBytes };
  });
}

/** Whether those ask for more of something than there is in all rooms together: then they do not fit, however they are laid. */
export function exceeds(needs: readonly Need[], rooms: readonly Room[]): boolean {
  const names = new Set(needs.flatMap(({ amounts }) => amounts.map(([name]) => name)));
  const asked = (name: string) => sum(needs, ({ amounts }) => amounts.find(([own]) => own === name)?.[1] ?? 0);
  const there = (name: string) => sum(rooms, ({ free }) => amountOf(free, name));
  const shares = ({ free, gpus }: Room) =>
    gpus.length === 0 ? amountOf(free, GPUS) : sum(gpus, (device) => device.free);
  const areGpusEnough = isEnough(
    sum(rooms, shares),
    sum(needs, ({ gpus }) => gpus),
  );
  return !areGpusEnough || [...names].some((name) => !isEnough(there(name), asked(name)));
}

const sum = <T>(list: readonly T[], of: (item: T) => number): number => list.reduce((all, item) => all + of(item), 0);

/** How little a need leaves over of the devices it takes: 1 when nothing (RM3). Whole ones: of the node's whole devices. */
export function gpuFit({ gpus }: Room, need: Need): number {
  if (gpus.length === 0) return 1;
  let suited = 0;
  let least = 1;
  for (const device of gpus) {
    if (!suits(device, need)) continue;
    suited++;
    least = Math.min(least, leftOver(device, need));
  }
  if (suited === 0) return 0;
  return need.share === 1 ? 1 - (suited - need.devices) / gpus.length : 1 - least;
}

const leftOver = ({ free, freeBytes, memoryBytes }: Device, { share, gpuMemoryBytes }: Need): number =>
  share > 0 ? free - share : (freeBytes - gpuMemoryBytes) / memoryBytes;

/** The greatest share in use, with the need granted, of anything that it asks for (GPUs aside) or, without a need, of anything. */
export function usedShare(resources: Amounts | undefined, { free }: Room, need?: Need): number {
  let most = 0;
  const of = (name: string, more: number) => {
    const total = amountOf(resources ?? {}, name);
    if (total > 0) most = Math.max(most, (total - amountOf(free, name) + more) / total);
  };
  if (need === undefined) for (const name of Object.keys(resources ?? {})) of(name, 0);
  else for (const [name, amount] of need.amounts) of(name, amount);
  return most;
}

const suits = (device: Device, { share, gpuMemoryBytes }: Need): boolean =>
  isEnough(device.free, share) && isEnough(device.freeBytes, gpuMemoryBytes);

/** Not `has < wants`: a figure that is none is not enough. */
const isEnough = (has: number, wants: number): boolean => wants === 0 || has >= wants - EPSILON;

/** Names come from users, and every object has a `constructor`. */
const amountOf = (amounts: Amounts, name: string): number => (Object.hasOwn(amounts, name) ? (amounts[name] ?? 0) : 0);

function shown(name: string, amount: number): string {
  const rounded = (figure: number) => `${Number(figure.toFixed(2))}`;
  if (!name.endsWith("Bytes")) return rounded(amount);
  return amount >= 2 ** 30 ? `${rounded(amount / 2 ** 30)} GiB` : `${rounded(amount / 2 ** 20)} MiB`;
}
