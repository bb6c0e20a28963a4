// The Transport port over core NATS: one subject for each pair of nodes, so that a server's permissions vouch for the sender.
//
//     north ──PUB prefix.n.south.north──▶ server ──▶ south, which subscribes to prefix.n.south.*
//       ▲──── 503 on prefix.l.north.south.<receipt> ◀┘ nobody is called south
//
// NT1  Who sent a frame is read from its subject, which a server with permissions lets nobody else publish to (`publish prefix.n.*.me`).
// NT2  Frames with headers are dropped: no node sends any, but a server can be made to deliver stored bytes to any subject, with headers.
// NT3  While the connection is down nothing is taken: the client would keep it in a buffer that the next dial empties.

import type { Msg, Subscription } from "@nats-io/transport-node";
import type { Listener, Transport } from "../transport.ts";
import type { Connection } from "./connection.ts";
import type { FleetNames } from "./subjects.ts";

/** Larger payloads go by blob: a server refuses 1 MB, and one large frame holds up everybody else's. */
const FRAME_MAX_BYTES = 512 * 1024;
/** Remembered subjects; nodes come and go, so they are forgotten now and then. */
const KNOWN_MAX = 4_096;

const NO_RESPONDERS = 503;
const NODE = /^[A-Za-z0-9_-]{1,64}$/;
const NOBODY = "";

export class NatsTransport implements Transport {
  readonly frameMaxBytes = FRAME_MAX_BYTES;
  readonly #connection: Connection;
  readonly #names: FleetNames;
  readonly #node: string;
  /** Peer → subject, and subject → sender: making and taking apart strings for every frame costs more than the frame. */
  readonly #subjects = new Map<string, string>();
  readonly #senders = new Map<string, string>();
  #subscriptions: Subscription[] = [];
  #forget = (): void => {};
  #closed = false;

  constructor(connection: Connection, names: FleetNames, node: string) {
    this.#connection = connection;
    this.#names = names;
    this.#node = node;
  }

  async listen(listener: Listener): Promise<void> {
    const { nc } = this.#connection;
    const frames = nc.subscribe(this.#names.frames(this.#node, "*"), {
      callback: (error, message) => {
        if (error === null && message.headers === undefined) listener.frame(this.#sender(message), message.data);
      },
    });
    const losses = nc.subscribe(this.#names.losses(this.#node, "*", "*"), {
      callback: (error, message) => {
        if (error !== null || message.headers?.code !== NO_RESPONDERS) return;
        const [peer = "", receipt = ""] = message.subject.split(".").slice(-2);
        listener.lost(peer, receipt);
      },
    });
    this.#subscriptions = [frames, losses];
    this.#forget = this.#connection.onState((isConnected) => {
      if (this.#closed) return;
      if (isConnected) listener.restored();
      else listener.broken();
    });
    // Only when the server has seen the subscriptions may others be told that this node is here.
    await nc.flush();
  }

  send(to: string, frame: Uint8Array, receipt = "-"): boolean {
    if (this.#closed || !this.#connection.isConnected) return false;
    // A name that came with a handle may be anything: one that would be another subject is nobody's.
    const subject = remember(this.#subjects, to, () => (NODE.test(to) ? this.#names.frames(to, this.#node) : NOBODY));
    if (subject === NOBODY) return false;
    try {
      this.#connection.nc.publish(subject, frame, { reply: this.#names.losses(this.#node, to, receipt) });
      return true;
    } catch {
      // The client closes, or the server's limit has sunk below our frames: either way it has not left.
      return false;
    }
  }

  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    this.#forget();
    for (const subscription of this.#subscriptions) subscription.unsubscribe();
    // What was sent just before must leave; a connection that is down keeps nothing to wait for.
    if (this.#connection.isConnected) await this.#connection.nc.flush().catch(() => {});
  }

  #sender({ subject }: Msg): string {
    return remember(this.#senders, subject, () => subject.slice(subject.lastIndexOf(".") + 1));
  }
}

function remember(known: Map<string, string>, key: string, make: () => string): string {
  let value = known.get(key);
  if (value === undefined) {
    value = make();
    if (known.size >= KNOWN_MAX) known.clear();
    known.set(key, value);
  }
  return value;
}
