// One look at one thing that Flotilla needs, as data; and how a number of them are made at once. What is looked at: plans.ts.
//
// CK1  Every check ends: by its verdict, by what it threw, or at its limit, and then its signal aborts so that what it began ends too.
// CK2  A verdict that is not "ok" says in `remedy` what a person does about it.

import type { Clock } from "../../runtime/index.ts";

export type CheckStatus = "ok" | "warn" | "fail" | "skipped";

/** What came of a look. `found` and `remedy` are sentences for people. */
export interface Verdict {
  readonly status: CheckStatus;
  readonly found: string;
  readonly remedy?: string;
}

export interface Check extends Verdict {
  /** Stable: "clock". Programs decide by it and the status. */
  readonly id: string;
  readonly title: string;
}

/** A check to be made. */
export interface CheckPlan {
  readonly id: string;
  readonly title: string;
  /** Milliseconds after which it is cut. */
  readonly limitMs: number;
  /** What it means when it is cut. */
  readonly late: Verdict;
  readonly run: (signal: AbortSignal) => Promise<Verdict>;
}

export const ok = (found: string): Verdict => ({ status: "ok", found });
export const warn = (found: string, remedy: string): Verdict => ({ status: "warn", found, remedy });
export const bad = (found: string, remedy: string): Verdict => ({ status: "fail", found, remedy });
export const skipped = (found: string, remedy?: string): Verdict => ({
  status: "skipped",
  found,
  ...(remedy !== undefined && { remedy }),
});

export interface RunOptions {
  readonly clock: Clock;
  /** Told of each check as it ends. */
  readonly onCheck?: ((check: Check) => void) | undefined;
  /** Cuts all that still run: their verdict is "skipped". */
  readonly signal?: AbortSignal | undefined;
}

/** Makes all checks at once. Resolves with them in the order of the plans; never rejects. */
export function runChecks(
  plans: readonly CheckPlan[],
  { clock, onCheck = () => {}, signal }: RunOptions,
): Promise<readonly Check[]> {
  return Promise.all(
    plans.map(async (plan) => {
      const check = { id: plan.id, title: plan.title, ...(await verdictOf(plan, clock, signal)) };
      onCheck(check);
      return check;
    }),
  );
}

/** CK1. */
function verdictOf({ limitMs, late, run }: CheckPlan, clock: Clock, signal?: AbortSignal): Promise<Verdict> {
  return new Promise((resolve) => {
    const cut = new AbortController();
    const end = (verdict: Verdict) => {
      timer.cancel();
      signal?.removeEventListener("abort", onAbort);
      resolve(verdict);
      cut.abort(new Error(verdict.found));
    };
    const onAbort = () => end(skipped("cancelled"));
    const timer = clock.schedule(
      limitMs,
      () => end({ ...late, found: `${late.found}; cut after ${limitMs / 1_000} s` }),
      true,
    );
    signal?.addEventListener("abort", onAbort);
    if (signal?.aborted) return onAbort();
    run(cut.signal).then(end, (error: unknown) => {
      const said = error instanceof Error ? error.message : String(error);
      end(bad(`the check itself failed: ${said}`, "Report this: it is a bug in flotilla."));
    });
  });
}
