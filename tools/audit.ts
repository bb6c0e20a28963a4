// Port: what was asked, decided and done, one entry for each tool call, refused ones included.
// It is not a log for people and keeps no contents: parameters arrive redacted and bounded (redact.ts).
//
// U1  `record` returns at once: a form that writes elsewhere queues. It may throw; the call's result is kept and carries the reason.
// U2  Entries are never changed; `sequence` starts at 1 and has no gaps in what was recorded.
// U3  A full audit drops its oldest entries and counts them: it never refuses the newest.

import type { Outcome } from "./tool.ts";

export interface AuditEntry {
  readonly sequence: number;
  /** When the call was asked for, in milliseconds since the epoch. */
  readonly atMs: number;
  readonly agentId: string;
  readonly role: string;
  readonly taskId: string;
  readonly traceId: string;
  /** Full name of the tool: "files.read". For an unknown tool what the caller wrote, shortened. */
  readonly tool: string;
  /** The part after the dot: "read". */
  readonly operation: string;
  /** Redacted and bounded. */
  readonly params: unknown;
  readonly outcome: Outcome;
  readonly durationMs: number;
  /** Bytes of output before it was cut. */
  readonly bytes: number;
  readonly error?: { readonly code: string; readonly message: string };
}

/** An entry before the audit has numbered it. */
export type AuditRecord = Omit<AuditEntry, "sequence">;

/** Keeps an entry when every field that is given equals the entry's. */
export type AuditFilter = Partial<Pick<AuditEntry, "agentId" | "role" | "taskId" | "traceId" | "tool" | "outcome">>;

export interface Audit {
  record(entry: AuditRecord): void;
  /** Oldest first. */
  entries(filter?: AuditFilter): readonly AuditEntry[];
}

const ENTRIES_MAX = 10_000;

/** The audit of one process: the newest `entriesMax` entries. */
export class MemoryAudit implements Audit {
  readonly #entriesMax: number;
  #entries: AuditEntry[] = [];
  #recorded = 0;

  constructor(entriesMax = ENTRIES_MAX) {
    this.#entriesMax = entriesMax;
  }

  /** Entries that made room for newer ones (U3). */
  get dropped(): number {
    return this.#recorded - this.#kept.length;
  }

  record(entry: AuditRecord): void {
    this.#entries.push(Object.freeze({ ...entry, sequence: ++this.#recorded }));
    // Trimmed at twice the bound, because moving the whole list for every entry would make a full audit slow.
    if (this.#entries.length >= 2 * this.#entriesMax) this.#entries = this.#kept;
  }

  entries(filter: AuditFilter = {}): readonly AuditEntry[] {
    const wanted = Object.entries(filter).filter(([, value]) => value !== undefined);
    return this.#kept.filter((entry) => wanted.every(([field, value]) => entry[field as keyof AuditFilter] === value));
  }

  get #kept(): AuditEntry[] {
    return this.#entries.slice(-this.#entriesMax);
  }
}
