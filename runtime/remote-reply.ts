// The answering side of a call that came from another node: turns what an actor answers into envelopes.
// It is not how they get there (peers.ts).
//
// RR1  One end is sent, whatever the actor does: a value, a failure or a stream's end.
// RR2  What cannot be sent becomes a failure that can.

import type { ReplySink } from "./cell/message.ts";
import { toWire } from "./codec.ts";
import type { ReplyEnvelope, WireError } from "./envelope.ts";
import type { ErrorData } from "./errors.ts";
import { failureOf } from "./failure.ts";

export class RemoteReply implements ReplySink {
  readonly #id: number;
  readonly #send: (reply: ReplyEnvelope) => void;
  readonly #broken: (why: WireError) => void;
  #sequence = 0;
  #done = false;

  /** `broken` is told when a stream ends here because a chunk of it cannot be sent: nobody will give it credit any more. */
  constructor(id: number, send: (reply: ReplyEnvelope) => void, broken: (why: WireError) => void = () => {}) {
    this.#id = id;
    this.#send = send;
    this.#broken = broken;
  }

  value(value: unknown): void {
    if (this.#done) return;
    let wire: unknown;
    try {
      wire = toWire(value, "result");
    } catch (error) {
      return this.fail(failureOf(error, "result"));
    }
    this.#done = true;
    this.#send({ kind: "reply", id: this.#id, value: wire });
  }

  chunk(value: unknown): void {
    if (this.#done) return;
    let wire: unknown;
    try {
      wire = toWire(value, "chunk");
    } catch (error) {
      const why = failureOf(error, "chunk");
      this.fail(why);
      return this.#broken(why);
    }
    this.#send({ kind: "chunk", id: this.#id, sequence: this.#sequence++, value: wire });
  }

  end(): void {
    if (this.#done) return;
    this.#done = true;
    this.#send({ kind: "end", id: this.#id, sequence: this.#sequence });
  }

  fail(why: WireError): void {
    if (this.#done) return;
    this.#done = true;
    this.#send({ kind: "error", id: this.#id, error: { ...why, data: sendable(why.data) } });
  }
}

/** The code matters more than details that cannot travel. */
function sendable(data: ErrorData): ErrorData {
  try {
    return toWire(data, "data") as ErrorData;
  } catch {
    return {};
  }
}
