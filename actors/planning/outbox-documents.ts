// Documents whose changes tell others of themselves: what a change says is written together with the change, and sent after it.
//
//     change ─▶ decide ─▶ one write: body + keys + letters ─▶ letters to agile.events, in order ─▶ answered
//                 ▲          └ conflict: read again              └ not sent, or not known whether written: tried again until it is
//                 └──────────────┘
//
// OB1  A letter is written before it is sent, and sent before its document changes again. What a life leaves unsent, the next one sends
//      when it begins: so a change that was made is told of, once for each key, whatever dies in between.
// OB2  Changes of one document are made one after another, of different ones beside each other.
// OB3  A key that was taken is remembered with the document: the same key again decides nothing (the last KEYS_MAX keys).
// OB4  Two instances over one store (one of them not knowing yet that it is replaced) can both change; whoever read an old revision
//      reads again and decides again.
// OB5  Letters that were sent are deleted with the next change, or when their document has been quiet for a while; until then a new life
//      sends them again, and readers know them by their keys.
// OB6  The first letter of a change is in the log before the others leave; those leave together, in order. Only when some of them fail can
//      they stand in another order there.

import { createHash } from "node:crypto";
import { z } from "zod";
import { type ActorTimers, type Clock, type LogLevel, sleep, type Timer } from "../../runtime/index.ts";
import { agileEvents } from "../events/channels.ts";
import { type Document, Documents } from "../events/documents.ts";
import { type Envelope, envelopeSchema } from "../events/envelope.ts";
import { type PostSystem, postEnvelope } from "../events/post.ts";
import { planningError } from "./errors.ts";
import { fieldInvalid } from "./input.ts";

const KEYS_MAX = 200;
const TRIES_MAX = 20;
const RETRY_MS = 5;
const MEND_MIN_MS = 100;
const MEND_MAX_MS = 5_000;
const QUIET_MS = 2_000;

interface Stored<Body> {
  readonly body: Body;
  /** Hashes (OB3). */
  readonly keys: readonly string[];
  /** Of its creation; "" when it had none. */
  readonly createdBy: string;
  readonly outbox: readonly Envelope[];
}

interface Held<Body> {
  document: Document<Stored<Body>>;
  /** Letters of its outbox that were sent. */
  sent: number;
  /** Since when nothing has happened to it, by the monotonic clock. */
  quietSince: number;
}

export interface Change<Body> {
  readonly body: Body;
  readonly letters: readonly Envelope[];
  /** What is too large when the document would pass `maxBytes`. */
  readonly field: string;
  /** Default: what the store takes. */
  readonly maxBytes?: number;
}

/** Timers that end with whoever owns the documents, whichever way that ends. */
export type Timers = Pick<ActorTimers, "after">;

export interface OutboxOptions<Body> {
  readonly system: PostSystem;
  readonly timers: Timers;
  readonly prefix: string;
  readonly schema: z.ZodType<Body>;
  readonly log: (level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>) => void;
  /** What stands in a letter's place in the document, and the letter again. Default: the letter. */
  readonly slim?: (letter: Envelope) => Envelope;
  readonly whole?: (letter: Envelope, body: Body) => Envelope;
  /** Hears of every body that is held from now on; undefined: deleted. */
  readonly onHeld?: (id: string, body: Body | undefined) => void;
}

export class OutboxDocuments<Body> {
  readonly #options: OutboxOptions<Body>;
  readonly #documents: Documents<Stored<Body>>;
  readonly #clock: Clock;
  readonly #held = new Map<string, Held<Body>>();
  readonly #lanes = new Map<string, Promise<unknown>>();
  /** Documents to look at again, because the store or the log did not answer. */
  readonly #mending = new Map<string, Timer>();
  /** Those whose sent letters are still in the store, the longest quiet first. */
  readonly #unclean = new Set<string>();
  #sweep: Timer | undefined;
  #closed = false;

  constructor(options: OutboxOptions<Body>) {
    const { schema, system, prefix } = options;
    this.#options = options;
    this.#clock = system.clock;
    const stored = z.object({
      body: schema,
      keys: z.array(z.string()),
      createdBy: z.string(),
      outbox: z.array(envelopeSchema),
    });
    this.#documents = new Documents(system, prefix, stored as unknown as z.ZodType<Stored<Body>>);
  }

  /** Reads all documents; what they have left to send is sent from now on. Throws DocumentUnreadable, Unavailable. */
  async load(): Promise<void> {
    for (const document of await this.#documents.list()) this.#hold(document);
    for (const [id, { document }] of this.#held) if (document.value.outbox.length > 0) this.#mend(id, 0);
  }

  /** In no order. */
  *bodies(): Generator<Body> {
    for (const { document } of this.#held.values()) yield document.value.body;
  }

  get size(): number {
    return this.#held.size;
  }

  /** What this instance knows of it. */
  held(id: string): Body | undefined {
    return this.#held.get(id)?.document.value.body;
  }

  /** What is held, or what another instance has made. Throws DocumentUnreadable, Unavailable. */
  async get(id: string): Promise<Body | undefined> {
    const held = this.#held.get(id) ?? (await this.#lane(id, () => this.#read(id)));
    return held?.document.value.body;
  }

  /** The new body; the one that is there when it was made with the same key; undefined when the id has another owner. */
  create(id: string, key: string | undefined, make: () => Change<Body>): Promise<Body | undefined> {
    const createdBy = key === undefined ? "" : hash(key);
    return this.#lane(id, async () => {
      const change = make();
      const stored = this.#stored({ keys: [], createdBy }, change);
      const document = this.#held.has(id)
        ? undefined
        : await this.#written(id, () => this.#documents.create(id, stored));
      if (document !== undefined) return this.#settle(id, this.#hold(document));
      const other = this.#held.get(id) ?? (await this.#read(id));
      const isSame = createdBy !== "" && other?.document.value.createdBy === createdBy;
      return isSame ? other.document.value.body : undefined;
    });
  }

  /**
   * The body after the change, or as it is when the key was taken before or `decide` answers undefined; undefined when there is none.
   * Throws what `decide` throws, FieldInvalid (too large), StoryContested, Unavailable (it may have been made, or not).
   */
  change(
    id: string,
    key: string | undefined,
    decide: (body: Body) => Change<Body> | undefined,
  ): Promise<Body | undefined> {
    const mark = key === undefined ? undefined : hash(key);
    return this.#lane(id, async () => {
      for (let tries = 1; tries <= TRIES_MAX; tries++) {
        const held = this.#held.get(id) ?? (await this.#read(id));
        if (held === undefined) return undefined;
        const { body, keys, createdBy } = held.document.value;
        const change = mark !== undefined && keys.includes(mark) ? undefined : decide(body);
        if (change === undefined) return body;
        await this.#send(held);
        const taken = mark === undefined ? keys : [...keys, mark].slice(-KEYS_MAX);
        const stored = this.#stored({ keys: taken, createdBy }, change);
        const document = await this.#written(id, () => this.#documents.replace(held.document, stored));
        if (document !== undefined) return this.#settle(id, this.#hold(document));
        if (tries > 1) await sleep(this.#clock, RETRY_MS * tries);
        await this.#read(id);
      }
      throw planningError("StoryContested", `${this.#options.prefix}.${id} was changed elsewhere ${TRIES_MAX} times.`);
    });
  }

  /** Deletes a document that has nothing left to send; otherwise, and when it has just changed, does nothing. */
  delete(id: string): Promise<void> {
    return this.#lane(id, async () => {
      const held = this.#held.get(id);
      if (held === undefined || held.sent < held.document.value.outbox.length) return;
      if (await this.#documents.delete(held.document)) this.#forget(id);
    });
  }

  /** Ends its timers when what is in hand is done; what was sent is deleted where the store lets it. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#mending.values()) timer.cancel();
    this.#sweep?.cancel();
    await Promise.allSettled(this.#lanes.values());
    await Promise.allSettled([...this.#unclean].map((id) => this.#clean(id)));
  }

  #lane<T>(id: string, work: () => Promise<T>): Promise<T> {
    const working = (this.#lanes.get(id) ?? Promise.resolve()).then(work);
    const settled = working
      .catch(() => {})
      .then(() => {
        if (this.#lanes.get(id) === settled) this.#lanes.delete(id);
      });
    this.#lanes.set(id, settled);
    return working;
  }

  #stored({ keys, createdBy }: Pick<Stored<Body>, "keys" | "createdBy">, change: Change<Body>): Stored<Body> {
    const { system, slim = (letter) => letter } = this.#options;
    const { body, letters, field, maxBytes = system.ports.store.valueMaxBytes } = change;
    const stored = { body, keys, createdBy, outbox: letters.map(slim) };
    const bytes = Buffer.byteLength(JSON.stringify(stored));
    if (bytes <= maxBytes) return stored;
    throw fieldInvalid(field, `too large: with it the document has ${bytes} bytes, at most ${maxBytes} are kept`);
  }

  /** The outcome of a write; when it is not known, the document is read again later. */
  async #written<T>(id: string, write: () => Promise<T>): Promise<T> {
    try {
      return await write();
    } catch (error) {
      this.#mend(id);
      throw error;
    }
  }

  async #read(id: string): Promise<Held<Body> | undefined> {
    const document = await this.#documents.get(id);
    if (document !== undefined) return this.#hold(document);
    if (this.#held.has(id)) this.#forget(id);
    return undefined;
  }

  #forget(id: string): void {
    this.#held.delete(id);
    this.#unclean.delete(id);
    this.#options.onHeld?.(id, undefined);
  }

  #hold(document: Document<Stored<Body>>): Held<Body> {
    const { id, revision } = document;
    const known = this.#held.get(id);
    // A read may be behind (ST3).
    if (known !== undefined && known.document.revision >= revision) return known;
    const held = { document, sent: 0, quietSince: this.#clock.monotonic() };
    this.#held.set(id, held);
    this.#options.onHeld?.(id, document.value.body);
    return held;
  }

  /** Sends what was written just now. The change is made whether or not that succeeds, so it is no error of the change. */
  async #settle(id: string, held: Held<Body>): Promise<Body> {
    await this.#send(held).catch((error: unknown) => {
      this.#options.log("warn", "an event could not be sent and will be", { document: id, error: String(error) });
      this.#mend(id);
    });
    return held.document.value.body;
  }

  /** Sends what is left (OB1, OB6). Throws Unavailable. */
  async #send(held: Held<Body>): Promise<void> {
    const { system, whole = (letter) => letter } = this.#options;
    const { id, value } = held.document;
    const post = (letter: Envelope) => postEnvelope(system, agileEvents, whole(letter, value.body));
    const [first, ...rest] = value.outbox.slice(held.sent);
    if (first !== undefined) {
      await post(first);
      held.sent++;
      await Promise.all(rest.map(post));
      held.sent = value.outbox.length;
    }
    if (value.outbox.length === 0) return;
    held.quietSince = this.#clock.monotonic();
    this.#unclean.delete(id);
    this.#unclean.add(id);
    this.#sweepSoon();
  }

  /** Reads the document again and sends what it has to say, as often as it takes. */
  #mend(id: string, delayMs = MEND_MIN_MS): void {
    if (this.#closed || this.#mending.has(id)) return;
    const again = async () => {
      try {
        await this.#lane(id, async () => {
          const held = delayMs === 0 ? this.#held.get(id) : await this.#read(id);
          if (held !== undefined) await this.#send(held);
        });
        this.#mending.delete(id);
      } catch (error) {
        this.#options.log("warn", "a document cannot be told of yet", { document: id, error: String(error) });
        this.#mending.delete(id);
        this.#mend(id, Math.min(MEND_MAX_MS, Math.max(MEND_MIN_MS, delayMs * 2)));
      }
    };
    this.#mending.set(id, this.#options.timers.after(delayMs, again));
  }

  #sweepSoon(): void {
    if (this.#closed || this.#sweep !== undefined) return;
    this.#sweep = this.#options.timers.after(QUIET_MS, async () => {
      const quiet: string[] = [];
      for (const id of this.#unclean) {
        const held = this.#held.get(id);
        if (held !== undefined && this.#clock.monotonic() - held.quietSince < QUIET_MS) break;
        quiet.push(id);
      }
      await Promise.allSettled(quiet.map((id) => this.#clean(id)));
      this.#sweep = undefined;
      if (this.#unclean.size > 0) this.#sweepSoon();
    });
  }

  /** Deletes letters that were sent (OB5). Whatever goes wrong, they are only sent again. */
  #clean(id: string): Promise<void> {
    return this.#lane(id, async () => {
      const held = this.#held.get(id);
      if (held === undefined || held.sent < held.document.value.outbox.length) return;
      const document = await this.#documents.replace(held.document, { ...held.document.value, outbox: [] });
      this.#unclean.delete(id);
      if (document === undefined) await this.#read(id);
      else Object.assign(held, { document, sent: 0 });
    });
  }
}

const hash = (key: string): string => createHash("sha256").update(key).digest("base64url").slice(0, 22);
