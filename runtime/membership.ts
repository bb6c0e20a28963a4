// Membership: this node's own place in the fleet, held by a lease, and who else is there.
// It decides nothing about actors: holdings end what must end, recovery moves what can move.
//
// ME1  Each node renews one key, `node.<its name>`, whose value is its NodeRecord. One name, one live node (NodeNameTaken).
// ME2  When the lease is lost, listeners hear `lost` at once and in the order they came: everything held on behalf of the fleet is void
//      from then on. Then the node tries to take its place again for as long as it runs, and tells `rejoined`.
// ME3  A node that leaves says so in its key's last value, which expires by itself: a watcher may miss what lies between two writes, never
//      the last one (ST5). So leaving and dying are told apart.
// ME4  After joining, a reconnection or a broken watch nobody is declared dead for one TTL (RO2), and neither while this node has no lease
//      or has just got it again: a server that stood still lets every key lapse at once, and nobody's connection breaks.

import { type Clock, finishesWithin, sleep, type Timer } from "./clock.ts";
import { runtimeError } from "./errors.ts";
import { Lease, type LeaseProfile } from "./lease.ts";
import type { LogLevel } from "./log.ts";
import { NODE_REPORT_MIN_MS, type NodeRecord } from "./node-record.ts";
import type { Random } from "./random.ts";
import { type DeathCause, type Presence, Roll, type RollEvent } from "./roll.ts";
import { type Change, type Store, TTL_MIN_MS } from "./store.ts";
import { token } from "./token.ts";

export type MembershipEvent =
  | RollEvent
  /** Our own lease: lost (everything held by it is void), and held again. */
  | { readonly kind: "lost"; readonly why: string }
  | { readonly kind: "rejoined" };

export interface MembershipOptions {
  readonly store: Store;
  readonly clock: Clock;
  readonly random: Random;
  readonly profile: LeaseProfile;
  readonly record: NodeRecord;
  readonly log: (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) => void;
}

/** What is stored: a record, whether these are its last words (ME3), and whoever has said them for it, why. */
type StoredRecord = NodeRecord & { readonly left?: boolean; readonly why?: DeathCause };

const FILTER = "node.*";
/** How often a name held by somebody else is tried. */
const POLL_MS = 250;
/** Servers expire keys up to this much late (ST4). */
const EXPIRY_SLACK_MS = 1_000;

export class Membership {
  readonly node: string;
  readonly #options: MembershipOptions;
  readonly #key: string;
  readonly #roll: Roll;
  readonly #listeners = new Set<(event: MembershipEvent) => void>();
  readonly #leaving = new AbortController();
  #record: NodeRecord;
  #lease: Lease | undefined = undefined;
  #lostMs = 0;
  #announcing: Timer | undefined = undefined;
  #announcedMs = Number.NEGATIVE_INFINITY;

  constructor(options: MembershipOptions) {
    const { record, clock, profile } = options;
    this.#options = options;
    this.#record = record;
    this.node = record.node;
    this.#key = keyOf(record.name);
    const mayJudge = () => this.isValid;
    this.#roll = new Roll(clock, profile.ttlMs, mayJudge, (event) => this.#tell(event));
  }

  /** This node as it tells of itself. */
  get record(): NodeRecord {
    return this.#record;
  }

  /** Whether this node may act on behalf of the fleet now. Ask before each effect (LE1). */
  get isValid(): boolean {
    return this.#lease?.isValid ?? false;
  }

  /** Takes this node's place and resolves once it knows who else is there. Throws NodeNameTaken, and what the store throws. */
  async join(): Promise<void> {
    const lease = await this.#takeName();
    this.#lease = lease;
    if (this.#leaving.signal.aborted) {
      await lease.release();
      throw this.#leaving.signal.reason;
    }
    this.#roll.beginGrace();
    await new Promise<void>((resolve) => void this.#watch(resolve));
  }

  /** Everybody who is there now, this node first: to itself it is always there. */
  nodes(): readonly NodeRecord[] {
    return [this.#record, ...this.#roll.present().filter(({ node }) => node !== this.node)];
  }

  isPresent(node: string): boolean {
    return this.presence(node).kind === "present";
  }

  /** Whether a node is there and means to stay. */
  isStaying(node: string): boolean {
    return this.#roll.isStaying(node);
  }

  presence(node: string): Presence {
    if (node !== this.node) return this.#roll.presence(node);
    return this.isValid ? { kind: "present" } : { kind: "missing", sinceMs: this.#lostMs };
  }

  /** Calls `listener` at each event. Answers how to take that back. */
  on(listener: (event: MembershipEvent) => void): () => void {
    this.#listeners.add(listener);
    return () => this.#listeners.delete(listener);
  }

  /** Tells the others something new about this node. Resolves when the store has it. */
  async update(change: Partial<Omit<NodeRecord, "node" | "name">>): Promise<void> {
    this.#record = { ...this.#record, ...change };
    await this.#lease?.renew();
  }

  /** As `update`, but at most every NODE_REPORT_MIN_MS: what comes sooner waits, and of one field only the last is told. */
  announce(change: Pick<NodeRecord, "report"> | Pick<NodeRecord, "waiting">): void {
    this.#record = { ...this.#record, ...change };
    const { clock } = this.#options;
    this.#announcing ??= clock.schedule(this.#announcedMs + NODE_REPORT_MIN_MS - clock.monotonic(), () => {
      this.#announcing = undefined;
      this.#announcedMs = clock.monotonic();
      void this.#lease?.renew();
    });
  }

  /** Tells the others that this node can make actors of `type` from now on. */
  knows({ type, version }: { readonly type: string; readonly version: string }): void {
    const { types, parent } = this.#record;
    // Nobody asks what the process of one actor could make.
    if (parent !== undefined || types.some((known) => known.type === type)) return;
    this.#record = { ...this.#record, types: [...types, { type, version }] };
    void this.#lease?.renew();
  }

  /** Resolves once `node` has been heard of: one that has just joined may be named before. At the latest after one TTL. */
  async meet(node: string): Promise<void> {
    if (this.presence(node).kind !== "missing") return;
    const { clock, profile } = this.#options;
    await finishesWithin(clock, profile.ttlMs, (done) => {
      const stop = this.on((event) => {
        if (!("record" in event) || event.record.node !== node) return;
        stop();
        done();
      });
    });
  }

  /** Says on behalf of another node, whose name is its id, that it is no more: who has seen its process end knows before its lease does. */
  async bury(node: string, why: DeathCause): Promise<void> {
    const { store } = this.#options;
    const entry = await store.get(`node.${token(node)}`);
    const record = entry && decode(entry.value);
    if (entry === undefined || record?.node !== node || record.left) return;
    await store.update(entry.key, encode({ ...record, left: true, why }), entry.revision, { ttlMs: TTL_MIN_MS });
  }

  /** The way to the store was broken and is whole again: see ME4. Call it before anything that the store says afterwards. */
  reconnected(): void {
    this.#roll.beginGrace();
  }

  /** Gives this node's place up and says so. May be called twice. */
  async leave(): Promise<void> {
    if (this.#leaving.signal.aborted) return;
    this.#leaving.abort(runtimeError("Closed", `the node ${this.node} has left`));
    this.#roll.close();
    this.#announcing?.cancel();
    const value = encode({ ...this.#record, left: true });
    await this.#lease?.release({ value, ttlMs: TTL_MIN_MS });
  }

  async #takeName(): Promise<Lease> {
    const { clock, profile } = this.#options;
    const untilMs = clock.monotonic() + profile.ttlMs + EXPIRY_SLACK_MS;
    const lease = this.#newLease();
    let seen: number | undefined;
    for (let over: number | undefined; ; ) {
      const acquired = await lease.acquire(over);
      if (acquired.kind === "held") return lease;
      const { by } = acquired;
      over = undefined;
      if (by !== undefined) {
        const holder = decode(by.value);
        // Whoever renews is alive; whoever does not for a whole TTL has crashed, and its key should have expired by now.
        if (seen !== undefined && by.revision !== seen && holder?.left !== true) throw nameTaken(this.#record, holder);
        seen = by.revision;
        if (holder?.left || clock.monotonic() >= untilMs) over = by.revision;
      }
      if (over === undefined) await sleep(clock, POLL_MS, this.#leaving.signal);
    }
  }

  #newLease(): Lease {
    const { store, clock, random, profile } = this.#options;
    return new Lease({
      store,
      clock,
      random,
      profile,
      key: this.#key,
      value: () => encode(this.#record),
      isOurs: (value) => {
        const found = decode(value);
        return found?.node === this.node && found.left !== true;
      },
      onLost: (why) => this.#lost(why),
    });
  }

  #lost(why: string): void {
    this.#lostMs = this.#options.clock.now();
    this.#roll.beginGrace();
    this.#options.log("error", `this node lost its lease: ${why}`, { name: this.#record.name });
    this.#tell({ kind: "lost", why });
    void this.#rejoin();
  }

  async #rejoin(): Promise<void> {
    const { clock, log } = this.#options;
    for (let told = false; !this.#leaving.signal.aborted; ) {
      const lease = this.#newLease();
      const acquired = await lease.acquire().catch(() => undefined);
      if (acquired?.kind === "held") return this.#rejoined(lease);
      if (acquired !== undefined && !told) {
        told = true;
        const holder = acquired.by && decode(acquired.by.value)?.node;
        log("error", "this node cannot come back: another process has its name now", { holder });
      }
      await sleep(clock, POLL_MS, this.#leaving.signal).catch(() => {});
    }
  }

  async #rejoined(lease: Lease): Promise<void> {
    // Leaving overtook it: what was just taken is given back.
    if (this.#leaving.signal.aborted) return lease.release();
    this.#lease = lease;
    this.#roll.beginGrace();
    this.#options.log("info", "this node has its lease again", { name: this.#record.name });
    this.#tell({ kind: "rejoined" });
  }

  /** Keeps the roll; a watch that breaks is begun again, and what it missed is given time (ME4). */
  async #watch(ready: () => void): Promise<void> {
    const { store, clock, log } = this.#options;
    const { signal } = this.#leaving;
    while (!signal.aborted) {
      this.#roll.beginSnapshot();
      try {
        for await (const change of store.watch(FILTER, signal)) {
          if (signal.aborted) return;
          this.#take(change);
          if (change.kind === "ready") ready();
        }
      } catch (error) {
        log("warn", "the watch of the nodes broke and is begun again", { error: String(error) });
      }
      await sleep(clock, POLL_MS, signal).catch(() => {});
      if (!signal.aborted) this.#roll.beginGrace();
    }
    ready();
  }

  #take(change: Change): void {
    if (change.kind === "ready") return this.#roll.endSnapshot();
    if (change.kind === "gone") return this.#roll.gone(change.key);
    const { key } = change.entry;
    const record = decode(change.entry.value);
    if (record === undefined || key !== keyOf(record.name)) {
      return this.#options.log("error", "an entry among the nodes is none of ours and is passed over", { key });
    }
    const { left, why, ...rest } = record;
    this.#roll.put(change.entry.key, rest, left === true, isCause(why) ? why : undefined);
  }

  #tell(event: MembershipEvent): void {
    for (const listener of [...this.#listeners]) listener(event);
  }
}

const keyOf = (name: string): string => `node.${token(name)}`;

const encode = (record: StoredRecord): Uint8Array => new TextEncoder().encode(JSON.stringify(record));

/** Undefined for what is no record: a foreign write must not end a node. */
function decode(value: Uint8Array): StoredRecord | undefined {
  try {
    const record: unknown = JSON.parse(new TextDecoder().decode(value));
    return isRecord(record as Partial<NodeRecord>) ? (record as StoredRecord) : undefined;
  } catch {
    return undefined;
  }
}

function isRecord({ node, name, labels, types, accepts, allowsCode, draining }: Partial<NodeRecord>): boolean {
  return (
    [node, name].every((text) => typeof text === "string" && text !== "") &&
    [accepts, allowsCode, draining].every((flag) => typeof flag === "boolean") &&
    typeof labels === "object" &&
    labels !== null &&
    Array.isArray(types) &&
    types.every((known) => typeof known?.type === "string" && typeof known.version === "string")
  );
}

function isCause(value: unknown): value is DeathCause {
  const { code, message } = (value ?? {}) as Partial<DeathCause>;
  return typeof code === "string" && typeof message === "string";
}

function nameTaken(own: NodeRecord, holder: NodeRecord | undefined): Error {
  const since = holder && { node: holder.node, pid: holder.pid, startedMs: holder.startedMs };
  return runtimeError(
    "NodeNameTaken",
    `a node called "${own.name}" is in this fleet and alive: ${holder?.node ?? "of another kind"}`,
    {
      data: { name: own.name, ...since },
    },
  );
}
