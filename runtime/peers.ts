// The other nodes: messages for their actors leave here as envelopes, and theirs for ours come in.
//
//     call ──▶ Outgoing ──▶ outbox[peer] ──one frame per tick──▶ transport ──▶ Incoming ──▶ cell
//     sink ◀── Outgoing ◀────────────────── frame ◀──────────────────────────── RemoteSink ◀──┘
//
// PE1  Envelopes for one peer arrive in the order they were made, unless the transport loses some.
// PE2  An envelope that certainly will not arrive fails its call at once with Unavailable; nothing is dropped without a word.
// PE3  An answer is matched by its id alone; one that nobody waits for (late, repeated, forged) is dropped.
// PE4  Bytes that are no frame of ours are counted and dropped, and never disturb what else is under way.

import { type Address, formatAddress } from "./address.ts";
import type { Receiver } from "./calls.ts";
import { type Cancellable, Message, type ReplySink } from "./cell/message.ts";
import { goneFailure } from "./cell/refusal.ts";
import { type Codec, fromWire, type ReviveHandle, toWire } from "./codec.ts";
import type { Deadlines, Waiting } from "./deadlines.ts";
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
import { Outbox } from "./outbox.ts";
import { RemoteReply } from "./remote-reply.ts";
import type { Transport } from "./transport.ts";

/** A message whose answer comes from elsewhere. */
interface Outgoing {
  readonly sink: ReplySink;
  readonly peer: string;
  nextChunk: number;
}

/** A message that another node waits for. Its deadline is kept here as well: a cancel may get lost. */
class Incoming implements Waiting {
  readonly message: Message;
  readonly deadlineMs: number;
  bucket: Waiting["bucket"] = undefined;
  before: Waiting | undefined = undefined;
  after: Waiting | undefined = undefined;

  constructor(message: Message) {
    this.message = message;
    this.deadlineMs = message.deadlineMs;
  }

  expired(): void {
    this.message.cancel(failure("DeadlineExceeded", "the deadline of the call passed while it ran"));
  }
}

export class Peers {
  readonly #host: Host;
  readonly #transport: Transport;
  readonly #codec: Codec;
  readonly #revive: ReviveHandle;
  readonly #deadlines: Deadlines;
  readonly #outbox: Outbox;
  readonly #outgoing = new Map<number, Outgoing>();
  readonly #incoming = new Map<string, Incoming>();
  readonly #watches = new Map<number, (end: ActorEnd) => void>();
  readonly #watched = new Map<string, () => void>();
  #lastId = 0;
  #badFrames = 0;

  constructor(host: Host, transport: Transport, codec: Codec, revive: ReviveHandle, deadlines: Deadlines) {
    this.#host = host;
    this.#deadlines = deadlines;
    this.#transport = transport;
    this.#codec = codec;
    this.#outbox = new Outbox(transport, codec, (peer, envelope, why) => this.#undeliverable(peer, envelope, why));
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
      this.#outbox.post(to.node, { kind: "cast", to, method, args, deadlineMs });
      return;
    }
    const id = this.#expect(to.node, sink);
    const { credit } = message;
    this.#outbox.post(to.node, {
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
      this.#outbox.post(peer, { kind: "cancel", id, reason: message.cancelled.message });
    } else if (message.credit) {
      this.#outbox.post(peer, { kind: "credit", id, count: message.credit });
      message.credit = 0;
    }
  }

  #expect(peer: string, sink: ReplySink): number {
    const id = ++this.#lastId;
    this.#outgoing.set(id, { sink, peer, nextChunk: 0 });
    return id;
  }

  /** What a question that is no message leaves here when it is given up. */
  #forgetting(id: number): Cancellable {
    return { cancel: () => void this.#outgoing.delete(id) };
  }

  /** Has `node` make an actor; `sink` gets its address. */
  spawn(node: string, request: SpawnRequest, deadlineMs: number, sink: ReplySink): Cancellable {
    const wire = { ...request, args: toWire(request.args, "args") };
    const id = this.#expect(node, sink);
    this.#outbox.post(node, {
      kind: "spawn",
      id,
      type: request.type,
      options: wire as unknown as Record<string, unknown>,
      deadlineMs,
    });
    return this.#forgetting(id);
  }

  stop(to: Address, how: "stop" | "kill", timeoutMs: number, sink: ReplySink): Cancellable {
    const id = this.#expect(to.node, sink);
    this.#outbox.post(to.node, { kind: "stop", id, to, how, timeoutMs });
    return this.#forgetting(id);
  }

  watch(to: Address, onEnd: (end: ActorEnd) => void): () => void {
    const id = ++this.#lastId;
    this.#watches.set(id, onEnd);
    this.#outbox.post(to.node, { kind: "watch", id, to });
    return () => {
      if (this.#watches.delete(id)) this.#outbox.post(to.node, { kind: "unwatch", id, to });
    };
  }

  #undeliverable(peer: string, envelope: Envelope, why: WireError): Envelope | undefined {
    switch (envelope.kind) {
      case "cast":
        this.#host.deadLetter(envelope.to, envelope.method, why);
        break;
      case "call":
      case "spawn":
      case "stop":
        this.#settle(envelope.id)?.sink.fail(why);
        break;
      case "watch": {
        const onEnd = this.#watches.get(envelope.id);
        this.#watches.delete(envelope.id);
        onEnd?.({ address: envelope.to, reason: "unknown", error: why });
        break;
      }
      case "chunk":
        this.#forget(`${peer} ${envelope.id}`)?.message.cancel(why);
        return { kind: "error", id: envelope.id, error: why };
      // Who waits on the other node gets the reason instead of what was too large.
      case "reply":
      case "error":
        return { kind: "error", id: envelope.id, error: why };
      case "signal": {
        const { address, reason } = envelope.end;
        return { ...envelope, end: { address, reason } };
      }
    }
    return undefined;
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
        return this.#takeCall(from, envelope);
      case "cast":
        return this.#takeCast(envelope);
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

  #takeCast({ to, method, args: sent, deadlineMs }: CastEnvelope): void {
    const args = fromWire(sent, this.#revive) as unknown[];
    const message = new Message(method, args, deadlineMs, [], undefined, undefined);
    const cell = this.#host.find(to);
    const why = cell === undefined ? goneFailure(formatAddress(to)) : cell.receive(message);
    if (why !== undefined) this.#host.deadLetter(to, method, why);
  }

  #takeCall(from: string, { id, to, method, args: sent, deadlineMs, chain, credit }: CallEnvelope): void {
    const args = fromWire(sent, this.#revive) as unknown[];
    const cell = this.#host.find(to);
    const key = `${from} ${id}`;
    const sink = new RemoteReply(
      id,
      (reply) => this.#answer(from, key, reply),
      (why) => incoming.message.cancel(why),
    );
    const incoming = new Incoming(new Message(method, args, deadlineMs, chain, sink, credit));
    this.#incoming.set(key, incoming);
    this.#deadlines.add(incoming);
    const why = cell === undefined ? goneFailure(formatAddress(to)) : cell.receive(incoming.message);
    if (why !== undefined) sink.fail(why);
  }

  #answer(to: string, key: string, reply: ReplyEnvelope): void {
    if (reply.kind !== "chunk") this.#forget(key);
    this.#outbox.post(to, reply);
  }

  #forget(key: string): Incoming | undefined {
    const incoming = this.#incoming.get(key);
    if (incoming === undefined) return undefined;
    this.#incoming.delete(key);
    this.#deadlines.remove(incoming);
    return incoming;
  }

  async #takeSpawn(from: string, envelope: SpawnEnvelope): Promise<void> {
    const sink = new RemoteReply(envelope.id, (reply) => this.#outbox.post(from, reply));
    if (envelope.deadlineMs <= this.#host.clock.now()) return;
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
    if (outgoing === undefined || outgoing.peer !== from) {
      // Somebody still streams to a reader who has left: the cancel got lost.
      if (reply.kind === "chunk")
        this.#outbox.post(from, { kind: "cancel", id: reply.id, reason: "nobody reads the stream" });
      return;
    }
    if (reply.kind === "reply") {
      const value = fromWire(reply.value, this.#revive);
      return this.#settle(reply.id)?.sink.value(value);
    }
    if (reply.kind === "error") {
      const error = checkedError(reply.error);
      return this.#settle(reply.id)?.sink.fail(error);
    }
    if (reply.sequence !== outgoing.nextChunk) {
      this.#outgoing.delete(reply.id);
      this.#outbox.post(from, { kind: "cancel", id: reply.id, reason: "chunks were lost" });
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
        return this.#forget(key)?.message.cancel(failure("Cancelled", envelope.reason));
      case "credit":
        return this.#incoming.get(key)?.message.grant(envelope.count);
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
      default:
        throw new TypeError("unknown kind");
    }
  }

  async #takeStop(from: string, id: number, to: Address, how: "stop" | "kill", timeoutMs: number): Promise<void> {
    const sink = new RemoteReply(id, (reply) => this.#outbox.post(from, reply));
    try {
      if (how === "kill") this.#host.kill(to);
      else await this.#host.stop(to, timeoutMs);
      sink.value(undefined);
    } catch (error) {
      sink.fail(failureOf(error, how));
    }
  }

  #signal(to: string, key: string, id: number, end: ActorEnd): void {
    this.#watched.delete(key);
    this.#outbox.post(to, { kind: "signal", id, end });
  }

  async close(): Promise<void> {
    this.#outbox.close();
    await this.#transport.close();
    const why = failure("Closed", "the system was closed");
    for (const { sink } of [...this.#outgoing.values()]) sink.fail(why);
    this.#outgoing.clear();
  }
}

/** Throws for what is no failure: an answer that says nothing must not settle a call. */
function checkedError(error: WireError): WireError {
  if (typeof error.code !== "string" || typeof error.message !== "string") throw new TypeError("not a failure");
  return { ...error, data: error.data ?? {} };
}
