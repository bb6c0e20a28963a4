// From a request to the node that has taken it: asks the placer, waits while nothing fits, and asks again when a node has refused.
// It chooses no node (the placer) and makes no actor (the attempt that it is given does).
//
//     place ─▶ attempt ─▶ done
//       ▲         └─ refused, or not delivered ─▶ place again, that node passed over
//       └── the fleet changes ◀─ nothing fits, and that may pass
//
// PG1  A request waits while the refusal of some node may pass, or while its user said how long; otherwise it is Unplaceable at once.
// PG2  A node that has refused, or was certainly not reached, is passed over until the fleet changes. Where nobody else will do, one that
//      was not reached is told as that (Unavailable), at once.
// PG3  What waits is tried again in the order in which it came.

import type { Clock, Timer } from "./clock.ts";
import { isFlotillaError, runtimeError } from "./errors.ts";
import type { SpawnRequest } from "./host.ts";
import { type Decision, type PlacementRequest, type Placer, type Rejection, unplaceable } from "./placer.ts";

/** A request that waits, for those who ask why. */
export interface WaitingRequest {
  readonly request: PlacementRequest;
  readonly sinceMs: number;
  readonly decision: Extract<Decision, { kind: "unplaceable" }>;
}

export interface PlacingOptions {
  readonly placer: Placer;
  readonly clock: Clock;
  /** Milliseconds that a request waits for what may pass, unless it says otherwise. */
  readonly waitMs: number;
  /** Told when a request begins to wait, when its reasons change, and (undefined) when it waits no more. */
  readonly onWaiting: (id: number, waiting: WaitingRequest | undefined) => void;
}

type Placed = Extract<Decision, { kind: "placed" }>;
type Unplaceable = Extract<Decision, { kind: "unplaceable" }>;

type Attempt<Made> =
  | { readonly kind: "made"; readonly value: Made }
  | { readonly kind: "refused"; readonly refusal: Rejection; readonly error: unknown };

/** Loading a model takes minutes. */
const MODEL_WAIT_MS = 600_000;
/** Changes that come close together are looked at once. */
const GATHER_MS = 20;
/** Also without any change that was seen: a report may be lost, a refusal may have been about a moment. */
const RECHECK_MS = 1_000;

export class Placing {
  readonly #options: PlacingOptions;
  readonly #waiting = new Set<(error?: Error) => void>();
  #lastId = 0;
  #gather: Timer | undefined = undefined;
  #closed: Error | undefined = undefined;

  constructor(options: PlacingOptions) {
    this.#options = options;
  }

  get placer(): Placer {
    return this.#options.placer;
  }

  /** What is there to choose from may have changed: everybody who waits is tried again. */
  changed(): void {
    if (this.#waiting.size === 0 || this.#gather !== undefined) return;
    this.#gather = this.#options.clock.schedule(GATHER_MS, () => {
      this.#gather = undefined;
      this.#wake();
    });
  }

  #wake(error?: Error): void {
    for (const wake of [...this.#waiting]) wake(error);
  }

  /** Nothing waits any more. */
  close(): void {
    this.#closed ??= runtimeError("Closed", "the system was closed");
    this.#gather?.cancel();
    this.#wake(this.#closed);
  }

  /**
   * `first`: what the placer has said about the request just now. Resolves to what `attempt` answers on the node that took it. `timeoutMs`: how long to wait for a place, whatever the reasons.
   * Throws Unplaceable, Closed, and what `attempt` throws that is no refusal (ResourcesTaken, Unavailable).
   */
  async run<Made>(
    request: PlacementRequest,
    timeoutMs: number | undefined,
    first: Decision | Promise<Decision>,
    attempt: (decision: Placed) => Made | Promise<Made>,
  ): Promise<Made> {
    const { placer, clock } = this.#options;
    const begunMs = clock.monotonic();
    const id = ++this.#lastId;
    const refused: Rejection[] = [];
    let isWaiting = false;
    let error: unknown;
    let next = first;
    const again = () => placer.place(refused.length === 0 ? request : { ...request, refused });
    try {
      for (;;) {
        const decision = await next;
        if (decision.kind === "placed") {
          const made = await this.#attempt(request, decision, attempt);
          if (made.kind === "made") return made.value;
          ({ error } = made);
          refused.push(made.refusal);
          if (request.node === undefined) {
            next = again();
            continue;
          }
        }
        // Who was named refuses for itself; of several the placer tells.
        const why = decision.kind === "placed" ? { kind: "unplaceable" as const, rejected: refused } : decision;
        const leftMs = this.#leftMs(request, why, timeoutMs, clock.monotonic() - begunMs);
        if (leftMs <= 0 && error !== undefined && isFlotillaError(error, "Unavailable")) throw error;
        if (leftMs <= 0) throw this.#unplaceable(request, why, isWaiting ? clock.monotonic() - begunMs : 0);
        isWaiting = true;
        this.#options.onWaiting(id, { request, sinceMs: clock.now() - (clock.monotonic() - begunMs), decision: why });
        await this.change(leftMs);
        refused.length = 0;
        error = undefined;
        next = again();
      }
    } finally {
      if (isWaiting) this.#options.onWaiting(id, undefined);
    }
  }

  async #attempt<Made>(
    request: PlacementRequest,
    decision: Placed,
    attempt: (decision: Placed) => Made | Promise<Made>,
  ): Promise<Attempt<Made>> {
    try {
      return { kind: "made", value: await attempt(decision) };
    } catch (error) {
      const { node } = decision;
      // Whatever it was: no sibling came to be there.
      this.#options.placer.ended?.(request, node);
      const isTaken = isFlotillaError(error, "ResourcesTaken");
      // Unavailable: certainly not delivered, so nothing was made and another node will do. Membership may not have seen that it is gone.
      if (!isTaken && !isFlotillaError(error, "Unavailable")) throw error;
      const reason = typeof error.data.reason === "string" ? error.data.reason : error.message;
      return { kind: "refused", error, refusal: { node, reason, passes: error.data.passes === true } };
    }
  }

  #leftMs({ placement }: PlacementRequest, why: Unplaceable, timeoutMs: number | undefined, goneMs: number): number {
    if (timeoutMs !== undefined) return timeoutMs - goneMs;
    if (!why.rejected.some(({ passes }) => passes)) return 0;
    return (placement?.model === undefined ? this.#options.waitMs : MODEL_WAIT_MS) - goneMs;
  }

  #unplaceable(request: PlacementRequest, why: Unplaceable, waitedMs: number): Error {
    const waited = waitedMs === 0 ? "" : ` within ${Math.round(waitedMs / 100) / 10} s`;
    return runtimeError("Unplaceable", `no node for ${request.type}${waited}: ${unplaceable(why)}`, {
      data: { rejected: why.rejected },
    });
  }

  /** Resolves when the fleet has changed, or may have; at the latest after `withinMs`. Rejects with Closed. */
  change(withinMs: number): Promise<void> {
    if (this.#closed !== undefined) return Promise.reject(this.#closed);
    return new Promise((resolve, reject) => {
      const wake = (error?: Error) => {
        this.#waiting.delete(wake);
        late.cancel();
        if (error === undefined) resolve();
        else reject(error);
      };
      const late = this.#options.clock.schedule(Math.min(withinMs, RECHECK_MS), () => wake(), true);
      this.#waiting.add(wake);
    });
  }
}

/** What a placer is asked for a request; `node`: the one that its user named. */
export function placementOf({ type, name, resources, placement }: SpawnRequest, node?: string): PlacementRequest {
  return {
    type,
    ...(name !== undefined && { name }),
    ...(node !== undefined && { node }),
    ...(resources !== undefined && { resources }),
    ...(placement !== undefined && { placement }),
  };
}
