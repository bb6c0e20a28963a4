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

/** Makes all checks at once, calling back with each as it ends. Resolves with them in the order of the plans; never rejects. */
export function runChecks(
  plans: readonly CheckPlan[],
  clock: Clock,
  onCheck: (check: Check) => void = () => {},
): Promise<readonly Check[]> {
  return Promise.all(
    plans.map(async (plan) => {
      const check = { id: plan.id, title: plan.title, ...(await verdictOf(plan, clock)) };
      onCheck(check);
      return check;
    }),
  );
}

/** CK1. */
function verdictOf({ limitMs, late, run }: CheckPlan, clock: Clock): Promise<Verdict> {
  return new Promise((resolve) => {
    const cut = new AbortController();
    const timer = clock.schedule(
      limitMs,
      () => {
        resolve({ ...late, found: `${late.found}; cut after ${limitMs / 1_000} s` });
        cut.abort(new Error(`cut after ${limitMs} ms`));
      },
      true,
    );
    const end = (verdict: Verdict) => {
      timer.cancel();
      resolve(verdict);
    };
    run(cut.signal).then(end, (error: unknown) => {
      const said = error instanceof Error ? error.message : String(error);
      end(bad(`the check itself failed: ${said}`, "Report this: it is a bug in flotilla."));
    });
  });
}
