// The other nodes: messages for their actors leave here as envelopes, and theirs for ours come in.
//
//     call ──▶ Outgoing ──▶ outbox[peer] ──one frame per tick──▶ transport ──▶ Incoming ──▶ cell
//     sink ◀── Outgoing ◀────────────────── frame ◀──────────────────────────── RemoteSink ◀──┘
//
// PE1  Envelopes for one peer made in one tick leave as one frame, in the order they were made, cut at BATCH_MAX and at the frame's size.
// PE2  An envelope that certainly will not arrive fails its call at once with Unavailable; nothing is dropped without a word.
// PE3  An answer is matched by its id alone; one that nobody waits for (late, repeated, forged) is dropped.
// PE4  Bytes that are no frame of ours are counted and dropped, and never disturb what else is under way.

import { type Address, formatAddress } from "./address.ts";
import type { Receiver } from "./calls.ts";
import { type Codec, fromWire, type ReviveHandle, toWire } from "./codec.ts";
import type {
  ActorEnd,
  CallEnvelope,
  CastEnvelope,
  ControlEnvelope,
  Envelope,
  ReplyEnvelope,
  SpawnEnvelope,
  WireError,
} from "./envelope.ts";
import { failure, failureOf } from "./failure.ts";
import type { Host, SpawnRequest } from "./host.ts";
import { Message, type ReplySink } from "./message.ts";
import { goneFailure } from "./refusal.ts";
import type { Transport } from "./transport.ts";

const BATCH_MAX = 512;

/** A message whose answer comes from elsewhere. */
interface Outgoing {
  readonly sink: ReplySink;
  readonly peer: string;
  nextChunk: number;
}

export class Peers {
  readonly #host: Host;
  readonly #transport: Transport;
  readonly #codec: Codec;
  readonly #revive: ReviveHandle;
  readonly #outbox = new Map<string, Envelope[]>();
  readonly #outgoing = new Map<number, Outgoing>();
  readonly #incoming = new Map<string, Message>();
  readonly #watches = new Map<number, (end: ActorEnd) => void>();
  readonly #watched = new Map<string, () => void>();
  #lastId = 0;
  #badFrames = 0;

  constructor(host: Host, transport: Transport, codec: Codec, revive: ReviveHandle) {
    this.#host = host;
    this.#transport = transport;
    this.#codec = codec;
    this.#revive = revive;
  }

  /** Frames dropped because they were none of ours (PE4). */
  get badFrames(): number {
    return this.#badFrames;
  }

  listen(): Promise<void> {
    return this.#transport.listen((from, frame) => this.#receive(from, frame));
  }

  // Out ---------------------------------------------------------------------------------------------------------------------

  /** What takes messages for an address on another node. */
  receiver(to: Address): Receiver {
    return { copies: false, receive: (message) => this.#sendMessage(to, message) };
  }

  #sendMessage(to: Address, message: Message): undefined {
    const { method, deadlineMs, chain, sink } = message;
    const args = toWire(message.args, "args") as unknown[];
    if (sink === undefined) {
      this.#post(to.node, { kind: "cast", to, method, args, deadlineMs });
      return;
    }
    const id = this.#expect(to.node, sink);
    const { credit } = message;
    this.#post(to.node, {
      kind: "call",
      id,
      to,
      method,
      args,
      deadlineMs,
      chain,
      ...(credit !== undefined && { credit }),
    });
    if (credit !== undefined) message.credit = 0;
    message.wake = () => this.#tell(id, to.node, message);
  }

  /** Passes a cancel or new credit on to the node that works on the message. */
  #tell(id: number, peer: string, message: Message): void {
    if (!this.#outgoing.has(id)) return;
    if (message.cancelled !== undefined) {
      this.#outgoing.delete(id);
      this.#post(peer, { kind: "cancel", id, reason: message.cancelled.message });
    } else if (message.credit) {
      this.#post(peer, { kind: "credit", id, count: message.credit });
      message.credit = 0;
    }
  }

  #expect(peer: string, sink: ReplySink): number {
    const id = ++this.#lastId;
    this.#outgoing.set(id, { sink, peer, nextChunk: 0 });
    return id;
  }

  /** Has `node` make an actor; `sink` gets its address. */
  spawn(node: string, request: SpawnRequest, deadlineMs: number, sink: ReplySink): void {
    const wire = { ...request, args: toWire(request.args, "args") };
    const id = this.#expect(node, sink);
    this.#post(node, {
      kind: "spawn",
      id,
      type: request.type,
      options: wire as unknown as Record<string, unknown>,
      deadlineMs,
    });
  }

  stop(to: Address, how: "stop" | "kill", timeoutMs: number, sink: ReplySink): void {
    this.#post(to.node, { kind: "stop", id: this.#expect(to.node, sink), to, how, timeoutMs });
  }

  watch(to: Address, onEnd: (end: ActorEnd) => void): () => void {
    const id = ++this.#lastId;
    this.#watches.set(id, onEnd);
    this.#post(to.node, { kind: "watch", id, to });
    return () => {
      if (this.#watches.delete(id)) this.#post(to.node, { kind: "unwatch", id, to });
    };
  }

  #post(peer: string, envelope: Envelope): void {
    const waiting = this.#outbox.get(peer);
    if (waiting === undefined) {
      this.#outbox.set(peer, [envelope]);
      queueMicrotask(() => this.#flush(peer));
    } else if (waiting.push(envelope) >= BATCH_MAX) this.#flush(peer);
  }

  #flush(peer: string): void {
    const batch = this.#outbox.get(peer);
    this.#outbox.delete(peer);
    if (batch !== undefined) this.#sendBatch(peer, batch);
  }

  #sendBatch(peer: string, batch: readonly Envelope[]): void {
    const frame = this.#codec.encodeFrame(batch);
    if (frame.length > this.#transport.frameMaxBytes) return this.#split(peer, batch, frame.length);
    if (this.#transport.send(peer, frame)) return;
    const why = failure("Unavailable", `node ${peer} cannot be reached now`, { node: peer });
    for (const envelope of batch) this.#undeliverable(envelope, why);
  }

  #split(peer: string, batch: readonly Envelope[], bytes: number): void {
    const [only] = batch;
    if (batch.length > 1 || only === undefined) {
      const half = Math.ceil(batch.length / 2);
      this.#sendBatch(peer, batch.slice(0, half));
      this.#sendBatch(peer, batch.slice(half));
      return;
    }
    const maxBytes = this.#transport.frameMaxBytes;
    const why = failure("PayloadTooLarge", `a ${only.kind} of ${bytes} bytes does not fit; at most ${maxBytes} do`, {
      bytes,
      maxBytes,
    });
    // The asking node waits for this answer: it gets the reason instead.
    if (only.kind === "reply" || only.kind === "chunk") this.#post(peer, { kind: "error", id: only.id, error: why });
    else this.#undeliverable(only, why);
  }

  #undeliverable(envelope: Envelope, why: WireError): void {
    switch (envelope.kind) {
      case "cast":
        return this.#host.deadLetter(envelope.to, envelope.method, [], why);
      case "call":
      case "spawn":
      case "stop":
        return this.#settle(envelope.id)?.sink.fail(why);
      case "watch": {
        const onEnd = this.#watches.get(envelope.id);
        this.#watches.delete(envelope.id);
        return onEnd?.({ address: envelope.to, reason: "unknown", error: why });
      }
      default:
        // Answers and signals to a node that is gone: nobody is left to be told.
        return;
    }
  }

  #settle(id: number): Outgoing | undefined {
    const outgoing = this.#outgoing.get(id);
    this.#outgoing.delete(id);
    return outgoing;
  }

  // In ----------------------------------------------------------------------------------------------------------------------

  #receive(from: string, frame: Uint8Array): void {
    const envelopes = this.#codec.decodeFrame(frame);
    if (envelopes === undefined) {
      this.#badFrames++;
      return;
    }
    for (const envelope of envelopes) {
      try {
        this.#dispatch(from, envelope);
      } catch (error) {
        this.#badFrames++;
        this.#host.log("warn", "an envelope was dropped", { from, kind: envelope.kind, error: String(error) });
      }
    }
  }

  #dispatch(from: string, envelope: Envelope): void {
    switch (envelope.kind) {
      case "call":
      case "cast":
        return this.#takeMessage(from, envelope);
      case "spawn":
        return void this.#takeSpawn(from, envelope);
      case "reply":
      case "chunk":
      case "end":
      case "error":
        return this.#takeReply(from, envelope);
      default:
        return this.#takeControl(from, envelope);
    }
  }

  #takeMessage(from: string, envelope: CallEnvelope | CastEnvelope): void {
    const args = fromWire(envelope.args, this.#revive) as unknown[];
    const isCall = envelope.kind === "call";
    const key = isCall ? `${from} ${envelope.id}` : "";
    const sink = isCall ? new RemoteSink(envelope.id, (reply) => this.#answer(from, key, reply)) : undefined;
    const chain = isCall ? envelope.chain : [];
    const credit = isCall ? envelope.credit : undefined;
    const message = new Message(envelope.method, args, envelope.deadlineMs, chain, sink, credit);
    if (isCall) this.#incoming.set(key, message);
    const cell = this.#host.find(envelope.to);
    const why = cell === undefined ? goneFailure(formatAddress(envelope.to)) : cell.receive(message);
    if (why === undefined) return;
    if (sink !== undefined) sink.fail(why);
    else this.#host.deadLetter(envelope.to, envelope.method, args, why);
  }

  #answer(to: string, key: string, reply: ReplyEnvelope): void {
    if (reply.kind !== "chunk") this.#incoming.delete(key);
    this.#post(to, reply);
  }

  async #takeSpawn(from: string, envelope: SpawnEnvelope): Promise<void> {
    const sink = new RemoteSink(envelope.id, (reply) => this.#post(from, reply));
    try {
      const request = envelope.options as unknown as SpawnRequest;
      const args = fromWire(request.args, this.#revive) as unknown[];
      sink.value(await this.#host.spawn({ ...request, args }, undefined));
    } catch (error) {
      sink.fail(failureOf(error, `spawn of ${envelope.type}`));
    }
  }

  #takeReply(from: string, reply: ReplyEnvelope): void {
    const outgoing = this.#outgoing.get(reply.id);
    if (outgoing === undefined || outgoing.peer !== from) return;
    if (reply.kind === "reply") return this.#settle(reply.id)?.sink.value(fromWire(reply.value, this.#revive));
    if (reply.kind === "error") return this.#settle(reply.id)?.sink.fail(reply.error);
    if (reply.sequence !== outgoing.nextChunk) {
      this.#outgoing.delete(reply.id);
      this.#post(from, { kind: "cancel", id: reply.id, reason: "chunks were lost" });
      const why = `chunk ${outgoing.nextChunk} was expected and ${reply.sequence} came`;
      return outgoing.sink.fail(failure("StreamBroken", `the stream lost chunks on the way: ${why}`));
    }
    if (reply.kind === "end") return this.#settle(reply.id)?.sink.end();
    outgoing.nextChunk++;
    outgoing.sink.chunk(fromWire(reply.value, this.#revive));
  }

  #takeControl(from: string, envelope: ControlEnvelope): void {
    const key = `${from} ${envelope.id}`;
    switch (envelope.kind) {
      case "cancel":
        this.#incoming.get(key)?.cancel(failure("Cancelled", envelope.reason));
        this.#incoming.delete(key);
        return;
      case "credit":
        this.#incoming.get(key)?.grant(envelope.count);
        return;
      case "stop":
        return void this.#takeStop(from, envelope.id, envelope.to, envelope.how, envelope.timeoutMs);
      case "watch":
        this.#watched.set(
          key,
          this.#host.watch(envelope.to, (end) => this.#signal(from, key, envelope.id, end)),
        );
        return;
      case "unwatch":
        this.#watched.get(key)?.();
        this.#watched.delete(key);
        return;
      case "signal": {
        const onEnd = this.#watches.get(envelope.id);
        this.#watches.delete(envelope.id);
        return onEnd?.(envelope.end);
      }
    }
  }

  async #takeStop(from: string, id: number, to: Address, how: "stop" | "kill", timeoutMs: number): Promise<void> {
    if (how === "kill") this.#host.kill(to);
    else await this.#host.stop(to, timeoutMs);
    this.#post(from, { kind: "reply", id, value: undefined });
  }

  #signal(to: string, key: string, id: number, end: ActorEnd): void {
    this.#watched.delete(key);
    this.#post(to, { kind: "signal", id, end });
  }

  async close(): Promise<void> {
    for (const peer of [...this.#outbox.keys()]) this.#flush(peer);
    await this.#transport.close();
    const why = failure("Closed", "the system was closed");
    for (const { sink } of [...this.#outgoing.values()]) sink.fail(why);
    this.#outgoing.clear();
  }
}

/** Answers a message that came from another node. */
class RemoteSink implements ReplySink {
  readonly #id: number;
  readonly #send: (reply: ReplyEnvelope) => void;
  #sequence = 0;
  #done = false;

  constructor(id: number, send: (reply: ReplyEnvelope) => void) {
    this.#id = id;
    this.#send = send;
  }

  value(value: unknown): void {
    this.#finish(() => ({ kind: "reply", id: this.#id, value: toWire(value, "result") }));
  }

  chunk(value: unknown): void {
    if (this.#done) return;
    try {
      this.#send({ kind: "chunk", id: this.#id, sequence: this.#sequence, value: toWire(value, "chunk") });
      this.#sequence++;
    } catch (error) {
      this.fail(failureOf(error, "chunk"));
    }
  }

  end(): void {
    this.#finish(() => ({ kind: "end", id: this.#id, sequence: this.#sequence }));
  }

  fail(why: WireError): void {
    this.#finish(() => ({
      kind: "error",
      id: this.#id,
      error: { ...why, data: toWire(why.data, "data") as WireError["data"] },
    }));
  }

  #finish(reply: () => ReplyEnvelope): void {
    if (this.#done) return;
    try {
      const envelope = reply();
      this.#done = true;
      this.#send(envelope);
    } catch (error) {
      this.#done = true;
      const { data: _unsendable, ...why } = failureOf(error, "result");
      this.#send({ kind: "error", id: this.#id, error: { ...why, data: {} } });
    }
  }
}
