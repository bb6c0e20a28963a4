// 10,000 random histories of a ledger beside a model that only adds up what was granted: nothing is ever granted twice, a refusal changes
// nothing and is right, and when all has been given back all is there.

import fc from "fast-check";
import { expect, test } from "vitest";
import { Ledger, type LedgerGrant } from "../../../nodes/resources/ledger.ts";
import type { Amounts, Clock, Refusal } from "../../../runtime/index.ts";

const GIB = 2 ** 30;
const TOTALS: Amounts = { cpus: 4, licence: 2 };
const CAPACITY = [80, 80, 24].map((gib) => gib * GIB);
const GPUS = CAPACITY.map((memoryBytes, at) => ({ id: `GPU-${at}`, kind: "x", memoryBytes }));

/** Time by hand, without turns of the event loop between the timers: 10,000 histories in seconds. */
class HandClock implements Clock {
  #nowMs = 0;
  #timers: { readonly atMs: number; readonly run: () => void }[] = [];
  now = () => this.#nowMs;
  monotonic = () => this.#nowMs;
  soon = () => {
    throw new Error("the ledger waits for nothing");
  };

  schedule(delayMs: number, run: () => void) {
    const timer = { atMs: this.#nowMs + delayMs, run };
    this.#timers.push(timer);
    return { cancel: () => this.#drop(timer) };
  }

  #drop(timer: unknown): void {
    this.#timers = this.#timers.filter((other) => other !== timer);
  }

  get pending(): number {
    return this.#timers.length;
  }

  pass(ms: number): void {
    const endMs = this.#nowMs + ms;
    for (;;) {
      const next = this.#timers.filter(({ atMs }) => atMs <= endMs).sort((a, b) => a.atMs - b.atMs)[0];
      if (next === undefined) break;
      this.#drop(next);
      this.#nowMs = next.atMs;
      next.run();
    }
    this.#nowMs = endMs;
  }
}

/** Plain, because a matcher for each of a few million checks would take longer than all the rest. */
function must(isTrue: boolean, what: string): void {
  if (!isTrue) throw new Error(what);
}

/** What was granted to one, as the model knows it. */
interface Held {
  readonly grant: LedgerGrant;
  readonly asked: Amounts;
  untilMs: number;
  /** Of the bundle that it reserves. */
  readonly index?: number;
  /** The reservation that it took from. */
  readonly parent?: Held;
}

/** Thousandths by name, and shares and bytes by device. */
interface Sums {
  readonly sums: ReadonlyMap<string, number>;
  readonly devices: readonly { readonly share: number; readonly bytes: number }[];
}

const thousandths = (amount = 0) => Math.round(amount * 1_000);
const shareOf = (asked: Amounts) => Math.min(1_000, thousandths(asked.gpus));
const amounts = fc.record(
  {
    cpus: fc.constantFrom(0.1, 0.3, 1, 1.5, 3),
    licence: fc.constantFrom(1, 2),
    gpus: fc.constantFrom(0.1, 0.25, 0.5, 0.7, 1, 2, 3),
    gpuMemoryBytes: fc.constantFrom(...[1, 10, 30, 70].map((gib) => gib * GIB)),
  },
  { requiredKeys: [] },
);
const ttl = fc.option(fc.constantFrom(100, 700, 3_000), { nil: undefined });
const step = fc.oneof(
  {
    weight: 5,
    arbitrary: fc.record({
      kind: fc.constant("claim" as const),
      amounts,
      ttl,
      bundle: fc.integer({ min: -3, max: 1 }),
    }),
  },
  {
    weight: 2,
    arbitrary: fc.record({
      kind: fc.constant("reserve" as const),
      amounts,
      ttl,
      bundle: fc.integer({ min: 0, max: 1 }),
    }),
  },
  { weight: 3, arbitrary: fc.record({ kind: fc.constant("release" as const), at: fc.nat(50) }) },
  {
    weight: 1,
    arbitrary: fc.record({ kind: fc.constant("renew" as const), at: fc.nat(50), forMs: fc.constantFrom(50, 2_000) }),
  },
  { weight: 1, arbitrary: fc.record({ kind: fc.constant("pass" as const), ms: fc.constantFrom(60, 500, 2_000) }) },
  {
    weight: 1,
    arbitrary: fc.record({
      kind: fc.constant("used" as const),
      device: fc.nat(2),
      bytes: fc.constantFrom(0, 5 * GIB, 60 * GIB),
    }),
  },
);
type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

class History {
  readonly clock = new HandClock();
  readonly ledger = new Ledger({ clock: this.clock, totals: TOTALS, gpus: GPUS });
  readonly used = [0, 0, 0];
  held: Held[] = [];
  grants = 0;
  refusals = 0;

  do(now: Step): void {
    switch (now.kind) {
      case "claim":
      case "reserve":
        return this.#ask(now);
      case "release": {
        const [gone] = this.held.splice(now.at % Math.max(1, this.held.length), 1);
        gone?.grant.release();
        return gone?.grant.release();
      }
      case "renew": {
        const held = this.held[now.at % Math.max(1, this.held.length)];
        if (held === undefined) return;
        must(this.ledger.renew(held.grant.id, now.forMs), "a lease that is held can be renewed");
        held.untilMs = this.clock.now() + now.forMs;
        return;
      }
      case "pass":
        this.clock.pass(now.ms);
        this.held = this.held.filter(({ untilMs }) => untilMs > this.clock.now());
        return;
      case "used":
        this.used[now.device] = now.bytes;
        this.ledger.setUsed(`GPU-${now.device}`, now.bytes);
    }
  }

  #ask({ kind, amounts: asked, ttl: ttlMs, bundle: index }: Extract<Step, { kind: "claim" | "reserve" }>): void {
    const reserved = this.held.find((each) => each.index === index);
    if (kind === "reserve" && reserved !== undefined) return;
    const before = this.#state();
    const demand = { resources: asked, ...(index < 0 ? {} : { bundle: { group: "g", index } }) };
    const answer =
      kind === "reserve" ? this.ledger.reserve("g", index, asked, "x", ttlMs) : this.ledger.claim(demand, "x", ttlMs);
    const isInside = kind === "claim" && index >= 0;
    if (answer.kind === "refused") return this.#refused(answer, asked, isInside, before);
    this.grants++;
    if (isInside) must(before.startsWith(this.#room()), "a claim in a bundle takes nothing more of the node");
    const untilMs = ttlMs === undefined ? Number.POSITIVE_INFINITY : this.clock.now() + ttlMs;
    const place = kind === "reserve" ? { index } : isInside && reserved !== undefined ? { parent: reserved } : {};
    this.held.push({ grant: answer, asked, untilMs, ...place });
  }

  #refused({ passes, reason }: Refusal, asked: Amounts, isInside: boolean, before: string): void {
    this.refusals++;
    must(this.#state() === before, `a refusal changes nothing: ${reason}`);
    if (isInside) return;
    must(!this.#fits(asked), `it would have fitted: ${reason}`);
    const able = CAPACITY.filter((bytes) => bytes >= (asked.gpuMemoryBytes ?? 0));
    must(passes === able.length >= Math.max(1, asked.gpus ?? 0), `passes is ${passes}: ${reason}`);
  }

  #state(): string {
    return this.#room() + this.ledger.leases().map(({ id }) => id);
  }

  #room(): string {
    return JSON.stringify([this.ledger.free(), this.ledger.gpuReports()]);
  }

  /** Whether the node could grant it, by what the model added up. */
  #fits(asked: Amounts): boolean {
    const taken = this.#taken();
    for (const name of ["cpus", "licence"]) {
      if ((taken.sums.get(name) ?? 0) + thousandths(asked[name]) > thousandths(TOTALS[name])) return false;
    }
    const [gpus, bytes] = [thousandths(asked.gpus), asked.gpuMemoryBytes ?? 0];
    if (gpus === 0 && bytes === 0) return true;
    const fitting = CAPACITY.filter((capacity, at) => {
      const { share = 0, bytes: held = 0 } = taken.devices[at] ?? {};
      if (share + Math.min(gpus, 1_000) > 1_000 || held + (this.used[at] ?? 0) + bytes > capacity) {
        return gpus >= 1_000 && share + held === 0 && bytes === 0;
      }
      return gpus < 1_000 || share + held === 0;
    });
    return fitting.length >= Math.max(1, gpus / 1_000);
  }

  /** Claims within a reservation that still is are part of it. */
  #taken(): Sums {
    return this.#added(this.held.filter(({ parent }) => parent === undefined || !this.held.includes(parent)));
  }

  #added(held: readonly Held[]): Sums {
    const sums = new Map<string, number>();
    const devices: { share: number; bytes: number }[] = CAPACITY.map(() => ({ share: 0, bytes: 0 }));
    for (const { grant, asked } of held) {
      for (const name of ["cpus", "licence"]) sums.set(name, (sums.get(name) ?? 0) + thousandths(asked[name]));
      for (const id of grant.devices) {
        const at = Number(id.slice(4));
        const device = devices[at] as { share: number; bytes: number };
        device.share += shareOf(asked);
        // Who has a device whole has its memory; a claim within a reservation has what the reservation has of it.
        device.bytes += shareOf(asked) === 1_000 ? (CAPACITY[at] ?? 0) : (asked.gpuMemoryBytes ?? 0);
      }
    }
    return { sums, devices };
  }

  check(): void {
    const taken = this.#taken();
    this.#checkSums(taken, TOTALS);
    const free = this.ledger.free();
    for (const name of ["cpus", "licence"]) {
      const left = thousandths(TOTALS[name]) - (taken.sums.get(name) ?? 0);
      must(thousandths(free[name]) === left, `${name}: ${free[name]} said, ${left} thousandths left`);
    }
    for (const reservation of this.held.filter(({ index }) => index !== undefined)) {
      const claims = this.held.filter(({ parent }) => parent === reservation);
      const devices = claims.flatMap(({ grant }) => grant.devices);
      must(
        devices.every((id) => reservation.grant.devices.includes(id)),
        "a claim has the devices of its reservation",
      );
      this.#checkSums(this.#added(claims), reservation.asked);
    }
    for (const { grant, asked } of this.held) {
      const wanted = asked.gpus === undefined && asked.gpuMemoryBytes === undefined ? 0 : Math.max(1, asked.gpus ?? 0);
      must(new Set(grant.devices).size === wanted, `${wanted} devices asked, ${grant.devices} granted`);
    }
  }

  #checkSums({ sums, devices }: Sums, most: Amounts): void {
    for (const [name, sum] of sums)
      must(sum <= thousandths(most[name]), `${name}: ${sum} thousandths of ${most[name]}`);
    devices.forEach(({ share, bytes }, at) => {
      must(share <= 1_000, `GPU-${at}: ${share} thousandths granted`);
      must(bytes <= (CAPACITY[at] ?? 0), `GPU-${at}: ${bytes} bytes granted`);
    });
  }

  end(): void {
    for (const { grant } of this.held) grant.release();
    for (const at of [0, 1, 2]) this.ledger.setUsed(`GPU-${at}`, 0);
    expect(this.ledger.leases()).toEqual([]);
    expect(this.ledger.free()).toEqual({ ...TOTALS, gpus: 3 });
    expect(this.ledger.gpuReports().map(({ free, freeBytes }) => [free, freeBytes])).toEqual(
      CAPACITY.map((bytes) => [1, bytes]),
    );
    expect(this.clock.pending).toBe(0);
  }
}

test("nothing is granted twice over 10,000 histories", () => {
  const seed = Date.now() % 2 ** 31;
  let [grants, refusals] = [0, 0];
  console.log(`seed ${seed}`);
  fc.assert(
    fc.property(fc.array(step, { minLength: 4, maxLength: 20, size: "max" }), (steps) => {
      const history = new History();
      for (const now of steps) {
        history.do(now);
        history.check();
      }
      history.end();
      grants += history.grants;
      refusals += history.refusals;
    }),
    { numRuns: 10_000, seed },
  );
  console.log(`${grants} grants, ${refusals} refusals`);
  expect(Math.min(grants, refusals)).toBeGreaterThan(15_000);
}, 60_000);
