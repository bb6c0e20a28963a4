// One JetStream stream as store, event log and blobs use it: write with conditions, read, and hear of what is new.
// It is not a port: keys here are what follows the stream's subject prefix, checked by whoever calls.
//
// J1  A write whose answer was lost is published again with the same id, and the server keeps the first. The server looks at conditions
//     before it looks at ids (2.15.2), so a refused repetition asks once more what became of the id.
// J2  `first` and `last` are answered by the stream's leader; `near` and pages by any replica, which may be behind.

import { type Msg, type MsgHdrs, headers as makeHeaders } from "@nats-io/transport-node";
import type { Random } from "../random.ts";
import type { Connection } from "./connection.ts";
import { API, type ApiError, fromApi, isApiError, readAnswer, unavailable } from "./failures.ts";
import type { StreamNames } from "./subjects.ts";

export interface StoredMessage {
  readonly key: string;
  readonly sequence: number;
  readonly atMs: number;
  readonly data: Uint8Array;
  /** A deletion or expiry. */
  readonly isGone: boolean;
}

export interface WriteConditions {
  /** Sequence of the last message of `expectedKey` (default: of the key written); 0: there is none. */
  readonly expectedSequence?: number;
  readonly expectedKey?: string;
  /** Seconds until the message goes. */
  readonly ttlSeconds?: number;
  /** Leaves a mark that the key is gone, in place of what it held. */
  readonly isDeletion?: boolean;
}

export type Stored =
  | {
      readonly kind: "stored";
      readonly sequence: number;
      /** The id had been stored before: by an earlier write with it, or by this one, whose answer was lost. */
      readonly isDuplicate: boolean;
    }
  | { readonly kind: "refused" };

export interface StreamState {
  /** Oldest sequence kept; one more than `last` when none is. */
  readonly first: number;
  readonly last: number;
}

/** Messages and bytes that one page asks for. */
const PAGE_MAX = 500;
const PAGE_BYTES = 4 * 1024 * 1024;
const NOT_FOUND = 404;
const END_OF_PAGE = 204;
const EMPTY = new Uint8Array(0);
const EXPECTED_SEQUENCE = "Nats-Expected-Last-Subject-Sequence";
const ID = "Nats-Msg-Id";

const encode = (value: object): Uint8Array => new TextEncoder().encode(JSON.stringify(value));

export class NatsStream {
  readonly connection: Connection;
  readonly names: StreamNames;
  readonly #idPrefix: string;
  #writes = 0;

  constructor(connection: Connection, names: StreamNames, random: Random) {
    this.connection = connection;
    this.names = names;
    this.#idPrefix = `o.${random.id()}.`;
  }

  /** Writes one message if its conditions hold. `id`: the same for each repetition of one thing; default: a new one. */
  async write(key: string, data: Uint8Array, conditions: WriteConditions = {}, id = this.#newId()): Promise<Stored> {
    const headers = this.#headersOf(id, conditions);
    for (;;) {
      const { reply, attempts } = await this.connection.ask(
        `write ${key}`,
        this.names.subjectPrefix + key,
        data,
        headers,
      );
      const answer = readAnswer<{ seq: number; duplicate?: boolean }>(reply);
      if (!isApiError(answer)) {
        return { kind: "stored", sequence: answer.seq, isDuplicate: answer.duplicate === true };
      }
      const number = answer.error.err_code;
      if (number === API.wrongLastSequenceUnknown) continue;
      if (number !== API.wrongLastSequence) throw fromApi(`write ${key}`, answer.error);
      const sequence = attempts === 1 ? undefined : await this.sequenceOfId(key, id);
      return sequence === undefined ? { kind: "refused" } : { kind: "stored", sequence, isDuplicate: true };
    }
  }

  /** The sequence under which `id` was stored, while the server remembers it (J1). Stores nothing. */
  async sequenceOfId(key: string, id: string): Promise<number | undefined> {
    const headers = makeHeaders();
    headers.set(ID, id);
    // The last message never has this id, so the server either knows ours or refuses.
    headers.set("Nats-Expected-Last-Msg-Id", `${id} `.repeat(2).trim());
    const what = `look for the id of ${key}`;
    const { reply } = await this.connection.ask(what, this.names.subjectPrefix + key, EMPTY, headers);
    const answer = readAnswer<{ seq: number }>(reply);
    if (!isApiError(answer)) return answer.seq;
    if (answer.error.err_code === API.wrongLastMessageId) return undefined;
    throw fromApi(what, answer.error);
  }

  /** The oldest message kept from `from` on whose key the filter takes. */
  first(filter: string, from: number): Promise<StoredMessage | undefined> {
    return this.#ask({ seq: from, next_by_subj: this.names.subjectPrefix + filter });
  }

  /** The newest message of the key. */
  last(key: string): Promise<StoredMessage | undefined> {
    return this.#ask({ last_by_subj: this.names.subjectPrefix + key });
  }

  /** The newest message of the key, quicker than `last`, perhaps from a replica that is behind (J2). */
  async near(key: string): Promise<StoredMessage | undefined> {
    const { stream, subjectPrefix } = this.names;
    const subject = `$JS.API.DIRECT.GET.${stream}.${subjectPrefix}${key}`;
    const { reply } = await this.connection.ask(`read ${key}`, subject, EMPTY);
    return this.#direct(`read ${key}`, reply);
  }

  /** Up to `max` messages from `from` on whose keys the filter takes. None only when the leader has none; `isEnd`: there were no more. */
  async next(
    filter: string,
    from: number,
    max: number,
  ): Promise<{ readonly messages: readonly StoredMessage[]; readonly isEnd: boolean }> {
    const asked = Math.min(max, PAGE_MAX);
    const page = asked === 1 ? [] : await this.#page(filter, from, asked);
    if (page.length >= asked) return { messages: page, isEnd: false };
    // Fewer may mean that the replica is behind, or PAGE_BYTES; the leader knows (J2).
    const further = await this.first(filter, (page.at(-1)?.sequence ?? from - 1) + 1);
    return further === undefined ? { messages: page, isEnd: true } : { messages: [...page, further], isEnd: false };
  }

  async #page(filter: string, from: number, max: number): Promise<readonly StoredMessage[]> {
    const request = { seq: from, batch: max, max_bytes: PAGE_BYTES, next_by_subj: this.names.subjectPrefix + filter };
    let found: StoredMessage[] = [];
    // A repeated request begins anew: the first one's replies may have been lost in part.
    const begin = () => {
      found = [];
      return (reply: Msg): boolean => {
        if (reply.headers?.code) return true;
        const message = this.#told(reply);
        if (message !== undefined) found.push(message);
        return false;
      };
    };
    const subject = `$JS.API.DIRECT.GET.${this.names.stream}`;
    const { reply } = await this.connection.ask(`read ${filter}`, subject, encode(request), undefined, begin);
    const code = reply.headers?.code ?? 0;
    if (code === END_OF_PAGE || code === NOT_FOUND) return found;
    throw fromApi(`read ${filter}`, { code, description: reply.headers?.description ?? "" });
  }

  async state(): Promise<StreamState> {
    const { stream } = this.names;
    const { reply } = await this.connection.ask(`look at ${stream}`, `$JS.API.STREAM.INFO.${stream}`, EMPTY);
    const answer = readAnswer<{ state: { first_seq: number; last_seq: number } }>(reply);
    if (isApiError(answer)) throw this.#missing(`look at ${stream}`, answer.error);
    const { first_seq, last_seq } = answer.state;
    return { first: Math.max(1, first_seq), last: last_seq };
  }

  /** Removes messages of the key or filter that are older than `sequence`, leaving nothing in their place. */
  async purge(filter: string, sequence: number): Promise<void> {
    const { stream, subjectPrefix } = this.names;
    const request = encode({ filter: subjectPrefix + filter, seq: sequence });
    const { reply } = await this.connection.ask(`purge ${filter}`, `$JS.API.STREAM.PURGE.${stream}`, request);
    const answer = readAnswer<{ purged: number }>(reply);
    if (isApiError(answer)) throw this.#missing(`purge ${filter}`, answer.error);
  }

  /** Calls back with each new message that the filter takes, in order and once each while the connection lasts. Answers how to stop. */
  listen(filter: string, heard: (message: StoredMessage) => void): () => void {
    const { nc } = this.connection;
    const subscription = nc.subscribe(this.names.tailPrefix + filter, {
      callback: (error, told) => {
        // Anybody may say anything there, and a callback that throws would end all reading on the connection.
        const message = error === null ? this.#told(told) : undefined;
        if (message !== undefined) heard(message);
      },
    });
    return () => {
      if (!nc.isClosed()) subscription.unsubscribe();
    };
  }

  #newId(): string {
    return this.#idPrefix + (this.#writes++).toString(36);
  }

  #headersOf(id: string, { expectedSequence, expectedKey, ttlSeconds, isDeletion }: WriteConditions): MsgHdrs {
    const headers = makeHeaders();
    headers.set(ID, id);
    if (expectedSequence !== undefined) headers.set(EXPECTED_SEQUENCE, String(expectedSequence));
    if (expectedKey !== undefined) headers.set(`${EXPECTED_SEQUENCE}-Subject`, this.names.subjectPrefix + expectedKey);
    if (ttlSeconds !== undefined) headers.set("Nats-TTL", `${ttlSeconds}s`);
    if (isDeletion === true) {
      // A purge mark, not a delete mark: when that one ends, the server puts another in its place.
      headers.set("KV-Operation", "PURGE");
      headers.set("Nats-Rollup", "sub");
    }
    return headers;
  }

  async #ask(request: object): Promise<StoredMessage | undefined> {
    const { stream, subjectPrefix } = this.names;
    const { reply } = await this.connection.ask(`read ${stream}`, `$JS.API.STREAM.MSG.GET.${stream}`, encode(request));
    const answer = readAnswer<{ message: ApiMessage }>(reply);
    if (isApiError(answer)) {
      if (answer.error.err_code === API.noMessageFound) return undefined;
      throw this.#missing(`read ${stream}`, answer.error);
    }
    const { subject, seq, time, data, hdrs } = answer.message;
    const head = hdrs === undefined ? "" : Buffer.from(hdrs, "base64").toString("latin1");
    return {
      key: subject.slice(subjectPrefix.length),
      sequence: seq,
      atMs: Date.parse(time),
      data: new Uint8Array(Buffer.from(data ?? "", "base64")),
      isGone: GONE.test(head),
    };
  }

  #direct(what: string, reply: Msg): StoredMessage | undefined {
    const code = reply.headers?.code ?? 0;
    if (code === 0) {
      const message = this.#told(reply);
      if (message === undefined) throw unavailable(`${what}: what came is no message of ${this.names.stream}`);
      return message;
    }
    if (code === NOT_FOUND) return undefined;
    throw fromApi(what, { code, description: reply.headers?.description ?? "" });
  }

  /** A message with its place in headers: how direct reads and tails give it. Undefined for what is none. */
  #told(message: Msg): StoredMessage | undefined {
    const { headers } = message;
    const { stream, subjectPrefix } = this.names;
    const subject = headers?.get("Nats-Subject") ?? "";
    const sequence = Number(headers?.get("Nats-Sequence"));
    const isOurs = headers?.get("Nats-Stream") === stream && subject.startsWith(subjectPrefix);
    if (headers === undefined || !isOurs || !Number.isSafeInteger(sequence) || sequence < 1) return undefined;
    return {
      key: subject.slice(subjectPrefix.length),
      sequence,
      atMs: Date.parse(headers.get("Nats-Time-Stamp")),
      data: message.data.slice(),
      isGone: headers.has("KV-Operation") || headers.has("Nats-Marker-Reason"),
    };
  }

  #missing(what: string, error: ApiError): Error {
    if (error.err_code !== API.streamNotFound) return fromApi(what, error);
    return unavailable(`${what}: the server has no stream ${this.names.stream}; connect again to have it made`);
  }
}

interface ApiMessage {
  readonly subject: string;
  readonly seq: number;
  readonly time: string;
  readonly data?: string;
  readonly hdrs?: string;
}

const GONE = /^(KV-Operation|Nats-Marker-Reason):/im;
