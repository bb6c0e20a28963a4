// The WorkQueue port on a JetStream work-queue stream: subject <kind>.<lane>.<id>, one durable consumer for each kind and lane that all nodes share.
// Taking is pulls.ts's part.
//
// Q1  A put expects nothing under its id, whatever kind and lane (the server takes wildcards there, at no cost that shows: 2.15.2), so an item
//     that is there is a duplicate however old it is; one that has gone is known by its id for the stream's duplicate window. (A repetition of our own put is told from a duplicate by nobody: both answers are true.)
// Q2  `find` and `remove` ask the leader: what they say decides (runtime/tasks/waiting.ts).

import { checkSize, checkWhole, closedError } from "../port-errors.ts";
import {
  type ConsumeOptions,
  type Consumption,
  checkToken,
  type Delivery,
  LANES,
  type Lane,
  PUT_WINDOW_MS,
  type WorkItem,
  type WorkQueue,
} from "../queue.ts";
import { type Random, systemRandom } from "../random.ts";
import type { Connection } from "./connection.ts";
import { fromApi, isApiError, readAnswer } from "./failures.ts";
import { ensureStream, type Provision } from "./provision.ts";
import { Pulls } from "./pulls.ts";
import { NatsStream, type StoredMessage } from "./stream.ts";
import type { StreamNames } from "./subjects.ts";

export interface NatsQueueOptions {
  readonly connection: Connection;
  readonly names: StreamNames;
  /** Default 10,000; at least 1,000. Everybody who takes must say the same. */
  readonly ackWaitMs?: number;
  /** Items and bytes it holds at most, when the stream is made. */
  readonly itemsMax?: number;
  readonly maxBytes?: number;
  readonly replicas?: number;
  readonly random?: Random;
}

const ITEM_MAX_BYTES = 512 * 1024;
const ACK_WAIT_MS = 10_000;
const ITEMS_MAX = 1_000_000;
const MAX_BYTES = 1024 * 1024 * 1024;
const NS_PER_MS = 1_000_000;
/** Items in hand or pausing, of one kind and lane, over all nodes. */
const ACK_PENDING_MAX = 100_000;
/** Pulls that wait at one consumer: one for each node. */
const WAITING_MAX = 4_096;

/** Opens the queue, making its stream when it is not there. Throws what ensureStream throws. */
export async function openNatsQueue(options: NatsQueueOptions): Promise<NatsQueue> {
  const { connection, names, itemsMax = ITEMS_MAX, maxBytes = MAX_BYTES, replicas = 1 } = options;
  const ackWaitMs = options.ackWaitMs ?? ACK_WAIT_MS;
  checkWhole("ackWaitMs", ackWaitMs, 1_000);
  const shape = {
    subjects: [`${names.subjectPrefix}>`],
    retention: "workqueue",
    storage: "file",
    discard: "new",
  };
  const duplicate_window = PUT_WINDOW_MS * NS_PER_MS;
  const limits = { max_msgs: itemsMax, max_bytes: maxBytes, num_replicas: replicas, duplicate_window };
  const provision = await ensureStream(connection, names, shape, limits);
  const random = options.random ?? systemRandom;
  return new NatsQueue(new NatsStream(connection, names, random), provision, ackWaitMs, random);
}

export class NatsQueue implements WorkQueue {
  readonly itemMaxBytes = ITEM_MAX_BYTES;
  readonly ackWaitMs: number;
  readonly provision: Provision;
  readonly #stream: NatsStream;
  readonly #random: Random;
  readonly #pulls = new Set<Pulls>();
  #isClosed = false;

  constructor(stream: NatsStream, provision: Provision, ackWaitMs: number, random: Random) {
    this.#random = random;
    this.#stream = stream;
    this.provision = provision;
    this.ackWaitMs = ackWaitMs;
  }

  async put({ id, kind, lane, data }: WorkItem): Promise<"accepted" | "duplicate"> {
    this.#check(id);
    checkToken("kind", kind);
    checkSize(`the item ${id}`, data, this.itemMaxBytes);
    const nothingThere = { expectedSequence: 0, expectedKey: `*.*.${id}` };
    const stored = await this.#stream.write(`${kind}.${lane}.${id}`, data.slice(), nothingThere, id);
    this.#checkOpen();
    return stored.kind === "refused" || stored.isDuplicate ? "duplicate" : "accepted";
  }

  async find(id: string): Promise<WorkItem | undefined> {
    this.#check(id);
    const found = await this.#stream.first(`*.*.${id}`, 1);
    this.#checkOpen();
    return found && itemOf(found);
  }

  async remove(id: string): Promise<void> {
    this.#check(id);
    const found = await this.#stream.first(`*.*.${id}`, 1);
    if (found !== undefined) await this.#stream.purge(`*.*.${id}`, found.sequence + 1);
    this.#checkOpen();
  }

  consume(onItem: (delivery: Delivery) => void, { maxInFlight }: ConsumeOptions): Consumption {
    this.#checkOpen();
    checkWhole("maxInFlight", maxInFlight, 1);
    const { connection, names } = this.#stream;
    const ensure = (kind: string, lane: Lane) => this.#ensure(kind, lane);
    const pulls = new Pulls(connection, names, maxInFlight, onItem, ensure, this.#random.id());
    this.#pulls.add(pulls);
    return {
      add: async (kind) => {
        this.#checkOpen();
        checkToken("kind", kind);
        for (const lane of LANES) await pulls.add(kind, lane);
      },
      stop: () => {
        pulls.stop();
        this.#pulls.delete(pulls);
      },
    };
  }

  /** Stops taking. The connection is somebody else's and stays. */
  async close(): Promise<void> {
    this.#isClosed = true;
    for (const pulls of this.#pulls) pulls.stop();
    this.#pulls.clear();
  }

  /** Makes the consumer of a kind and lane unless it is there; answers its name. */
  async #ensure(kind: string, lane: Lane): Promise<string> {
    const { connection, names } = this.#stream;
    const name = `${kind}_${lane}`;
    const filter = `${names.subjectPrefix}${kind}.${lane}.*`;
    const config = {
      name,
      durable_name: name,
      filter_subject: filter,
      ack_policy: "explicit",
      ack_wait: this.ackWaitMs * NS_PER_MS,
      deliver_policy: "all",
      max_deliver: -1,
      max_ack_pending: ACK_PENDING_MAX,
      max_waiting: WAITING_MAX,
    };
    const what = `take ${kind} (${lane})`;
    const payload = new TextEncoder().encode(JSON.stringify({ stream_name: names.stream, config }));
    const subject = `$JS.API.CONSUMER.CREATE.${names.stream}.${name}.${filter}`;
    const answer = readAnswer((await connection.ask(what, subject, payload)).reply);
    if (isApiError(answer)) throw fromApi(what, answer.error);
    return name;
  }

  #check(id: string): void {
    this.#checkOpen();
    checkToken("id", id);
  }

  #checkOpen(): void {
    if (this.#isClosed) throw closedError("queue");
  }
}

function itemOf({ key, data }: StoredMessage): WorkItem {
  const [kind = "", lane, id = ""] = key.split(".");
  return { id, kind, lane: lane as Lane, data };
}
