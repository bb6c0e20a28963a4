// The WorkQueue port inside one process. Nothing survives it.
//
//     put ─▶ waiting (kind and lane ─▶ items in order) ─▶ in hand (timer: ackWaitMs) ─▶ gone
//                   ▲                                        │ retry, or nothing heard
//                   └──────────── timer ─────────────────────┘
//
// M1  An item is in exactly one place: waiting, in hand, or pausing (its timer brings it back).
// M2  A delivery acts only while its item is in that very hand; a stale one can still acknowledge (WQ3).

import type { Clock, Timer } from "../clock.ts";
import { checkSize, checkWhole, closedError, portError } from "../port-errors.ts";
import {
  type ConsumeOptions,
  type Consumption,
  checkToken,
  type Delivery,
  type Lane,
  lanesAt,
  PUT_WINDOW_MS,
  type WorkItem,
  type WorkQueue,
} from "../queue.ts";

export interface MemoryQueueOptions {
  readonly clock: Clock;
  readonly ackWaitMs?: number;
  /** Items it holds at most. */
  readonly itemsMax?: number;
}

const ITEM_MAX_BYTES = 512 * 1024;
const ACK_WAIT_MS = 10_000;
const ITEMS_MAX = 1_000_000;
/** Longest pause and hold, in milliseconds. */
const RETRY_MAX_MS = 2 ** 31 - 1;

interface Held {
  readonly item: WorkItem;
  deliveries: number;
  /** Whose hand it is in. */
  taker: Taker | undefined;
  timer: Timer | undefined;
}

interface Taker {
  readonly kinds: Set<string>;
  readonly maxInFlight: number;
  readonly onItem: (delivery: Delivery) => void;
  inHand: number;
  turn: number;
  stopped: boolean;
}

const laneKey = (kind: string, lane: Lane): string => `${kind}.${lane}`;

export class MemoryQueue implements WorkQueue {
  readonly itemMaxBytes = ITEM_MAX_BYTES;
  readonly ackWaitMs: number;
  readonly #clock: Clock;
  readonly #itemsMax: number;
  readonly #held = new Map<string, Held>();
  readonly #waiting = new Map<string, Set<Held>>();
  /** Ids put lately and when, oldest first (WQ2). */
  readonly #putAtMs = new Map<string, number>();
  readonly #takers = new Set<Taker>();
  #pumping = false;
  #closed = false;

  constructor(options: MemoryQueueOptions) {
    this.#clock = options.clock;
    this.ackWaitMs = options.ackWaitMs ?? ACK_WAIT_MS;
    this.#itemsMax = options.itemsMax ?? ITEMS_MAX;
  }

  async put(item: WorkItem): Promise<"accepted" | "duplicate"> {
    this.#checkOpen();
    checkToken("id", item.id);
    checkToken("kind", item.kind);
    checkSize(`the item ${item.id}`, item.data, this.itemMaxBytes);
    this.#forgetOldIds();
    if (this.#held.has(item.id) || this.#putAtMs.has(item.id)) return "duplicate";
    if (this.#held.size >= this.#itemsMax) {
      throw portError("StorageFull", `the queue holds ${this.#itemsMax} items (itemsMax)`, {
        data: { itemsMax: this.#itemsMax },
      });
    }
    const { id, kind, lane, data } = item;
    const held: Held = {
      item: { id, kind, lane, data: data.slice() },
      deliveries: 0,
      taker: undefined,
      timer: undefined,
    };
    this.#held.set(id, held);
    this.#putAtMs.set(id, this.#clock.now());
    this.#wait(held);
    return "accepted";
  }

  async find(id: string): Promise<WorkItem | undefined> {
    this.#checkOpen();
    checkToken("id", id);
    const item = this.#held.get(id)?.item;
    return item && { ...item, data: item.data.slice() };
  }

  async remove(id: string): Promise<void> {
    this.#checkOpen();
    checkToken("id", id);
    const held = this.#held.get(id);
    if (held !== undefined) this.#drop(held);
  }

  consume(onItem: (delivery: Delivery) => void, { maxInFlight }: ConsumeOptions): Consumption {
    this.#checkOpen();
    checkWhole("maxInFlight", maxInFlight, 1);
    const taker: Taker = { kinds: new Set(), maxInFlight, onItem, inHand: 0, turn: 0, stopped: false };
    this.#takers.add(taker);
    return {
      add: async (kind) => {
        this.#checkOpen();
        checkToken("kind", kind);
        taker.kinds.add(kind);
        this.#pump();
      },
      stop: () => {
        taker.stopped = true;
        this.#takers.delete(taker);
      },
    };
  }

  async close(): Promise<void> {
    this.#closed = true;
    for (const taker of this.#takers) taker.stopped = true;
    for (const held of this.#held.values()) held.timer?.cancel();
    this.#takers.clear();
    this.#held.clear();
    this.#waiting.clear();
  }

  #wait(held: Held): void {
    const key = laneKey(held.item.kind, held.item.lane);
    const waiting = this.#waiting.get(key) ?? new Set();
    this.#waiting.set(key, waiting.add(held));
    this.#pump();
  }

  /** Hands out what can be handed out, in a later microtask (WQ6). */
  #pump(): void {
    if (this.#pumping) return;
    this.#pumping = true;
    queueMicrotask(() => {
      this.#pumping = false;
      // Round by round, one item each, so that takers share.
      let busy = true;
      while (busy) {
        busy = false;
        for (const taker of [...this.#takers]) busy = this.#serve(taker) || busy;
      }
    });
  }

  #serve(taker: Taker): boolean {
    if (taker.stopped || taker.inHand >= taker.maxInFlight) return false;
    for (const lane of lanesAt(taker.turn + 1)) {
      for (const kind of taker.kinds) {
        const waiting = this.#waiting.get(laneKey(kind, lane));
        const [held] = waiting ?? [];
        if (waiting === undefined || held === undefined) continue;
        waiting.delete(held);
        if (waiting.size === 0) this.#waiting.delete(laneKey(kind, lane));
        // The kind goes to the end, so that a full one does not hide the others.
        taker.kinds.delete(kind);
        taker.kinds.add(kind);
        taker.turn++;
        this.#hand(held, taker);
        return true;
      }
    }
    return false;
  }

  #hand(held: Held, taker: Taker): void {
    const delivery = ++held.deliveries;
    held.taker = taker;
    taker.inHand++;
    this.#hold(held);
    const mine = () => held.deliveries === delivery && held.taker !== undefined;
    taker.onItem({
      ...held.item,
      data: held.item.data.slice(),
      delivery,
      ack: () => this.#drop(held),
      retry: (afterMs) => {
        if (mine()) this.#pause(held, Math.min(Math.max(0, afterMs), RETRY_MAX_MS));
      },
      extend: () => {
        if (mine()) this.#hold(held);
      },
    });
  }

  #hold(held: Held): void {
    held.timer?.cancel();
    held.timer = this.#clock.schedule(this.ackWaitMs, () => this.#pause(held, 0));
  }

  #pause(held: Held, afterMs: number): void {
    this.#leaveHand(held);
    if (afterMs === 0) return this.#wait(held);
    held.timer = this.#clock.schedule(afterMs, () => {
      held.timer = undefined;
      this.#wait(held);
    });
  }

  #drop(held: Held): void {
    if (this.#held.get(held.item.id) !== held) return;
    this.#held.delete(held.item.id);
    this.#waiting.get(laneKey(held.item.kind, held.item.lane))?.delete(held);
    this.#leaveHand(held);
  }

  #leaveHand(held: Held): void {
    held.timer?.cancel();
    held.timer = undefined;
    if (held.taker === undefined) return;
    held.taker.inHand--;
    held.taker = undefined;
    this.#pump();
  }

  #forgetOldIds(): void {
    for (const [id, atMs] of this.#putAtMs) {
      if (this.#clock.now() - atMs < PUT_WINDOW_MS) break;
      this.#putAtMs.delete(id);
    }
  }

  #checkOpen(): void {
    if (this.#closed) throw closedError("queue");
  }
}
