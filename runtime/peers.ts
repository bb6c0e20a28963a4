// The other nodes, and what passes between nodes beside calls and answers: spawns, stops, watches, and word of lost frames.
// It is not how one call travels (peer.ts).
//
// PS1  Bytes that are no frame of ours are counted and dropped, and never disturb what else is under way.
// PS2  Frames of one peer are taken in the order they came, also while one of them is fetched from blobs.

import type { Address } from "./address.ts";
import type { Blobs } from "./blobs.ts";
import type { Cancellable, ReplySink } from "./cell/message.ts";
import type { Timer } from "./clock.ts";
import { type Codec, type Frame, fromWire, type ReviveHandle, toWire } from "./codec.ts";
import type { Counts } from "./counts.ts";
import type { Deadlines } from "./deadlines.ts";
import type { ActorEnd, Envelope, SpawnEnvelope, WireError } from "./envelope.ts";
import { failure, failureOf } from "./failure.ts";
import type { Host, SpawnRequest } from "./host.ts";
import { type LogLine, type LogSink, receiveLogLines } from "./log.ts";
import { readReceipt } from "./outbox.ts";
import { Peer, type PeerNode } from "./peer.ts";
import { RemoteWatches } from "./remote-watches.ts";
import type { Transport } from "./transport.ts";
import type { TypeRequest } from "./types.ts";

export interface PeersOptions {
  readonly node: string;
  readonly host: Host;
  readonly transport: Transport;
  readonly codec: Codec;
  readonly revive: ReviveHandle;
  readonly deadlines: Deadlines;
  /** Blobs that all nodes share, for frames too large to send. */
  readonly blobs: Blobs | undefined;
  readonly counts: Counts;
  /** Takes what this process's actors on other nodes log. */
  readonly log: LogSink;
  /** Told when the connection is there again, before anything is sent. */
  readonly reconnected: () => void;
  /** Has a type ready here and takes its tasks. */
  readonly load: (request: TypeRequest) => Promise<void>;
  /** Whether a node is known to be no more. */
  readonly isDeparted: (node: string) => boolean;
  /** Told when a node has given up an actor of its own, which has an entry. */
  readonly moved: (key: string, node: string, actor: string) => void;
}

/** Departed nodes that are remembered: messages for others find out by themselves. */
const DEPARTED_MAX = 10_000;

/** Between two tries of what must be heard. */
const AGAIN_MS = 250;

export class Peers implements PeerNode {
  readonly node: string;
  readonly host: Host;
  readonly transport: Transport;
  readonly codec: Codec;
  readonly revive: ReviveHandle;
  readonly deadlines: Deadlines;
  readonly blobs: Blobs | undefined;
  readonly counts: Counts;
  readonly #peers = new Map<string, Peer>();
  /** Node ids are never used again, so what departed stays so. */
  readonly #departed = new Set<string>();
  readonly #watches: RemoteWatches;
  /** Frames that came while an earlier one of their peer is fetched (PS2). */
  readonly #stalled = new Map<Peer, Uint8Array[]>();
  readonly #log: LogSink;
  readonly #reconnected: () => void;
  readonly #load: (request: TypeRequest) => Promise<void>;
  readonly #moved: PeersOptions["moved"];
  readonly #isDeparted: (node: string) => boolean;
  readonly #asking = new Map<string, Timer>();
  /** The highest id that any peer given up had used (PE3). */
  #lastId = 0;
  #isBroken = false;

  constructor(options: PeersOptions) {
    this.node = options.node;
    this.host = options.host;
    this.transport = options.transport;
    this.codec = options.codec;
    this.revive = options.revive;
    this.deadlines = options.deadlines;
    this.blobs = options.blobs;
    this.counts = options.counts;
    this.#watches = new RemoteWatches(options.host);
    this.#log = options.log;
    this.#reconnected = options.reconnected;
    this.#load = options.load;
    this.#moved = options.moved;
    this.#isDeparted = options.isDeparted;
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  listen(): Promise<void> {
    return this.transport.listen({
      frame: (from, frame) => this.#receive(this.at(from), frame),
      lost: (peer, receipt) => {
        const lost = readReceipt(receipt);
        this.at(peer).lost(lost);
        if (lost.again > 0) this.#askAgain(peer);
      },
      broken: () => {
        this.#isBroken = true;
        this.host.log("warn", "the connection to the fleet's server is lost; it is being renewed");
      },
      restored: () => {
        this.#isBroken = false;
        this.host.log("info", "the connection to the fleet's server is there again");
        this.#reconnected();
        for (const peer of this.#peers.values()) peer.restored();
        this.#watches.again();
      },
    });
  }

  /** The others may have given this node up meanwhile, and with it all that they did for it and told it (PE5). */
  rejoined(): void {
    for (const peer of this.#peers.values()) peer.probe();
    this.#watches.again();
  }

  /** What must be heard and found nobody: the node may not be back yet after a loss of the server, or it is dead. */
  #askAgain(node: string): void {
    if (this.#asking.has(node)) return;
    this.#asking.set(
      node,
      this.host.clock.schedule(AGAIN_MS, () => {
        this.#asking.delete(node);
        if (this.#isDeparted(node)) return this.gone(node);
        const peer = this.#peers.get(node);
        peer?.probe();
        if (peer !== undefined) this.#watches.again(peer);
      }),
    );
  }

  /** The way to a node; undefined when it is known to have departed. */
  find(node: string): Peer | undefined {
    return this.#peers.get(node) ?? (this.#departed.has(node) ? undefined : this.at(node));
  }

  /** The node with this name, whether it is there or not. */
  at(node: string): Peer {
    let peer = this.#peers.get(node);
    if (peer === undefined) {
      peer = new Peer(node, this, this.#lastId);
      this.#peers.set(node, peer);
    }
    return peer;
  }

  // Out ---------------------------------------------------------------------------------------------------------------------

  /** Has `node` make an actor; `sink` gets its address. */
  spawn(node: string, request: SpawnRequest, deadlineMs: number, sink: ReplySink): Cancellable {
    const wire = { ...request, args: toWire(request.args, "args") };
    return this.#ask(node, sink, (id) => ({
      kind: "spawn",
      id,
      type: request.type,
      options: wire as unknown as Record<string, unknown>,
      deadlineMs,
    }));
  }

  /** Has `node` load a type's code and take its tasks. */
  load(node: string, request: TypeRequest, deadlineMs: number, sink: ReplySink): Cancellable {
    return this.#ask(node, sink, (id) => ({ kind: "load", id, request, deadlineMs }));
  }

  stop(to: Address, how: "stop" | "kill", timeoutMs: number, sink: ReplySink): Cancellable {
    return this.#ask(to.node, sink, (id) => ({ kind: "stop", id, to, how, timeoutMs }));
  }

  #ask(node: string, sink: ReplySink, make: (id: number) => Envelope): Cancellable {
    const peer = this.at(node);
    const id = peer.expect(sink);
    peer.post(make(id));
    return { cancel: () => peer.forget(id) };
  }

  /** Hands log lines to a node; false while it cannot be reached: they are not worth keeping. */
  sendLog(node: string, lines: readonly LogLine[]): boolean {
    const peer = this.#isBroken ? undefined : this.find(node);
    peer?.post({ kind: "log", id: 0, lines });
    return peer !== undefined;
  }

  watch(to: Address, onEnd: (end: ActorEnd) => void): () => void {
    return this.#watches.watch(this.at(to.node), to, onEnd);
  }

  undeliverable(_peer: Peer, envelope: Envelope, why: WireError): Envelope | undefined {
    if (envelope.kind === "watch") this.#watches.failed(envelope.id, why);
    if (envelope.kind !== "signal") return undefined;
    const { address, reason } = envelope.end;
    return envelope.end.error === undefined ? undefined : { ...envelope, end: { address, reason } };
  }

  // In ----------------------------------------------------------------------------------------------------------------------

  #receive(peer: Peer, bytes: Uint8Array): void {
    const stalled = this.#stalled.get(peer);
    if (stalled !== undefined) {
      stalled.push(bytes);
      return;
    }
    const { counts } = this;
    counts.framesIn++;
    counts.bytesIn += bytes.length;
    const frame = this.codec.decodeFrame(bytes);
    if (frame === undefined) {
      this.counts.badFrames++;
      return;
    }
    const [first] = frame.envelopes;
    if (first?.kind === "blob") void this.#fetch(peer, first.hash);
    else this.#take(peer, frame);
  }

  async #fetch(peer: Peer, hash: string): Promise<void> {
    const stalled: Uint8Array[] = [];
    this.#stalled.set(peer, stalled);
    try {
      const bytes = await this.blobs?.get(hash);
      const frame = bytes && this.codec.decodeFrame(bytes);
      if (frame === undefined) this.counts.badFrames++;
      else this.#take(peer, frame);
      await this.blobs?.delete(hash);
    } catch (error) {
      this.host.log("warn", "a large frame could not be fetched", { from: peer.node, error: String(error) });
    }
    this.#stalled.delete(peer);
    for (const bytes of stalled) this.#receive(peer, bytes);
  }

  #take(peer: Peer, { envelopes, tagged }: Frame): void {
    for (const envelope of envelopes) {
      try {
        this.#dispatch(peer, envelope, tagged);
      } catch (error) {
        this.counts.badFrames++;
        const data = { from: peer.node, kind: envelope.kind, error: String(error) };
        this.host.log("warn", "an envelope was dropped", data);
      }
    }
  }

  #dispatch(peer: Peer, envelope: Envelope, isTagged: boolean): void {
    switch (envelope.kind) {
      case "call":
        return peer.takeCall(envelope, isTagged);
      case "cast":
        return peer.takeCast(envelope, isTagged);
      case "reply":
      case "chunk":
      case "end":
      case "error":
        return peer.takeReply(envelope, isTagged);
      case "cancel":
        return peer.takeCancel(envelope.id, envelope.reason);
      case "credit":
        return peer.takeCredit(envelope.id, envelope.count);
      case "spawn":
        return void this.#takeSpawn(peer, envelope);
      case "load":
        return void this.#takeLoad(peer, envelope.id, envelope.request, envelope.deadlineMs);
      case "stop":
        return void this.#takeStop(peer, envelope.id, envelope.to, envelope.how, envelope.timeoutMs);
      case "watch":
        return this.#watches.take(peer, envelope.id, envelope.to);
      case "unwatch":
        return this.#watches.takeBack(peer, envelope.id);
      case "signal":
        return this.#watches.takeSignal(peer, envelope.id, envelope.end);
      case "log":
        if (receiveLogLines(peer.node, envelope.lines, this.#log) === 0) return;
        throw new TypeError("what should be log lines is none");
      case "reconnected":
        return peer.reconnected();
      case "probe":
        return peer.post({ kind: "forgotten", id: 0, ids: peer.unknown(envelope.ids) });
      case "forgotten":
        return peer.takeForgotten(envelope.ids);
      case "moved":
        return this.#moved(envelope.key, peer.node, envelope.actor);
      case "stamp":
        return;
      default:
        throw new TypeError("unknown kind");
    }
  }

  async #takeSpawn(peer: Peer, { id, type, options, deadlineMs }: SpawnEnvelope): Promise<void> {
    if (deadlineMs <= this.host.clock.now()) return;
    const reply = peer.question(id, deadlineMs);
    try {
      const request = options as unknown as SpawnRequest;
      const args = fromWire(request.args, this.revive) as unknown[];
      reply.value(await this.host.spawn({ ...request, args }, undefined));
    } catch (error) {
      reply.fail(failureOf(error, `spawn of ${type}`));
    }
  }

  async #takeLoad(peer: Peer, id: number, request: TypeRequest, deadlineMs: number): Promise<void> {
    const reply = peer.question(id, deadlineMs);
    try {
      reply.value(await this.#load(request));
    } catch (error) {
      reply.fail(failureOf(error, `loading ${request.type}`));
    }
  }

  async #takeStop(peer: Peer, id: number, to: Address, how: "stop" | "kill", timeoutMs: number): Promise<void> {
    const reply = peer.question(id, Number.POSITIVE_INFINITY);
    try {
      if (how === "kill") this.host.kill(to);
      else await this.host.stop(to, timeoutMs);
      reply.value(undefined);
    } catch (error) {
      reply.fail(failureOf(error, how));
    }
  }

  // Ends --------------------------------------------------------------------------------------------------------------------

  /** The node has left or died: whoever waits for it is told. */
  gone(node: string): void {
    const peer = this.#peers.get(node);
    if (this.#departed.size >= DEPARTED_MAX) this.#departed.clear();
    this.#departed.add(node);
    if (peer === undefined) return;
    this.#peers.delete(node);
    this.#lastId = Math.max(this.#lastId, peer.lastId);
    peer.gone();
    this.#watches.gone(peer, failure("NodeLost", `node ${node} left or died`, { node }));
  }

  /** A node is there, perhaps again: one that was cut off comes back under its id. */
  joined(node: string): void {
    this.#departed.delete(node);
  }

  async close(): Promise<void> {
    for (const timer of this.#asking.values()) timer.cancel();
    for (const peer of this.#peers.values()) peer.flush();
    await this.transport.close();
    for (const peer of this.#peers.values()) peer.close();
  }
}
