// Decides what follows an actor's failure. Pure: values in, a directive out; cell.ts carries it out.
//
// S1  At most `maxRestarts` restarts within any `withinMs`; one more failure ends the actor (or goes to its parent).
// S2  The n-th restart inside the window waits firstMs · factor^(n−1), at most maxMs: a crash loop must not eat a core.
// S3  There is no "resume": a state that failed is not trusted (OTP's rule; Akka has a fourth directive for it).

export interface Backoff {
  readonly firstMs: number;
  readonly factor: number;
  readonly maxMs: number;
}

export interface RestartPolicy {
  readonly maxRestarts: number;
  readonly withinMs: number;
  readonly backoff: Backoff;
}

export type Directive =
  | { readonly kind: "restart"; readonly afterMs: number }
  | { readonly kind: "stop" }
  | { readonly kind: "escalate" };

/** Moments of the restarts that still count at `nowMs`. */
export function withinWindow(restartsAtMs: readonly number[], policy: RestartPolicy, nowMs: number): number[] {
  return restartsAtMs.filter((atMs) => nowMs - atMs < policy.withinMs);
}

/**
 * What follows a failure at `nowMs` of an actor restarted at `restartsAtMs` so far.
 * `escalate` says where the failure goes when the window is used up: to the parent, or nowhere.
 */
export function decide(
  restartsAtMs: readonly number[],
  policy: RestartPolicy,
  escalate: boolean,
  nowMs: number,
): Directive {
  const recent = withinWindow(restartsAtMs, policy, nowMs).length;
  if (recent >= policy.maxRestarts) return escalate ? { kind: "escalate" } : { kind: "stop" };
  const { firstMs, factor, maxMs } = policy.backoff;
  return { kind: "restart", afterMs: firstMs === 0 ? 0 : Math.min(maxMs, firstMs * factor ** recent) };
}
