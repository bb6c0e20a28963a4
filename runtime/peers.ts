// The other nodes, and what passes between nodes beside calls and answers: spawns, stops, watches, and word of lost frames.
// It is not how one call travels (peer.ts), nor how frames arrive (arrivals.ts), nor who watches whom (watches.ts).
//
// PS1  A node that has departed is given up, and nothing is kept of it; when it comes back, each side asks what became of its own.
// PS2  What cannot be read is dropped with a line, and whoever waits for it is told; it never disturbs what else is under way.

import type { Address } from "./address.ts";
import { Arrivals } from "./arrivals.ts";
import type { Blobs } from "./blobs.ts";
import { type Cancellable, NEVER, type ReplySink } from "./cell/message.ts";
import type { Timer } from "./clock.ts";
import { type Codec, type Frame, fromWire, type ReviveHandle, toWire } from "./codec.ts";
import type { Counts } from "./counts.ts";
import type { Deadlines } from "./deadlines.ts";
import type { ActorEnd, Envelope, SpawnEnvelope, WireError } from "./envelope.ts";
import { errorOf, failure, failureOf } from "./failure.ts";
import type { Host, SpawnRequest } from "./host.ts";
import type { LogLine } from "./log.ts";
import { type Receipt, readReceipt } from "./outbox.ts";
import { Peer, type PeerNode, unknownActor } from "./peer.ts";
import type { DeathCause } from "./roll.ts";
import { checkedRequest, checkedType } from "./spawn-request.ts";
import type { Transport } from "./transport.ts";
import type { TypeRequest } from "./types.ts";
import { Watches } from "./watches.ts";

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
  /** Told when the connection is there again, before anything is sent. */
  readonly reconnected: () => void;
  /** Makes the actor that a node asks for. */
  readonly spawn: (request: SpawnRequest) => Address | Promise<Address>;
  /** Has a type ready here and takes its tasks. */
  readonly load: (request: TypeRequest) => Promise<void>;
  /** Whether a node is known to be no more. */
  readonly isDeparted: (node: string) => boolean;
  /** Ends a process of this node, by its node id, whatever its actor does. */
  readonly endProcess: (node: string) => Promise<boolean>;
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
  /** Nodes that left or died, until they are seen again. */
  readonly #departed = new Set<string>();
  readonly #watches: Watches;
  readonly #arrivals: Arrivals;
  readonly #reconnected: () => void;
  readonly #spawn: PeersOptions["spawn"];
  readonly #load: (request: TypeRequest) => Promise<void>;
  readonly #moved: PeersOptions["moved"];
  readonly #endProcess: PeersOptions["endProcess"];
  readonly #isDeparted: (node: string) => boolean;
  readonly #asking = new Map<string, Timer>();
  /** No number asked of a node that is gone is used again: it may come back and answer. */
  #lastIdOfGone = 0;
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
    this.#reconnected = options.reconnected;
    this.#spawn = options.spawn;
    this.#load = options.load;
    this.#moved = options.moved;
    this.#endProcess = options.endProcess;
    this.#isDeparted = options.isDeparted;
    this.#arrivals = new Arrivals({
      node: this.node,
      codec: this.codec,
      counts: this.counts,
      blobs: this.blobs,
      log: (level, message, data) => this.host.log(level, message, data),
      take: (peer, frame) => this.#take(peer, frame),
    });
    this.#watches = new Watches({ host: this.host, revive: this.revive, find: (node) => this.find(node) });
  }

  get isBroken(): boolean {
    return this.#isBroken;
  }

  stats(): { readonly peers: number; readonly underWay: number } {
    let underWay = 0;
    for (const peer of this.#peers.values()) underWay += peer.underWay;
    return { peers: this.#peers.size, underWay };
  }

  listen(): Promise<void> {
    return this.transport.listen({
      frame: (from, frame) => {
        // A node that has departed has been given up; when it comes back it is told to ask what became of the rest (joined).
        const peer = this.find(from);
        if (peer !== undefined) this.#arrivals.receive(peer, frame);
      },
      lost: (node, receipt) => this.#lost(node, readReceipt(receipt)),
      broken: () => {
        this.#isBroken = true;
        this.host.log("warn", "the connection to the fleet's server is lost; it is being renewed");
      },
      restored: () => {
        this.#isBroken = false;
        this.host.log("info", "the connection to the fleet's server is there again");
        this.#reconnected();
        for (const peer of this.#peers.values()) {
          peer.restored();
          this.#watches.again(peer);
        }
      },
    });
  }

  /** The others may have given this node up meanwhile, and with it all that they did for it and told it (PE5). */
  rejoined(): void {
    for (const peer of this.#peers.values()) {
      peer.probe();
      this.#watches.again(peer);
    }
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
      peer = new Peer(node, this, this.#lastIdOfGone);
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

  /** `node`: the actor's own, or the one whose process it is in. */
  stop(to: Address, how: "stop" | "kill", timeoutMs: number, sink: ReplySink, node = to.node): Cancellable {
    return this.#ask(node, sink, (id) => ({ kind: "stop", id, to, how, timeoutMs }));
  }

  #ask(node: string, sink: ReplySink, make: (id: number) => Envelope): Cancellable {
    const peer = this.find(node);
    if (peer === undefined) {
      sink.fail(failure("Unavailable", `node ${node} left or died`, { node }));
      return { cancel: () => {} };
    }
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

  /** Calls `onEnd` once when an actor of another node ends. Answers how to take that back. */
  watch(to: Address, onEnd: (end: ActorEnd) => void): () => void {
    return this.#watches.watch(to, onEnd);
  }

  /** A frame found nobody. */
  #lost(node: string, { asks, watches, casts, probes }: Receipt): void {
    const why = failure("Unavailable", `node ${node} is not there; it was not delivered`, { node });
    this.#peers.get(node)?.lost(asks, why);
    this.#watches.lost(node, watches, why);
    if (probes > 0) this.#askAgain(node);
    for (let count = 0; count < casts; count++) this.host.deadLetter(unknownActor(node), "cast", why);
  }

  undeliverable(_peer: Peer, envelope: Envelope, why: WireError): Envelope | undefined {
    if (envelope.kind === "watch") this.#watches.end(envelope.id, why);
    if (envelope.kind !== "signal") return undefined;
    const { address, reason } = envelope.end;
    return envelope.end.error === undefined ? undefined : { ...envelope, end: { address, reason } };
  }

  // In ----------------------------------------------------------------------------------------------------------------------

  #take(peer: Peer, { envelopes, tagged }: Frame): void {
    for (const envelope of envelopes) {
      try {
        this.#dispatch(peer, envelope, tagged);
      } catch (error) {
        this.counts.badFrames++;
        const data = { from: peer.node, kind: envelope.kind, error: String(error) };
        this.host.log("warn", "an envelope was dropped", data);
        const why = `what was sent cannot be read here: ${String(error)}`;
        if ("id" in envelope) peer.unreadable(envelope.kind, envelope.id, failure("NotSendable", why));
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
        return void this.#reply(peer, envelope.id, envelope.deadlineMs, `spawn of ${envelope.type}`, () =>
          this.#requested(envelope.options),
        );
      case "load":
        return void this.#reply(peer, envelope.id, envelope.deadlineMs, "loading a type", () =>
          this.#load(checkedType(envelope.request)),
        );
      case "stop":
        return void this.#reply(peer, envelope.id, NEVER, envelope.how, () => this.#ended(peer, envelope));
      case "watch":
        return this.#watches.take(peer, envelope.id, envelope.to);
      case "unwatch":
        return this.#watches.drop(peer, envelope.id);
      case "signal":
        return this.#watches.hear(peer, envelope.id, envelope.end, isTagged);
      case "log":
        if (this.host.hear(peer.node, envelope.lines) === 0) return;
        throw new TypeError("what should be log lines is none");
      case "reconnected":
        peer.reconnected();
        return this.#watches.again(peer);
      case "probe":
        return peer.takeProbe(envelope.ids);
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

  /** Answers a question that is no call with what `act` comes to; not at all once nobody waits any more. */
  async #reply(peer: Peer, id: number, deadlineMs: number, what: string, act: () => unknown): Promise<void> {
    if (deadlineMs <= this.host.clock.now()) return;
    const reply = peer.question(id, deadlineMs);
    try {
      reply.value(await act());
    } catch (error) {
      reply.fail(failureOf(error, what));
    }
  }

  #requested(options: SpawnEnvelope["options"]): Address | Promise<Address> {
    const request = checkedRequest(options);
    return this.#spawn({ ...request, args: fromWire(request.args, this.revive) as unknown[] });
  }

  #ended(peer: Peer, { to, how, timeoutMs }: Extract<Envelope, { kind: "stop" }>): unknown {
    if (to.node !== this.node) return this.#endProcess(to.node);
    const left = this.host.find(to) === undefined ? peer.left(to) : undefined;
    if (left !== undefined) throw errorOf(left);
    return how === "kill" ? this.host.kill(to) : this.host.stop(to, timeoutMs);
  }

  // Ends --------------------------------------------------------------------------------------------------------------------

  /** The node has left or died: whoever waits for it is told, and why where that is known. */
  gone(node: string, why?: DeathCause): void {
    const peer = this.#peers.get(node);
    if (this.#departed.size >= DEPARTED_MAX) this.#departed.clear();
    this.#departed.add(node);
    if (peer === undefined) return;
    this.#peers.delete(node);
    this.#arrivals.gone(peer);
    this.#lastIdOfGone = Math.max(this.#lastIdOfGone, peer.lastId);
    peer.gone(why);
    this.#watches.gone(peer, why);
  }

  /** A node is there, perhaps again: one that was cut off comes back under its id, and what it still waits for from here is over. */
  joined(node: string): void {
    if (this.#departed.delete(node)) this.at(node).restored();
  }

  /** Resolves when what was posted has left (outbox.ts sends at the end of the tick). */
  sent(): Promise<void> {
    return new Promise((resolve) => process.nextTick(resolve));
  }

  async close(): Promise<void> {
    for (const timer of this.#asking.values()) timer.cancel();
    for (const peer of this.#peers.values()) peer.flush();
    await this.transport.close();
    for (const peer of this.#peers.values()) peer.close();
  }
}
