// Publishes what changes in the cache, as vLLM does: three frames on a PUB socket, and earlier batches again from a ROUTER socket.
//
//     PUB     topic │ sequence, 8 bytes, big-endian │ msgpack [seconds, [event …], data parallel rank]
//     ROUTER  asked:   (identity) │ empty │ first sequence wanted
//             answers: (identity) │ empty │ topic │ sequence │ batch, for each kept batch from there on; then sequence −1 and an empty batch
//
// P1  Sequences begin at 0 and have no gap, whether anybody listens or not.
// P2  Bounded: the newest kvReplayBatches are kept, and as many as OUTGOING_MAX wait to be sent; beyond that the subscriber sees a gap.

import { Packr } from "msgpackr";
import { Publisher, Router } from "zeromq";
import type { Clock } from "../../runtime/index.ts";
import { nodeError } from "../errors.ts";
import type { CacheEvent } from "./block-cache.ts";
import type { SimSettings } from "./options.ts";

const OUTGOING_MAX = 100_000;
const END = Buffer.alloc(8, 0xff);
const NOTHING = Buffer.alloc(0);

interface Batch {
  readonly sequence: Buffer;
  readonly payload: Buffer;
}

export class KvPublisher {
  readonly endpoint: string;
  readonly replayEndpoint: string | undefined;
  readonly #settings: SimSettings;
  readonly #clock: Clock;
  readonly #pub: Publisher;
  readonly #router: Router | undefined;
  readonly #packr = new Packr({ useRecords: false, variableMapSize: true });
  readonly #kept: Batch[] = [];
  #outgoing: Batch[] = [];
  #isSending = false;
  #next = 0n;

  private constructor(settings: SimSettings, clock: Clock, pub: Publisher, router: Router | undefined) {
    this.#settings = settings;
    this.#clock = clock;
    this.#pub = pub;
    this.#router = router;
    this.endpoint = pub.lastEndpoint ?? "";
    this.replayEndpoint = router?.lastEndpoint ?? undefined;
    if (router !== undefined) void this.#answer(router);
  }

  /** Binds both sockets. Throws SimPortTaken. */
  static async open(settings: SimSettings, clock: Clock, kvEventsPort: number): Promise<KvPublisher> {
    const pub = new Publisher({ sendHighWaterMark: OUTGOING_MAX, linger: 0 });
    const router = settings.kvReplayPort === undefined ? undefined : new Router({ linger: 0 });
    try {
      await bind(pub, "kvEventsPort", kvEventsPort);
      if (router !== undefined) await bind(router, "kvReplayPort", settings.kvReplayPort ?? 0);
      return new KvPublisher(settings, clock, pub, router);
    } catch (error) {
      pub.close();
      router?.close();
      throw error;
    }
  }

  publish(events: readonly CacheEvent[]): void {
    const { kvEventsForm, blockSize, kvReplayBatches } = this.#settings;
    const form = kvEventsForm === "map" ? asMap : asArray;
    const sequence = Buffer.alloc(8);
    sequence.writeBigUInt64BE(this.#next++);
    const payload = this.#packr.pack([this.#clock.now() / 1_000, events.map((event) => form(event, blockSize)), 0]);
    const batch = { sequence, payload };
    this.#kept.push(batch);
    if (this.#kept.length > kvReplayBatches) this.#kept.shift();
    if (this.#outgoing.length >= OUTGOING_MAX) return;
    this.#outgoing.push(batch);
    if (!this.#isSending) void this.#send();
  }

  close(): void {
    this.#outgoing = [];
    this.#pub.close();
    this.#router?.close();
  }

  /** One send at a time: the socket refuses a second one that overlaps. */
  async #send(): Promise<void> {
    this.#isSending = true;
    const topic = Buffer.from(this.#settings.kvTopic);
    while (this.#outgoing.length > 0 && !this.#pub.closed) {
      const batches = this.#outgoing;
      this.#outgoing = [];
      for (const { sequence, payload } of batches) {
        if (!this.#pub.closed) await this.#pub.send([topic, sequence, payload]).catch(() => {});
      }
    }
    this.#isSending = false;
  }

  async #answer(router: Router): Promise<void> {
    const topic = Buffer.from(this.#settings.kvTopic);
    try {
      for await (const [identity, empty, first] of router) {
        if (identity === undefined || empty?.length !== 0 || first?.length !== 8) continue;
        const from = first.readBigUInt64BE();
        const wanted = this.#kept.filter(({ sequence }) => sequence.readBigUInt64BE() >= from);
        for (const { sequence, payload } of wanted) await router.send([identity, NOTHING, topic, sequence, payload]);
        await router.send([identity, NOTHING, NOTHING, END, NOTHING]);
      }
    } catch (error) {
      // Closing the socket ends a send that waits.
      if (!router.closed) throw error;
    }
  }
}

async function bind(socket: Publisher | Router, option: string, port: number): Promise<void> {
  try {
    await socket.bind(`tcp://127.0.0.1:${port === 0 ? "*" : port}`);
  } catch (error) {
    const message = `option ${option}: port ${port} of 127.0.0.1 is taken or not allowed (${(error as Error).message})`;
    throw nodeError("SimPortTaken", message, { data: { option, port }, cause: error });
  }
}

/** As vLLM 0.32 writes events; fields that have their default are left out there, too. */
function asMap(event: CacheEvent, blockSize: number): object {
  switch (event.kind) {
    case "stored":
      return {
        type: "BlockStored",
        block_hashes: event.hashes,
        parent_block_hash: event.parent,
        token_ids: event.tokens,
        block_size: blockSize,
        lora_id: null,
        medium: "GPU",
        lora_name: null,
        extra_keys: event.hashes.map(() => null),
        group_idx: 0,
        kv_cache_spec_kind: "full_attention",
        ...(event.session !== null && { session_id: event.session }),
      };
    case "removed":
      return { type: "BlockRemoved", block_hashes: event.hashes, medium: "GPU", group_idx: 0 };
    case "cleared":
      return { type: "AllBlocksCleared" };
  }
}

/** As older releases wrote them: the type first, then the fields in order. */
function asArray(event: CacheEvent, blockSize: number): readonly unknown[] {
  switch (event.kind) {
    case "stored":
      return ["BlockStored", event.hashes, event.parent, event.tokens, blockSize, null, "GPU", null];
    case "removed":
      return ["BlockRemoved", event.hashes, "GPU"];
    case "cleared":
      return ["AllBlocksCleared"];
  }
}
