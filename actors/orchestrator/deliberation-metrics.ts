// How deliberations went: how many, how long, how many tokens. Times are of the newest WINDOW, everything else since the orchestrator began.

import type { Deliberation, OrchestratorMetrics } from "./orchestrator-api.ts";

const WINDOW = 1_000;

export class DeliberationMetrics {
  /** Oldest first. */
  readonly #durationsMs: number[] = [];
  readonly #byRole = new Map<string, { deliberations: number; totalMs: number }>();
  #deliberations = 0;
  #failed = 0;
  #inputTokens = 0;
  #outputTokens = 0;

  record({ role, status, durationMs, results }: Deliberation): void {
    this.#deliberations += 1;
    if (status !== "completed") this.#failed += 1;
    this.#durationsMs.push(durationMs);
    if (this.#durationsMs.length > WINDOW) this.#durationsMs.shift();
    const known = this.#byRole.get(role) ?? { deliberations: 0, totalMs: 0 };
    this.#byRole.set(role, { deliberations: known.deliberations + 1, totalMs: known.totalMs + durationMs });
    for (const { usage } of results) {
      this.#inputTokens += usage.inputTokens;
      this.#outputTokens += usage.outputTokens;
    }
  }

  read(): Omit<OrchestratorMetrics, "tasks"> {
    const sorted = [...this.#durationsMs].sort((a, b) => a - b);
    const byRole = [...this.#byRole].map(([role, { deliberations, totalMs }]) => {
      return [role, { deliberations, meanMs: totalMs / deliberations }] as const;
    });
    return {
      ...{ deliberations: this.#deliberations, failed: this.#failed },
      durationMs: { p50: percentile(sorted, 50), p95: percentile(sorted, 95), p99: percentile(sorted, 99) },
      byRole: Object.fromEntries(byRole),
      ...{ inputTokens: this.#inputTokens, outputTokens: this.#outputTokens },
    };
  }
}

/** Nearest rank: a duration that occurred. 0 when none has. */
const percentile = (sorted: readonly number[], percent: number): number =>
  sorted[Math.max(0, Math.ceil((percent / 100) * sorted.length) - 1)] ?? 0;
