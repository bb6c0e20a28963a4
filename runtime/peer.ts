// One other node: messages for its actors leave here as envelopes, and its messages for ours come in.
//
//     call ──▶ outgoing ──▶ outbox ──one frame per tick──▶ transport ──▶ incoming ──▶ cell
//     sink ◀── outgoing ◀───────────── frame ◀───────────────────────── RemoteReply ◀──┘
//
// PE1  Envelopes for one peer arrive in the order they were made, unless the transport loses some.
// PE2  An envelope that certainly will not arrive fails its call at once with Unavailable; nothing is dropped without a word.
// PE3  An answer is matched by its sender and id; one that nobody waits for (late, repeated, forged) is dropped. Ids are never used again, also
//      not when a node that was given up comes back: what it still says is about questions that are over.
// PE4  When frames may have been lost, each side asks the other which of its calls it still works on, until it is heard; the rest fail with
//      Unknown. Streams are broken off by both sides: chunks and credit that were lost would leave them waiting for each other.
// PE5  Once the node is gone, whoever waits for it is told at once, and what it waits for here is given up.

import { type Address, formatAddress } from "./address.ts";
import type { Receiver } from "./calls.ts";
import { Message, type ReplySink } from "./cell/message.ts";
import { goneFailure, movedFailure } from "./cell/refusal.ts";
import { fromWire, LendingWriter, type ReviveHandle, toWire } from "./codec.ts";
import type { Deadlines } from "./deadlines.ts";
import type { CallEnvelope, CallExtras, CastEnvelope, Envelope, ReplyEnvelope, WireError } from "./envelope.ts";
import type { ErrorData } from "./errors.ts";
import { failure } from "./failure.ts";
import type { Host } from "./host.ts";
import { IdTable } from "./id-table.ts";
import { Outbox, type Range, type Way } from "./outbox.ts";
import { RemoteReply, type ReplyChannel } from "./remote-reply.ts";
import { type DeathCause, departed } from "./roll.ts";
import { traceFrom } from "./trace.ts";

/** What a peer needs of its node. */
export interface PeerNode extends Way {
  readonly host: Host;
  readonly deadlines: Deadlines;
  readonly revive: ReviveHandle;
  /** Told when an envelope that is no call and no answer will not arrive. */
  undeliverable(peer: Peer, envelope: Envelope, why: WireError): Envelope | undefined;
}

export class Peer implements Receiver, ReplyChannel {
  /** Arguments are encoded instead. */
  readonly copies = false;
  readonly node: string;
  readonly #own: PeerNode;
  readonly #outbox: Outbox;
  readonly #writer = new LendingWriter();
  /** What is asked of the peer, by our id. */
  readonly #outgoing = new IdTable<ReplySink>();
  /** For those of them that stream: the sequence of the next chunk. */
  readonly #nextChunk = new Map<number, number>();
  /** What the peer asks of us, by its id. */
  readonly #incoming = new IdTable<RemoteReply>();
  #lastId: number;

  /** `lastId`: numbers up to it have been used for this node, or may have been. */
  constructor(node: string, own: PeerNode, lastId = 0) {
    this.node = node;
    this.#lastId = lastId;
    this.#own = own;
    this.#outbox = new Outbox(node, own, (envelope, why) => this.#undeliverable(envelope, why));
  }

  /** The number of what was asked last. */
  get lastId(): number {
    return this.#lastId;
  }

  /** What is not yet answered, in either direction. */
  get underWay(): number {
    return this.#outgoing.size + this.#incoming.size;
  }

  // Out ---------------------------------------------------------------------------------------------------------------------

  receive(message: Message, to: Address): undefined {
    const { method, deadlineMs, chain, sink, credit } = message;
    const args = this.wire(message.args, "args") as unknown[];
    const extras = extrasOf(message);
    if (sink === undefined) {
      this.post({ kind: "cast", to, method, args, deadlineMs, ...(extras && { extras }) });
      return;
    }
    const id = this.expect(sink);
    message.wireId = id;
    message.wake = this.#tell;
    if (credit === undefined && extras === undefined) {
      this.post({ kind: "call", id, to, method, args, deadlineMs, chain });
      return;
    }
    if (credit !== undefined) {
      message.credit = 0;
      this.#nextChunk.set(id, 0);
    }
    const more = { ...(credit !== undefined && { credit }), ...(extras && { extras }) };
    this.post({ kind: "call", id, to, method, args, deadlineMs, chain, ...more });
  }

  /** Passes a cancel or new credit on to the node that works on the message. */
  readonly #tell = (message: Message): void => {
    const id = message.wireId;
    if (this.#outgoing.get(id) === undefined) return;
    if (message.cancelled !== undefined) {
      this.forget(id);
      this.post({ kind: "cancel", id, reason: message.cancelled.message });
    } else if (message.credit) {
      this.post({ kind: "credit", id, count: message.credit });
      message.credit = 0;
    }
  };

  /** An id for something asked; its answer goes to `sink`. */
  expect(sink: ReplySink): number {
    const id = ++this.#lastId;
    this.#outgoing.set(id, sink);
    return id;
  }

  /** Nobody waits for this answer any more. */
  forget(id: number): void {
    this.#outgoing.take(id);
    this.#nextChunk.delete(id);
  }

  post(envelope: Envelope): void {
    this.#outbox.post(envelope);
    if (this.#writer.takeLent()) this.#outbox.flush(true);
  }

  fail(id: number, why: WireError): void {
    this.#settle(id)?.fail(why);
  }

  #settle(id: number): ReplySink | undefined {
    const sink = this.#outgoing.take(id);
    if (this.#nextChunk.size > 0) this.#nextChunk.delete(id);
    return sink;
  }

  #undeliverable(envelope: Envelope, why: WireError): Envelope | undefined {
    switch (envelope.kind) {
      case "cast":
        this.#own.host.deadLetter(envelope.to, envelope.method, why);
        return undefined;
      case "call":
      case "spawn":
      case "load":
      case "stop":
        this.fail(envelope.id, why);
        return undefined;
      case "chunk":
        this.#finish(envelope.id)?.abandon(why);
        return { kind: "error", id: envelope.id, error: why };
      // Who waits on the other node gets the reason instead of what was too large.
      case "reply":
      case "error":
        return { kind: "error", id: envelope.id, error: hasRun(why) };
      default:
        return this.#own.undeliverable(this, envelope, why);
    }
  }

  // In ----------------------------------------------------------------------------------------------------------------------

  takeCast({ to, method, args: sent, deadlineMs, extras }: CastEnvelope, isTagged: boolean): void {
    const { host, revive } = this.#own;
    const args = (isTagged ? fromWire(sent, revive) : sent) as unknown[];
    const message = withExtras(new Message(method, args, deadlineMs, [], undefined, undefined), extras);
    const cell = host.find(to);
    const why = cell === undefined ? this.#gone(to) : cell.receive(message);
    if (why !== undefined) host.deadLetter(to, method, why);
  }

  /** Why nobody takes what came for `to`. Whoever sent it then looks for the actor where it lives now (RT1). */
  #gone(to: Address): WireError {
    const label = formatAddress(to);
    if (this.#own.host.isBeingMade(to)) return failure("Unavailable", `${label} is being made`, { address: label });
    return this.left(to) ?? goneFailure(label);
  }

  /** Tells the peer when an actor that is not here any more lives elsewhere, and answers what to say; undefined when it is no more. */
  left(to: Address): WireError | undefined {
    const key = this.#own.host.holdings.entryLeft(to);
    if (key === undefined) return undefined;
    this.post({ kind: "moved", id: 0, actor: to.id, key });
    return movedFailure(formatAddress(to));
  }

  takeCall({ id, to, method, args: sent, deadlineMs, chain, credit, extras }: CallEnvelope, isTagged: boolean): void {
    const { host, revive, deadlines } = this.#own;
    const args = (isTagged ? fromWire(sent, revive) : sent) as unknown[];
    const reply = new RemoteReply(id, this, deadlineMs);
    const message = new Message(method, args, deadlineMs, chain, reply, credit);
    if (extras !== undefined) withExtras(message, extras);
    reply.message = message;
    this.#incoming.set(id, reply);
    deadlines.add(reply);
    const cell = host.find(to);
    const why = cell === undefined ? this.#gone(to) : cell.receive(message);
    if (why !== undefined) reply.fail(why);
  }

  wire(value: unknown, root: string): unknown {
    return this.#outbox.isReady ? this.#writer.write(value, root) : toWire(value, root);
  }

  answer(reply: ReplyEnvelope): void {
    if (reply.kind !== "chunk") this.#finish(reply.id);
    this.post(reply);
  }

  /** A question that is no call, to be answered by its sink. */
  question(id: number, deadlineMs: number): RemoteReply {
    const reply = new RemoteReply(id, this, deadlineMs);
    this.#incoming.set(id, reply);
    return reply;
  }

  #finish(id: number): RemoteReply | undefined {
    const reply = this.#incoming.take(id);
    if (reply !== undefined) this.#own.deadlines.remove(reply);
    return reply;
  }

  takeCancel(id: number, reason: string): void {
    this.#finish(id)?.abandon(failure("Cancelled", reason));
  }

  takeCredit(id: number, count: number): void {
    if (Number.isSafeInteger(count) && count > 0) this.#incoming.get(id)?.message?.grant(count);
  }

  takeReply(reply: ReplyEnvelope, isTagged: boolean): void {
    const { id } = reply;
    switch (reply.kind) {
      case "reply": {
        const value = isTagged ? fromWire(reply.value, this.#own.revive) : reply.value;
        this.#settle(id)?.value(value);
        return;
      }
      case "error": {
        const error = errorIn(reply.error, isTagged, this.#own.revive);
        this.#settle(id)?.fail(error);
        return;
      }
      case "chunk":
      case "end":
        this.#takeChunk(reply, isTagged);
    }
  }

  #takeChunk(reply: ReplyEnvelope & { readonly kind: "chunk" | "end" }, isTagged: boolean): void {
    const { id, sequence } = reply;
    const sink = this.#outgoing.get(id);
    if (sink === undefined) {
      // Somebody still streams to a reader who has left: the cancel got lost.
      if (reply.kind === "chunk") this.post({ kind: "cancel", id, reason: "nobody reads the stream" });
      return;
    }
    const expected = this.#nextChunk.get(id) ?? 0;
    if (sequence !== expected) {
      this.forget(id);
      this.post({ kind: "cancel", id, reason: "chunks were lost" });
      const why = `chunk ${expected} was expected and ${sequence} came`;
      return sink.fail(failure("StreamBroken", `the stream lost chunks on the way: ${why}`));
    }
    if (reply.kind === "end") return this.#settle(id)?.end();
    this.#nextChunk.set(id, expected + 1);
    sink.chunk(isTagged ? fromWire(reply.value, this.#own.revive) : reply.value);
  }

  // Loss --------------------------------------------------------------------------------------------------------------------

  /** A frame of ours with these asks found nobody. */
  lost({ first, last }: Range, why: WireError): void {
    for (let id = first; id <= last; id++) this.fail(id, why);
  }

  /** Something of the peer's cannot be had or read here: whoever waits for it, on either side, is told. `why`: what an asker hears. */
  unreadable(of: string, id: number, why: WireError): void {
    switch (of) {
      case "call":
      case "spawn":
      case "load":
      case "stop":
        this.#finish(id)?.abandon(why);
        return this.post({ kind: "error", id, error: why });
      case "chunk":
        this.post({ kind: "cancel", id, reason: why.message });
        return this.fail(id, failure("StreamBroken", `a chunk of the stream did not arrive: ${why.message}`));
      case "reply":
      case "end":
      case "error":
        return this.fail(id, hasRun(why));
      case "cast":
        this.#own.host.deadLetter(unknownActor(this.#own.node), "cast", why);
    }
  }

  /** The connection is there again: frames in either direction may be gone (PE4). */
  restored(): void {
    this.#breakStreams();
    this.post({ kind: "reconnected", id: 0 });
    this.probe();
    this.#outbox.restored();
  }

  /** The peer's connection broke and is there again. */
  reconnected(): void {
    this.#breakStreams();
    this.probe();
  }

  #breakStreams(): void {
    const why = failure("StreamBroken", `the connection to ${this.node} broke; part of the stream may be lost`);
    for (const id of [...this.#nextChunk.keys()]) this.fail(id, why);
    for (const id of this.#incoming.ids()) {
      if (this.#incoming.get(id)?.message?.credit !== undefined) this.#finish(id)?.abandon(why);
    }
  }

  /** Says what we wait for, also when that is nothing: the peer may work on something that we gave up. */
  probe(): void {
    this.post({ kind: "probe", id: 0, ids: this.#outgoing.ids() });
  }

  /** Everything that the peer still waits for: what else we work on for it, it has given up, and what we do not work on, it must hear. */
  takeProbe(ids: readonly number[]): void {
    const awaited = new Set(ids);
    const over = failure("Cancelled", `node ${this.node} no longer waits for it; word of that was lost`);
    for (const id of this.#incoming.ids()) if (!awaited.has(id)) this.#finish(id)?.abandon(over);
    this.post({ kind: "forgotten", id: 0, ids: ids.filter((id) => this.#incoming.get(id) === undefined) });
  }

  takeForgotten(ids: readonly number[]): void {
    const why = failure("Unknown", `the connection to ${this.node} broke meanwhile; whether it ran is not known`, {
      node: this.node,
    });
    for (const id of ids) this.fail(id, why);
  }

  /** The node is gone for good (PE5). */
  gone(cause?: DeathCause): void {
    const message = `${departed(this.node, cause)} before it answered; whether it ran is not known`;
    const why = failure("Unknown", message, { node: this.node, ...(cause && { why: cause.code }) });
    for (const id of this.#outgoing.ids()) this.fail(id, why);
    const over = failure("Cancelled", `node ${this.node}, which asked for this, is gone`);
    for (const id of this.#incoming.ids()) this.#finish(id)?.abandon(over);
  }

  /** Sends what waits and fails what is waited for. */
  flush(): void {
    this.#outbox.close();
  }

  close(): void {
    const why = failure("Closed", "the system was closed");
    for (const id of this.#outgoing.ids()) this.fail(id, why);
  }
}

/** What the message carries beyond its arguments; undefined for most. */
function extrasOf({ lane, key, trace, attempt }: Message): CallExtras | undefined {
  const isPlain = lane === "interactive" && key === undefined && trace === undefined && attempt === undefined;
  if (isPlain) return undefined;
  return {
    ...(lane === "bulk" && { lane }),
    ...(key !== undefined && { key }),
    ...(trace !== undefined && { trace: trace.traceparent }),
    ...(trace?.tracestate !== undefined && { traceState: trace.tracestate }),
    ...(attempt !== undefined && { attempt }),
  };
}

function withExtras(message: Message, extras: CallExtras | undefined): Message {
  if (extras?.trace !== undefined) message.trace = traceFrom(extras.trace, extras.traceState);
  if (extras?.lane === "bulk") message.lane = "bulk";
  if (extras?.key !== undefined) message.key = extras.key;
  if (extras?.attempt !== undefined) message.attempt = extras.attempt;
  return message;
}

/** The failure that an envelope brought. Throws for what is none. */
export function errorIn(error: WireError, isTagged: boolean, revive: ReviveHandle): WireError {
  if (typeof error?.code !== "string" || typeof error.message !== "string") throw new TypeError("not a failure");
  const data = (isTagged ? fromWire(error.data, revive) : error.data) ?? {};
  return { ...error, data: data as ErrorData };
}

/** "Cannot be reached now" would say that the method did not run. */
const hasRun = (why: WireError): WireError =>
  why.code === "Unavailable"
    ? { ...failure("Unknown", `it ran; its answer was lost: ${why.message}`), data: why.data }
    : why;

/** Whom a message was for that nobody can read any more. */
export const unknownActor = (node: string): Address => ({ node, id: "?", type: "?", incarnation: 0 });
