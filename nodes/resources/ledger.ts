// What a node has granted to whom: the granting part of the Admission port (runtime/resources.ts). It grants amounts and devices; a demand's
// model is for whoever wraps it. Amounts are counted by pool.ts, devices chosen by devices.ts.
//
//     node ──── pool ──┬── claims of actors
//                      └── reservations of placement groups ──── pool ──── claims of their actors
//
// LG1  A claim with a bundle takes from the reservation of that bundle, and never more than it holds.
// LG2  When a reservation ends, what its actors hold stays taken from the node until each of them releases it.
// LG3  A lease lapses at its time: from then on it cannot be renewed, also when the timer is late.
// LG4  Listeners hear of every change when it is done.

import type { Amounts, Clock, Demand, GpuReport, Grant, Refusal } from "../../runtime/index.ts";
import { amountOf, invalid, refused, UNITS_IN_ONE, unitsOf } from "./amounts.ts";
import { freeBytes, freeShare } from "./devices.ts";
import { Lapse } from "./lapse.ts";
import { counted, type HeldDevice, type Holding, Pool, without } from "./pool.ts";
import { visibleDevices } from "./visibility.ts";

export interface LedgerOptions {
  readonly clock: Clock;
  /** What there is, in all. `gpus` is the number of devices unless it says less; gpuMemoryBytes is the devices' own. */
  readonly totals: Amounts;
  readonly gpus?: readonly { readonly id: string; readonly kind: string; readonly memoryBytes: number }[];
  /** Whose devices they are. Default "nvidia". */
  readonly vendor?: "nvidia" | "amd";
  /** How long what `admit` grants is kept without being renewed. Default: until it is released. */
  readonly grantTtlMs?: number;
}

export interface LedgerGrant extends Grant {
  readonly id: string;
}

/** A lease as people see it. */
export interface LeaseReport {
  readonly id: string;
  readonly holder: string;
  readonly resources: Amounts;
  readonly devices: readonly string[];
  /** Milliseconds until it lapses; absent: it does not. */
  readonly leftMs?: number;
  /** The bundle that it takes from, or that it reserves. */
  readonly bundle?: { readonly group: string; readonly index: number };
  readonly isReservation: boolean;
}

interface Lease {
  readonly id: string;
  readonly holder: string;
  readonly resources: Amounts;
  readonly holding: Holding;
  readonly bundle?: { readonly group: string; readonly index: number };
  /** Whom the holding goes back to. */
  pool: Pool;
  readonly reserved?: Pool;
}

export class Ledger {
  readonly #options: LedgerOptions;
  readonly #pool: Pool;
  readonly #leases = new Map<string, Lease>();
  /** By bundleKey: leases that are reservations. */
  readonly #reservations = new Map<string, Lease>();
  readonly #listeners = new Set<() => void>();
  readonly #lapse: Lapse;
  #made = 0;

  /** Throws AmountsInvalid for totals that are no amounts, or more GPUs than there are devices. */
  constructor(options: LedgerOptions) {
    const { totals, gpus = [] } = options;
    this.#options = options;
    const whole = gpus.map(({ id, memoryBytes }) => ({ id, share: UNITS_IN_ONE, bytes: memoryBytes }));
    this.#pool = new Pool("this node", inAll(totals, whole), whole);
    this.#lapse = new Lapse(options.clock, (id) => this.release(id));
  }

  admit(demand: Demand, holder: string, signal: AbortSignal): LedgerGrant | Refusal {
    if (signal.aborted) return refused("it was given up before it was granted", true);
    return this.claim(demand, holder, this.#options.grantTtlMs);
  }

  /** Grants the demand's resources to `holder`, in words; for `ttlMs` unless it is renewed, without it until it is released. */
  claim({ resources = {}, bundle }: Demand, holder: string, ttlMs?: number): LedgerGrant | Refusal {
    const demand = counted(resources);
    if ("kind" in demand) return demand;
    const pool = bundle === undefined ? this.#pool : this.#reservations.get(bundleKey(bundle))?.reserved;
    if (pool === undefined) return refused(`${inWords(bundle)} is not reserved on this node`, false);
    const holding = pool.take(demand);
    if ("kind" in holding) return holding;
    return this.#granted({ holder, resources, holding, pool, ...(bundle === undefined ? {} : { bundle }) }, ttlMs);
  }

  /**
   * Reserves a bundle of a placement group: `amounts` are taken from the node, and given to actors that claim with that bundle. Reserving what
   * is reserved already, with the same amounts, renews it.
   */
  reserve(group: string, index: number, amounts: Amounts, holder: string, ttlMs?: number): LedgerGrant | Refusal {
    const bundle = { group, index };
    const demand = counted(amounts);
    if ("kind" in demand) return demand;
    const known = this.#reservations.get(bundleKey(bundle));
    if (known !== undefined) return this.#reservedAgain(known, amounts, ttlMs);
    const holding = this.#pool.take(demand);
    if ("kind" in holding) return holding;
    const reserved = new Pool(inWords(bundle), holding.amounts, holding.devices);
    for (const { id, usedBytes, shutFor } of this.#pool.rooms) {
      if (isExclusive(holding, id)) reserved.setUsed(id, usedBytes);
      reserved.setShut(id, shutFor);
    }
    const lease = { holder, resources: amounts, holding, pool: this.#pool, bundle, reserved };
    return this.#granted(lease, ttlMs);
  }

  #reservedAgain(known: Lease, amounts: Amounts, ttlMs: number | undefined): LedgerGrant | Refusal {
    const isSame =
      JSON.stringify(Object.entries(amounts).sort()) === JSON.stringify(Object.entries(known.resources).sort());
    if (!isSame) return refused(`${inWords(known.bundle)} is reserved already, with other amounts`, false);
    if (ttlMs !== undefined) this.#lapse.set(known.id, ttlMs);
    return this.#grantOf(known, ttlMs);
  }

  #granted(lease: Omit<Lease, "id">, ttlMs: number | undefined): LedgerGrant {
    const id = String(++this.#made);
    const made: Lease = { ...lease, id };
    this.#leases.set(id, made);
    if (made.reserved !== undefined && made.bundle !== undefined) this.#reservations.set(bundleKey(made.bundle), made);
    if (ttlMs !== undefined) this.#lapse.set(id, ttlMs);
    this.#changed();
    return this.#grantOf(made, ttlMs);
  }

  #grantOf({ id, holding }: Lease, ttlMs: number | undefined): LedgerGrant {
    const devices = holding.devices.map((device) => device.id);
    const environment = visibleDevices(this.#options.vendor ?? "nvidia", devices);
    return {
      ...{ kind: "granted", id, resources: amountsOf(holding), devices, environment },
      renew: () => void (ttlMs !== undefined && this.renew(id, ttlMs)),
      release: () => this.release(id),
    };
  }

  /** Keeps a lease for `ttlMs` from now. False when there is none of that id any more: it was released, or has lapsed. */
  renew(id: string, ttlMs: number): boolean {
    if (this.#lapse.leftMs(id) === 0) this.release(id);
    if (!this.#leases.has(id)) return false;
    this.#lapse.set(id, ttlMs);
    return true;
  }

  /** Gives a lease back; nothing to do for one that is over. */
  release(id: string): void {
    const lease = this.#leases.get(id);
    if (lease === undefined) return;
    this.#leases.delete(id);
    this.#lapse.delete(id);
    if (lease.reserved === undefined) lease.pool.give(lease.holding);
    else this.#endReservation(lease, lease.reserved);
    this.#changed();
  }

  /** LG2. */
  #endReservation(lease: Lease, reserved: Pool): void {
    if (lease.bundle !== undefined) this.#reservations.delete(bundleKey(lease.bundle));
    const claims = [...this.#leases.values()].filter(({ pool }) => pool === reserved);
    lease.pool.give(
      without(
        lease.holding,
        claims.map(({ holding }) => holding),
      ),
    );
    for (const claim of claims) claim.pool = lease.pool;
  }

  /** What others use of a device's memory, who have not been granted it: model servers, processes that are not ours. */
  setUsed(device: string, bytes: number): void {
    const usedBytes = Math.max(0, Math.ceil(bytes));
    for (const { reserved, holding } of this.#reservations.values()) {
      if (isExclusive(holding, device)) reserved?.setUsed(device, usedBytes);
    }
    if (this.#pool.setUsed(device, usedBytes)) this.#changed();
  }

  /** Takes a device out of use, or back into it: nothing new is put there for as long as there is a reason. What is there stays. */
  setShut(device: string, why: string | undefined): void {
    for (const { reserved } of this.#reservations.values()) reserved?.setShut(device, why);
    if (this.#pool.setShut(device, why)) this.#changed();
  }

  /** What is not granted, by name; devices that are out of use do not count. */
  free(): Amounts {
    return this.#pool.free();
  }

  gpuReports(): readonly GpuReport[] {
    const kinds = new Map((this.#options.gpus ?? []).map(({ id, kind }) => [id, kind]));
    return this.#pool.rooms.map((room) => {
      const isShut = room.shutFor !== undefined;
      return {
        ...{ id: room.id, kind: kinds.get(room.id) ?? "", memoryBytes: room.bytesInAll },
        free: isShut ? 0 : amountOf("gpus", freeShare(room)),
        freeBytes: isShut ? 0 : freeBytes(room),
      };
    });
  }

  leases(): readonly LeaseReport[] {
    return [...this.#leases.values()].map(({ id, holder, holding, bundle, reserved }) => {
      const leftMs = this.#lapse.leftMs(id);
      return {
        ...{ id, holder, resources: amountsOf(holding), devices: holding.devices.map((device) => device.id) },
        ...(leftMs === undefined ? {} : { leftMs }),
        ...(bundle === undefined ? {} : { bundle }),
        isReservation: reserved !== undefined,
      };
    });
  }

  /** `listener` is called after every change (LG4), until what this returns is called. */
  onChange(listener: () => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  #changed(): void {
    for (const listener of this.#listeners) listener();
  }
}

const bundleKey = ({ group, index }: { group: string; index: number }): string => `${index} ${group}`;

const inWords = (bundle: { group: string; index: number } | undefined): string =>
  `bundle ${bundle?.index} of group ${bundle?.group}`;

/** Others' use of a device matters to those who have it whole; a part's memory was promised beside it. */
const isExclusive = ({ devices }: Holding, device: string): boolean =>
  devices.some(({ id, share }) => id === device && share === UNITS_IN_ONE);

/** As it was asked for; what a whole device has of memory beyond that is not told. */
function amountsOf({ amounts }: Holding): Amounts {
  return Object.fromEntries([...amounts].map(([name, units]) => [name, amountOf(name, units)]));
}

function inAll(totals: Amounts, devices: readonly HeldDevice[]): ReadonlyMap<string, number> {
  const units = new Map<string, number>();
  for (const [name, amount] of Object.entries(totals)) {
    const count = unitsOf(name, amount);
    if (count === undefined) throw invalid(`${name}: ${String(amount)} is no amount`);
    if (name === "gpuMemoryBytes") throw invalid("gpuMemoryBytes is each device's own and cannot be set for a node");
    units.set(name, count);
  }
  const gpus = units.get("gpus") ?? devices.length * UNITS_IN_ONE;
  if (gpus > devices.length * UNITS_IN_ONE) throw invalid(`gpus: ${totals.gpus} said, ${devices.length} devices known`);
  return devices.length === 0 ? units : units.set("gpus", gpus);
}
