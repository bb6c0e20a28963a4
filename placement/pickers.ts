// Which of the nodes that were scored. The best; chance decides among those that are as good, so that equal nodes share evenly and not the
// first of a list takes all.

import type { NodeScore, Random } from "../runtime/index.ts";

/** Sums of the same parts in another order. */
const EPSILON = 1e-9;

export interface Picked {
  readonly best: NodeScore;
  /** All of them, the one picked first and then as good as they are. */
  readonly ranked: readonly NodeScore[];
  /** How many were as good, itself among them. */
  readonly tied: number;
}

/** Undefined of none. */
export function pickBest(scores: readonly NodeScore[], random: Random): Picked | undefined {
  const ranked = scores.toSorted((a, b) => b.score - a.score);
  const top = ranked[0]?.score ?? 0;
  let tied = 0;
  while (tied < ranked.length && top - (ranked[tied]?.score ?? 0) < EPSILON) tied++;
  const [best] = ranked.splice(random.below(tied), 1);
  if (best === undefined) return undefined;
  ranked.unshift(best);
  return { best, ranked, tied };
}
