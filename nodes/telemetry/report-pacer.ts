// When a node's report is worth telling, and how often. It makes no report and shortens none (compact-report.ts).
//
// RP1  The first is published at once; after that at most one in `minMs`, the latest of those offered, at the end of that time.
// RP2  What tells nothing new is dropped. New is what differs from the last one published, so what drifts is told once it has drifted far enough
//      and nothing flickers about a border:
//        shares (kvUsage, hitRate, a GPU's free)   by 0.02 or more, or when they become 0 or 1
//        bytes free, of GPUs and of the node       by 1 % of what was published or more
//        tokens a second                           by 10 % or more, or when they become 0
//        all else                                  at all; only `atMs` never
// RP3  After `close` nothing is published. Closing twice does no harm.

import { type Clock, NODE_REPORT_MIN_MS, type NodeReport, type Timer } from "../../runtime/index.ts";

export interface ReportPacerOptions {
  readonly clock: Clock;
  readonly publish: (report: NodeReport) => void;
  /** Default NODE_REPORT_MIN_MS. */
  readonly minMs?: number;
}

export class ReportPacer {
  readonly #options: ReportPacerOptions;
  #published: NodeReport | undefined;
  #latest: NodeReport | undefined;
  /** Runs while nothing may be published. */
  #rest: Timer | undefined;
  #isClosed = false;

  constructor(options: ReportPacerOptions) {
    this.#options = options;
  }

  /** Takes the report as it is now; offered as often as anything may have changed. */
  offer(report: NodeReport): void {
    if (this.#isClosed) return;
    this.#latest = report;
    if (this.#rest === undefined) this.#tell();
  }

  close(): void {
    this.#isClosed = true;
    this.#rest?.cancel();
  }

  #tell(): void {
    this.#rest = undefined;
    const report = this.#latest;
    this.#latest = undefined;
    if (report === undefined || (this.#published !== undefined && !isNews(this.#published, report))) return;
    const { clock, minMs = NODE_REPORT_MIN_MS, publish } = this.#options;
    this.#rest = clock.schedule(minMs, () => this.#tell());
    this.#published = report;
    publish(report);
  }
}

const SHARE_STEP = 0.02;
const BYTES_PART = 0.01;
const RATE_PART = 0.1;

type Differs = (was: number, is: number) => boolean;

const share: Differs = (was, is) => Math.abs(is - was) >= SHARE_STEP - 1e-9 || (is !== was && (is === 0 || is === 1));
const part =
  (of: number): Differs =>
  (was, is) =>
    Math.abs(is - was) >= Math.abs(was) * of && is !== was;
const bytes = part(BYTES_PART);
const rate: Differs = (was, is) => part(RATE_PART)(was, is) || (is !== was && is === 0);

/** By the name of the field; numbers under other names differ when they are not equal. */
const TOLERATED: Readonly<Record<string, Differs>> = {
  "engines.kvUsage": share,
  "engines.hitRate": share,
  "engines.tokensPerS": rate,
  "gpus.free": share,
  "gpus.freeBytes": bytes,
  "free.memoryBytes": bytes,
  "free.gpuMemoryBytes": bytes,
  atMs: () => false,
};

/** Whether `is` says something that `was` did not (RP2). */
export function isNews(was: NodeReport, is: NodeReport): boolean {
  return differs(was, is, "");
}

function differs(was: unknown, is: unknown, path: string): boolean {
  if (typeof was === "number" && typeof is === "number") return (TOLERATED[path] ?? ((a, b) => a !== b))(was, is);
  if (typeof was !== "object" || typeof is !== "object" || was === null || is === null) return was !== is;
  const names = new Set([...Object.keys(was), ...Object.keys(is)]);
  // Places in a list have no part in the name.
  const prefix = path === "" ? "" : `${path}.`;
  for (const name of names) {
    const [before, after] = [(was as Record<string, unknown>)[name], (is as Record<string, unknown>)[name]];
    if (differs(before, after, Array.isArray(is) ? path : `${prefix}${name}`)) return true;
  }
  return false;
}
