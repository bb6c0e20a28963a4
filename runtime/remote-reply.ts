// The answering side of a question that came from another node: turns what an actor answers into envelopes.
// It is not how they get there (peer.ts).
//
// RR1  One end is sent, whatever the actor does: a value, a failure or a stream's end.
// RR2  What cannot be sent becomes a failure that can.
// RR3  The question's deadline is kept here as well as where it was asked: a cancel may get lost.

import type { Message, ReplySink } from "./cell/message.ts";
import { toWire } from "./codec.ts";
import { isSimple } from "./copy.ts";
import type { Waiting } from "./deadlines.ts";
import type { ReplyEnvelope, WireError } from "./envelope.ts";
import type { ErrorData } from "./errors.ts";
import { failure, failureOf } from "./failure.ts";

/** The way back to who asked. */
export interface ReplyChannel {
  /** A value as it travels; to be given to `answer` at once. Throws NotSendable. */
  wire(value: unknown, root: string): unknown;
  /** Sends an answer; all but chunks are the last one. */
  answer(reply: ReplyEnvelope): void;
}

export class RemoteReply implements ReplySink, Waiting {
  readonly deadlineMs: number;
  bucket: Waiting["bucket"] = undefined;
  before: Waiting | undefined = undefined;
  after: Waiting | undefined = undefined;
  /** The message that works on it; undefined for what is no call. */
  message: Message | undefined = undefined;
  readonly #id: number;
  readonly #channel: ReplyChannel;
  #sequence = 0;
  #done = false;

  constructor(id: number, channel: ReplyChannel, deadlineMs: number) {
    this.#id = id;
    this.#channel = channel;
    this.deadlineMs = deadlineMs;
  }

  value(value: unknown): void {
    if (this.#done) return;
    let wire = value;
    if (!isSimple(value)) {
      try {
        wire = this.#channel.wire(value, "result");
      } catch (error) {
        return this.fail(failureOf(error, "result"));
      }
    }
    this.#done = true;
    this.#channel.answer({ kind: "reply", id: this.#id, value: wire });
  }

  chunk(value: unknown): void {
    if (this.#done) return;
    let wire: unknown;
    try {
      wire = this.#channel.wire(value, "chunk");
    } catch (error) {
      const why = failureOf(error, "chunk");
      this.fail(why);
      // The stream ends here, and nobody will give it credit any more.
      this.message?.cancel(why);
      return;
    }
    this.#channel.answer({ kind: "chunk", id: this.#id, sequence: this.#sequence++, value: wire });
  }

  end(): void {
    if (this.#done) return;
    this.#done = true;
    this.#channel.answer({ kind: "end", id: this.#id, sequence: this.#sequence });
  }

  fail(why: WireError): void {
    if (this.#done) return;
    this.#done = true;
    this.#channel.answer({ kind: "error", id: this.#id, error: sendable(why) });
  }

  /** Whoever asked has gone or no longer cares: nothing more is sent, and the work is told. */
  abandon(why: WireError): void {
    this.#done = true;
    this.message?.cancel(why);
  }

  expired(): void {
    const why = failure("DeadlineExceeded", "the deadline of the call passed while it ran");
    this.message?.cancel(why);
    // Whoever asked may have gone without a word, and the method may never return: nothing of it is kept.
    this.fail(why);
  }
}

/** A failure as it may travel: the code matters more than details that cannot. */
export function sendable(why: WireError): WireError {
  try {
    return { ...why, data: toWire(why.data, "data") as ErrorData };
  } catch {
    return { ...why, data: {} };
  }
}
