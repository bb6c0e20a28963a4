// Takes items for one consumption: asks the consumers of its kinds and lanes for as much as there is room for.
//
//     source (kind and lane) ── waits for one ──▶ item, and how many more there are (its backlog)
//            │                                          │
//            └── backlog known ── asks for many at once ◀┘      what the server does not have, it says at once
//
// PL1  A source has at most one pull under way. While no backlog is known it waits for one item (WAIT_MS, then again); such an item may
//      come beyond `maxInFlight` (WQ6). Pulls of a known backlog take room first, in the order of the lanes' turns.
// PL2  A pull that ends without a word (lost on the way, server gone) is over after its time and a second; after a reconnection at once.
// PL3  Only messages of our stream with an acknowledgement subject are items: whoever may publish to our inbox must not invent work.
// PL4  Items that arrive after `stop` are given back at once.

import type { Msg, Subscription } from "@nats-io/transport-node";
import type { Timer } from "../clock.ts";
import { type Delivery, type Lane, lanesAt } from "../queue.ts";
import type { Connection } from "./connection.ts";
import type { StreamNames } from "./subjects.ts";

const WAIT_MS = 5_000;
const GRACE_MS = 1_000;
const BATCH_MAX = 256;
const NS_PER_MS = 1_000_000;
/** After a refusal (too many pulls wait, the leader moved, the consumer is gone) the source rests so long. */
const REST_MS = 250;
const DELAY_MAX_MS = 2 ** 31 - 1;
const NO_MESSAGES = 404;
const TIMED_OUT = 408;

const bytes = (text: string): Uint8Array => new TextEncoder().encode(text);
const ACK = bytes("+ACK");
const EXTEND = bytes("+WPI");

interface Source {
  readonly kind: string;
  readonly lane: Lane;
  consumer: string;
  /** Items that the server has beyond those given, when last heard. */
  backlog: number;
  pull: Pull | undefined;
  restUntilMs: number;
}

interface Pull {
  readonly token: string;
  readonly isWaiting: boolean;
  left: number;
  readonly endMs: number;
}

export class Pulls {
  readonly #connection: Connection;
  readonly #names: StreamNames;
  readonly #maxInFlight: number;
  readonly #onItem: (delivery: Delivery) => void;
  readonly #ensure: (kind: string, lane: Lane) => Promise<string>;
  readonly #inbox: string;
  readonly #subscription: Subscription;
  readonly #forgetState: () => void;
  readonly #sources = new Map<string, Source>();
  #sweep: Timer | undefined;
  #isAsking = false;
  #isStopped = false;
  #inHand = 0;
  #turn = 0;
  #counter = 0;

  /** `token`: tells this one's replies from those of others on the connection. */
  constructor(
    connection: Connection,
    names: StreamNames,
    maxInFlight: number,
    onItem: (delivery: Delivery) => void,
    ensure: (kind: string, lane: Lane) => Promise<string>,
    token: string,
  ) {
    this.#connection = connection;
    this.#names = names;
    this.#maxInFlight = maxInFlight;
    this.#onItem = onItem;
    this.#ensure = ensure;
    this.#inbox = `${connection.inbox}.q-${token}`;
    this.#subscription = connection.nc.subscribe(`${this.#inbox}.*`, {
      callback: (error, message) => {
        if (error === null) this.#hear(message);
      },
    });
    this.#forgetState = connection.onState((isConnected) => isConnected && this.#renew());
    this.#sweepLater();
  }

  async add(kind: string, lane: Lane): Promise<void> {
    const key = `${kind}.${lane}`;
    if (this.#sources.has(key)) return;
    const consumer = await this.#ensure(kind, lane);
    if (this.#sources.has(key)) return;
    this.#sources.set(key, { kind, lane, consumer, backlog: 0, pull: undefined, restUntilMs: 0 });
    this.#askSoon();
  }

  stop(): void {
    if (this.#isStopped) return;
    this.#isStopped = true;
    this.#sweep?.cancel();
    this.#forgetState();
    // Not unsubscribe: what is on its way is still heard, and given back (PL4).
    if (!this.#connection.nc.isClosed()) this.#subscription.drain().catch(() => {});
  }

  #hear(message: Msg): void {
    const code = message.headers?.code ?? 0;
    if (message.subject.startsWith(`${this.#inbox}.`)) return this.#hearStatus(message, code);
    const place = placeOf(message, this.#names);
    const source = place && this.#sources.get(`${place.kind}.${place.lane}`);
    if (place === undefined || source === undefined) return;
    source.backlog = place.backlog;
    if (source.pull !== undefined && --source.pull.left <= 0) source.pull = undefined;
    this.#inHand++;
    this.#turn++;
    const delivery = this.#deliveryOf(message, place);
    if (this.#isStopped) delivery.retry(0);
    else this.#onItem(delivery);
    this.#askSoon();
  }

  /** A pull has ended, or was refused. */
  #hearStatus(message: Msg, code: number): void {
    const token = message.subject.slice(this.#inbox.length + 1);
    for (const source of this.#sources.values()) {
      if (source.pull?.token !== token) continue;
      source.pull = undefined;
      source.backlog = 0;
      if (code !== NO_MESSAGES && code !== TIMED_OUT) void this.#mend(source);
    }
    this.#askSoon();
  }

  /** Rests, and makes the consumer anew in case it is gone. */
  async #mend(source: Source): Promise<void> {
    source.restUntilMs = this.#connection.clock.monotonic() + REST_MS;
    try {
      await this.#ensure(source.kind, source.lane);
    } catch {
      // The sweep comes back to it.
      source.restUntilMs = this.#connection.clock.monotonic() + GRACE_MS;
    }
  }

  #deliveryOf(message: Msg, { id, kind, lane, delivery }: Place): Delivery {
    let isMine = true;
    const settle = (answer: Uint8Array) => {
      if (!isMine) return;
      isMine = false;
      this.#inHand--;
      this.#answer(message, answer);
      this.#askSoon();
    };
    return {
      id,
      kind,
      lane,
      delivery,
      data: message.data.slice(),
      ack: () => settle(ACK),
      retry: (afterMs) => {
        const delay = Math.round(Math.min(Math.max(0, afterMs), DELAY_MAX_MS)) * NS_PER_MS;
        settle(bytes(delay === 0 ? "-NAK" : `-NAK ${JSON.stringify({ delay })}`));
      },
      extend: () => isMine && this.#answer(message, EXTEND),
    };
  }

  /** What does not reach the server shows as another delivery (WQ7). */
  #answer(message: Msg, answer: Uint8Array): void {
    const { nc, isConnected } = this.#connection;
    if (isConnected && message.reply !== undefined && !nc.isClosed()) nc.publish(message.reply, answer);
  }

  /** Items that arrive together, and are settled together, are followed by one round of pulls. */
  #askSoon(): void {
    if (this.#isAsking || this.#isStopped) return;
    this.#isAsking = true;
    this.#connection.clock.soon(() => {
      this.#isAsking = false;
      if (!this.#isStopped && this.#connection.isConnected) this.#ask();
    });
  }

  #ask(): void {
    let room = this.#maxInFlight - this.#inHand;
    for (const { pull } of this.#sources.values()) if (pull !== undefined && !pull.isWaiting) room -= pull.left;
    const idle = [...this.#sources.values()].filter(({ pull }) => pull === undefined);
    for (const lane of lanesAt(this.#turn + 1)) {
      for (const source of idle) {
        if (source.lane !== lane || source.backlog === 0 || room <= 0) continue;
        const batch = Math.min(room, source.backlog, BATCH_MAX);
        this.#pull(source, batch, false);
        room -= batch;
        this.#goLast(source);
      }
    }
    if (this.#inHand >= this.#maxInFlight) return;
    for (const source of idle) if (source.pull === undefined && source.backlog === 0) this.#pull(source, 1, true);
  }

  /** So that a full source does not hide the others of its lane. */
  #goLast(source: Source): void {
    const key = `${source.kind}.${source.lane}`;
    this.#sources.delete(key);
    this.#sources.set(key, source);
  }

  #pull(source: Source, batch: number, isWaiting: boolean): void {
    const { clock, nc } = this.#connection;
    const nowMs = clock.monotonic();
    if (nowMs < source.restUntilMs) return;
    const token = (++this.#counter).toString(36);
    source.pull = { token, isWaiting, left: batch, endMs: nowMs + (isWaiting ? WAIT_MS : 0) + GRACE_MS };
    const request = isWaiting ? { batch, expires: WAIT_MS * NS_PER_MS } : { batch, no_wait: true };
    const subject = `$JS.API.CONSUMER.MSG.NEXT.${this.#names.stream}.${source.consumer}`;
    nc.publish(subject, bytes(JSON.stringify(request)), { reply: `${this.#inbox}.${token}` });
  }

  /** Pulls died with the connection (PL2). */
  #renew(): void {
    for (const source of this.#sources.values()) source.pull = undefined;
    this.#askSoon();
  }

  #sweepLater(): void {
    const { clock } = this.#connection;
    this.#sweep = clock.schedule(GRACE_MS, () => {
      for (const source of this.#sources.values()) {
        if (source.pull === undefined || source.pull.endMs > clock.monotonic()) continue;
        source.pull = undefined;
        source.backlog = 0;
      }
      this.#askSoon();
      this.#sweepLater();
    });
  }
}

interface Place extends Pick<Delivery, "id" | "kind" | "lane" | "delivery"> {
  readonly backlog: number;
}

/**
 * What an item's subjects say; undefined when it is none (PL3). Acknowledgement subjects, of two ages:
 * $JS.ACK.stream.consumer.delivery.sequence.sequence.time.backlog and $JS.ACK.domain.account.stream.consumer.… with the same after it.
 */
function placeOf({ subject, reply }: Msg, { stream, subjectPrefix }: StreamNames): Place | undefined {
  if (reply === undefined || !reply.startsWith("$JS.ACK.") || !subject.startsWith(subjectPrefix)) return undefined;
  const parts = reply.split(".");
  const at = parts.length === 9 ? 2 : 4;
  const [kind, lane, id] = subject.slice(subjectPrefix.length).split(".");
  if (parts[at] !== stream || kind === undefined || id === undefined) return undefined;
  if (lane !== "interactive" && lane !== "bulk") return undefined;
  return { id, kind, lane, delivery: Number(parts[at + 2]), backlog: Number(parts[at + 6]) };
}
