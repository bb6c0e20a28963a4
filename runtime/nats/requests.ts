// Requests over one reply subject: many in flight, no subscription and no timer for each.
// It repeats nothing and maps nothing; connection.ts does.
//
// R1  Every request ends: with its answer, by its time limit, or at once when the connection is lost (`lose`).
// R2  At most IN_FLIGHT_MAX are in flight.
//
// nats.js has `request()`, but it keeps a timer and two promises for each, and a request made or caught by an outage can only time out.

import type { Msg, MsgHdrs, NatsConnection, Subscription } from "@nats-io/transport-node";
import type { Clock, Timer } from "../clock.ts";
import { unavailable } from "./failures.ts";

const IN_FLIGHT_MAX = 65_536;
/** How late a time limit may be noticed. */
const SWEEP_MS = 250;
const NO_RESPONDERS = 503;

/** What became of one request. `lost`: nobody knows whether it was done. `nobody`: it was not done. */
export type Outcome =
  | { readonly kind: "answered"; readonly reply: Msg }
  | { readonly kind: "lost" }
  | { readonly kind: "nobody" }
  | { readonly kind: "refused"; readonly error: Error };

interface Pending {
  readonly subject: string;
  readonly endMs: number;
  /** Takes one reply; true when it was the last. */
  readonly take: (reply: Msg) => boolean;
  readonly end: (outcome: Outcome) => void;
}

export class Requests {
  readonly #nc: NatsConnection;
  readonly #clock: Clock;
  readonly #inbox: string;
  readonly #pending = new Map<string, Pending>();
  readonly #subscription: Subscription;
  #counter = 0;
  #sweep: Timer | undefined;

  /** `inbox`: a subject prefix of this connection alone. */
  constructor(nc: NatsConnection, inbox: string, clock: Clock) {
    this.#nc = nc;
    this.#clock = clock;
    this.#inbox = `${inbox}.`;
    this.#subscription = nc.subscribe(`${this.#inbox}*`, { callback: (_, reply) => this.#take(reply) });
  }

  /** Asks once; `take` gets each reply and says which is the last (default: the first is). */
  ask(
    subject: string,
    payload: Uint8Array,
    headers: MsgHdrs | undefined,
    timeoutMs: number,
    take: (reply: Msg) => boolean = () => true,
  ): Promise<Outcome> {
    return new Promise((resolve, reject) => {
      if (this.#pending.size >= IN_FLIGHT_MAX) {
        return reject(unavailable(`${IN_FLIGHT_MAX} requests are in flight to the server; wait for some of them`));
      }
      const token = (this.#counter++).toString(36);
      const endMs = this.#clock.monotonic() + timeoutMs;
      this.#pending.set(token, { subject, endMs, take, end: resolve });
      this.#sweep ??= this.#clock.schedule(SWEEP_MS, () => this.#endLate(), true);
      const reply = this.#inbox + token;
      try {
        this.#nc.publish(subject, payload, headers === undefined ? { reply } : { reply, headers });
      } catch (error) {
        this.#end(token, { kind: "refused", error: error as Error });
      }
    });
  }

  /** Ends all that is in flight: the connection is gone (R1). */
  lose(): void {
    for (const token of [...this.#pending.keys()]) this.#end(token, { kind: "lost" });
  }

  /** Ends what was asked on `subject`: the server refuses publishing there, and says so without naming the request. */
  refuse(subject: string, error: Error): void {
    for (const [token, pending] of [...this.#pending]) {
      if (pending.subject === subject) this.#end(token, { kind: "refused", error });
    }
  }

  close(): void {
    this.lose();
    this.#sweep?.cancel();
    this.#sweep = undefined;
    if (!this.#nc.isClosed()) this.#subscription.unsubscribe();
  }

  #take(reply: Msg): void {
    const token = reply.subject.slice(this.#inbox.length);
    const pending = this.#pending.get(token);
    if (pending === undefined) return;
    if (reply.data.length === 0 && reply.headers?.code === NO_RESPONDERS) this.#end(token, { kind: "nobody" });
    else if (pending.take(reply)) this.#end(token, { kind: "answered", reply });
  }

  #end(token: string, outcome: Outcome): void {
    const pending = this.#pending.get(token);
    this.#pending.delete(token);
    pending?.end(outcome);
  }

  #endLate(): void {
    this.#sweep = undefined;
    const nowMs = this.#clock.monotonic();
    for (const [token, pending] of [...this.#pending]) if (pending.endMs <= nowMs) this.#end(token, { kind: "lost" });
    if (this.#pending.size > 0) this.#sweep = this.#clock.schedule(SWEEP_MS, () => this.#endLate(), true);
  }
}
