// Who is there, by what a watch of the nodes' keys has told so far: the roll that membership keeps. It reads and writes nothing itself.
//
//     put ──▶ present ──gone──▶ missing ──grace over──▶ departed (dead)
//                │  ▲──────put─────┘
//                └──── put with `left` ──────────────▶ departed (left)
//
// RO1  A node is declared dead once, when its key is gone and no grace is running; outside grace that is at once.
// RO2  After `beginGrace` nobody is declared dead for `graceMs`: a server that comes back may have let everybody's key lapse. Nobody is
//      declared dead by one who may not judge either: a grace is begun instead.
// RO3  A node never heard of may just be new: it is missing from the first question on, and departed `graceMs` later.
// RO4  One name, one node: another node under a name ends the one before.

import type { Clock, Timer } from "./clock.ts";
import type { NodeRecord } from "./node-record.ts";

/** How a node stands. `sinceMs`: since when it has not been heard of, in milliseconds since the epoch. */
export type Presence =
  | { readonly kind: "present" }
  | { readonly kind: "missing"; readonly sinceMs: number }
  | { readonly kind: "departed"; readonly sinceMs: number };

/** Why a node is no more, where somebody has seen it end: a code of ours and a sentence. */
export interface DeathCause {
  readonly code: string;
  readonly message: string;
}

/** `reported`: nothing but its report has changed. `settled`: a grace is over, and whoever is still missing has been declared dead. */
export type RollEvent =
  | { readonly kind: "joined" | "changed" | "reported"; readonly record: NodeRecord }
  | { readonly kind: "left"; readonly record: NodeRecord; readonly reason: "left" | "dead"; readonly why?: DeathCause }
  | { readonly kind: "settled" };

/** "node n1 left or died", with the reason that is known. */
export const departed = (node: string, why?: DeathCause): string =>
  `node ${node} left or died${why === undefined ? "" : ` (${why.message})`}`;

interface Seat {
  readonly key: string;
  record: NodeRecord;
  /** When its key was found gone; undefined while it is there. */
  missingSinceMs: number | undefined;
}

/** Nodes remembered after their end, and nodes asked about and never heard of. */
const REMEMBERED_MAX = 10_000;

export class Roll {
  readonly #clock: Clock;
  readonly #graceMs: number;
  readonly #mayJudge: () => boolean;
  readonly #tell: (event: RollEvent) => void;
  readonly #byKey = new Map<string, Seat>();
  readonly #byNode = new Map<string, Seat>();
  readonly #departed = new Map<string, number>();
  /** First asked about, by the monotonic clock. */
  readonly #unheard = new Map<string, number>();
  /** Keys of the snapshot that is being read. */
  #snapshot: Set<string> | undefined = undefined;
  #grace: Timer | undefined = undefined;

  /** `mayJudge`: whether this node itself is there for the others. */
  constructor(clock: Clock, graceMs: number, mayJudge: () => boolean, tell: (event: RollEvent) => void) {
    this.#clock = clock;
    this.#graceMs = graceMs;
    this.#mayJudge = mayJudge;
    this.#tell = tell;
  }

  /** Those whose keys are there. */
  present(): NodeRecord[] {
    return [...this.#byNode.values()].filter((seat) => seat.missingSinceMs === undefined).map((seat) => seat.record);
  }

  /** Whether it is there and does not drain. */
  isStaying(node: string): boolean {
    const seat = this.#byNode.get(node);
    return seat !== undefined && seat.missingSinceMs === undefined && !seat.record.draining;
  }

  presence(node: string): Presence {
    const seat = this.#byNode.get(node);
    if (seat !== undefined) {
      const { missingSinceMs } = seat;
      return missingSinceMs === undefined ? { kind: "present" } : { kind: "missing", sinceMs: missingSinceMs };
    }
    const departedMs = this.#departed.get(node);
    if (departedMs !== undefined) return { kind: "departed", sinceMs: departedMs };
    return this.#unheardOf(node);
  }

  #unheardOf(node: string): Presence {
    const nowMs = this.#clock.monotonic();
    const askedMs = this.#unheard.get(node) ?? nowMs;
    remember(this.#unheard, node, askedMs);
    const ageMs = nowMs - askedMs;
    const isOver = ageMs >= this.#graceMs && this.#grace === undefined && this.#snapshot === undefined;
    return { kind: isOver ? "departed" : "missing", sinceMs: this.#clock.now() - ageMs };
  }

  /** What follows is everything there is, up to `endSnapshot`. */
  beginSnapshot(): void {
    this.#snapshot = new Set();
  }

  endSnapshot(): void {
    const seen = this.#snapshot;
    this.#snapshot = undefined;
    for (const key of [...this.#byKey.keys()]) if (seen?.has(key) === false) this.gone(key);
  }

  /** A key was written. `left`: with its node's last words; `why`: with somebody else's about it. */
  put(key: string, record: NodeRecord, left: boolean, why?: DeathCause): void {
    this.#snapshot?.add(key);
    const before = this.#byKey.get(key);
    if (before !== undefined && (left || before.record.node !== record.node)) {
      const isLast = before.record.node === record.node;
      this.#depart(before, isLast ? "left" : "dead", isLast ? why : undefined);
    }
    if (left) {
      remember(this.#departed, record.node, this.#clock.now());
      return;
    }
    const seat = this.#byKey.get(key);
    if (seat === undefined) return this.#seat(key, record);
    const known = seat.record;
    seat.record = record;
    seat.missingSinceMs = undefined;
    if (!isSame(withoutReport(known), withoutReport(record))) this.#tell({ kind: "changed", record });
    else if (!isSame(known, record)) this.#tell({ kind: "reported", record });
  }

  #seat(key: string, record: NodeRecord): void {
    const seat: Seat = { key, record, missingSinceMs: undefined };
    this.#byKey.set(key, seat);
    this.#byNode.set(record.node, seat);
    this.#departed.delete(record.node);
    this.#unheard.delete(record.node);
    this.#tell({ kind: "joined", record });
  }

  /** A key was deleted or expired. */
  gone(key: string): void {
    const seat = this.#byKey.get(key);
    if (seat === undefined) return;
    seat.missingSinceMs ??= this.#clock.now();
    if (this.#grace !== undefined) return;
    if (this.#mayJudge()) this.#depart(seat, "dead");
    else this.beginGrace();
  }

  /** Declares nobody dead for a while (RO2). */
  beginGrace(): void {
    this.#grace?.cancel();
    this.#grace = this.#clock.schedule(this.#graceMs, () => {
      this.#grace = undefined;
      if (!this.#mayJudge()) return this.beginGrace();
      for (const seat of [...this.#byKey.values()]) if (seat.missingSinceMs !== undefined) this.#depart(seat, "dead");
      this.#tell({ kind: "settled" });
    });
  }

  close(): void {
    this.#grace?.cancel();
  }

  #depart(seat: Seat, reason: "left" | "dead", why?: DeathCause): void {
    this.#byKey.delete(seat.key);
    this.#byNode.delete(seat.record.node);
    remember(this.#departed, seat.record.node, seat.missingSinceMs ?? this.#clock.now());
    this.#tell({ kind: "left", record: seat.record, reason, ...(why && { why }) });
  }
}

function remember(nodes: Map<string, number>, node: string, sinceMs: number): void {
  nodes.set(node, sinceMs);
  if (nodes.size <= REMEMBERED_MAX) return;
  const [oldest] = nodes.keys();
  if (oldest !== undefined) nodes.delete(oldest);
}

const isSame = (one: object, other: object): boolean => JSON.stringify(one) === JSON.stringify(other);

const withoutReport = ({ report: _, waiting: __, ...record }: NodeRecord): object => record;
