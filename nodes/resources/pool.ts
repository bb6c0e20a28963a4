// Amounts that belong to somebody (a node, a reservation) and what is taken of them. It knows no leases and no time.
//
// PL1  What is taken never adds up to more than there is, neither by name nor on a device.
// PL2  Taking is all or nothing; giving back the same holding restores what was there before.

import type { Amounts, Refusal } from "../../runtime/index.ts";
import { amountInWords, amountOf, refused, UNITS_IN_ONE, unitsOf } from "./amounts.ts";
import { chosenDevices, type DeviceRoom, type DeviceWish, freeShare, neverMet } from "./devices.ts";

/** A demand in whole units. `amounts` has `gpus` as the sum over devices, and no gpuMemoryBytes. */
export interface CountedDemand {
  readonly amounts: ReadonlyMap<string, number>;
  readonly devices?: DeviceWish;
}

export interface HeldDevice {
  readonly id: string;
  readonly share: number;
  readonly bytes: number;
}

export interface Holding {
  readonly amounts: ReadonlyMap<string, number>;
  readonly devices: readonly HeldDevice[];
}

/** The demand in units, or why nobody can ever have it. */
export function counted(resources: Amounts): CountedDemand | Refusal {
  const amounts = new Map<string, number>();
  for (const [name, amount] of Object.entries(resources)) {
    const units = unitsOf(name, amount);
    if (units === undefined) return refused(`${name}: ${String(amount)} is no amount`, false);
    if (units > 0) amounts.set(name, units);
  }
  const [gpus = 0, bytes = 0] = [amounts.get("gpus"), amounts.get("gpuMemoryBytes")];
  amounts.delete("gpuMemoryBytes");
  if (gpus === 0 && bytes === 0) return { amounts };
  if (gpus > UNITS_IN_ONE && gpus % UNITS_IN_ONE !== 0) {
    return refused(`gpus: ${amountInWords("gpus", gpus)} asked: more than one must be whole ones`, false);
  }
  const share = Math.min(gpus, UNITS_IN_ONE);
  return { amounts, devices: { share, count: Math.max(1, gpus / UNITS_IN_ONE), bytes } } satisfies CountedDemand;
}

type Room = { -readonly [Key in keyof DeviceRoom]: DeviceRoom[Key] };

export class Pool {
  readonly #owner: string;
  readonly #inAll: ReadonlyMap<string, number>;
  readonly #taken = new Map<string, number>();
  readonly #rooms: Room[];

  /** `owner`: whose it is, in words: "this node". */
  constructor(owner: string, inAll: ReadonlyMap<string, number>, devices: readonly HeldDevice[]) {
    this.#owner = owner;
    this.#inAll = inAll;
    this.#rooms = devices.map(({ id, share, bytes }) => ({
      ...{ id, shareInAll: share, bytesInAll: bytes },
      ...{ share: 0, bytes: 0, usedBytes: 0 },
    }));
  }

  get rooms(): readonly DeviceRoom[] {
    return this.#rooms;
  }

  /** What can never be had is refused for that, whatever else is only lacking now. */
  take({ amounts, devices }: CountedDemand): Holding | Refusal {
    const never = this.#never(amounts) ?? (devices && neverMet(this.#rooms, devices, this.#owner));
    const refusal = never ?? this.#lack(amounts);
    if (refusal !== undefined) return refusal;
    const rooms = devices === undefined ? [] : chosenDevices(this.#rooms, devices);
    if ("kind" in rooms) return rooms;
    const held = rooms.map(({ id, bytesInAll }) => heldOf(id, bytesInAll, devices));
    const holding = { amounts, devices: held };
    this.#add(holding, 1);
    return holding;
  }

  give(holding: Holding): void {
    this.#add(holding, -1);
  }

  #add({ amounts, devices }: Holding, sign: 1 | -1): void {
    for (const [name, units] of amounts) this.#taken.set(name, (this.#taken.get(name) ?? 0) + sign * units);
    for (const { id, share, bytes } of devices) {
      const room = this.#room(id);
      if (room === undefined) continue;
      room.share += sign * share;
      room.bytes += sign * bytes;
    }
  }

  #never(amounts: ReadonlyMap<string, number>): Refusal | undefined {
    for (const [name, units] of amounts) {
      const inAll = this.#inAll.get(name) ?? 0;
      if (units <= inAll) continue;
      const has = inAll === 0 ? `none${this.#known()}` : `${amountInWords(name, inAll)} in all`;
      return refused(`${name}: ${amountInWords(name, units)} asked, ${this.#owner} has ${has}`, false);
    }
    return undefined;
  }

  #lack(amounts: ReadonlyMap<string, number>): Refusal | undefined {
    const lacks: string[] = [];
    for (const [name, units] of amounts) {
      const inAll = this.#inAll.get(name) ?? 0;
      const free = inAll - (this.#taken.get(name) ?? 0);
      if (units <= free) continue;
      const [asked, left, all] = [units, free, inAll].map((count) => amountInWords(name, count));
      lacks.push(`${name}: ${asked} asked, ${left} of ${all} are free`);
    }
    return lacks.length === 0 ? undefined : refused(lacks.join("; "), true);
  }

  #known(): string {
    const names = [...this.#inAll].flatMap(([name, units]) => (units > 0 ? [name] : []));
    return names.length === 0 ? "" : ` (it has ${names.slice(0, 12).join(", ")})`;
  }

  /** What is not taken. Of GPUs, what is free on devices that are in use. */
  free(): Amounts {
    const free: Record<string, number> = {};
    for (const [name, units] of this.#inAll) {
      const left = units - (this.#taken.get(name) ?? 0);
      free[name] = amountOf(name, name === "gpus" ? Math.min(left, this.#freeShares()) : left);
    }
    return free;
  }

  #freeShares(): number {
    const usable = this.#rooms.filter(({ shutFor }) => shutFor === undefined);
    return usable.reduce((sum, room) => sum + freeShare(room), 0);
  }

  /** Whether that changed anything. */
  setUsed(id: string, usedBytes: number): boolean {
    const room = this.#room(id);
    if (room === undefined || room.usedBytes === usedBytes) return false;
    room.usedBytes = usedBytes;
    return true;
  }

  /** Whether that changed anything. */
  setShut(id: string, why: string | undefined): boolean {
    const room = this.#room(id);
    if (room === undefined || room.shutFor === why) return false;
    if (why === undefined) delete room.shutFor;
    else room.shutFor = why;
    return true;
  }

  #room(id: string): Room | undefined {
    return this.#rooms.find((room) => room.id === id);
  }
}

/** DV2: a whole device takes all of its memory along. */
function heldOf(id: string, bytesInAll: number, wish: DeviceWish | undefined): HeldDevice {
  const share = wish?.share ?? 0;
  return { id, share, bytes: share === UNITS_IN_ONE ? bytesInAll : (wish?.bytes ?? 0) };
}

/** What is left of a holding without others that were taken from it. */
export function without(holding: Holding, others: readonly Holding[]): Holding {
  const amounts = new Map(holding.amounts);
  const devices = new Map(holding.devices.map((device) => [device.id, device]));
  for (const other of others) {
    for (const [name, units] of other.amounts) amounts.set(name, (amounts.get(name) ?? 0) - units);
    for (const { id, share, bytes } of other.devices) {
      const held = devices.get(id);
      if (held !== undefined) devices.set(id, { id, share: held.share - share, bytes: held.bytes - bytes });
    }
  }
  return { amounts, devices: [...devices.values()] };
}
