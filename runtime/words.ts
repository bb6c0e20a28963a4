// Envelopes ⇄ words: the flat list that a frame is, made so that a batch of calls costs as few items as it can.
// It is not bytes (codec.ts) and judges no address: whether somebody lives there is the host's business.
//
//     [ VERSION, TO node id type incarnation method, UNTIL 1700000000123, CALL 1 [2], CALL 2 [3], REPLY 7 "ok", … ]
//
// W1  TO and UNTIL hold for every call and cast after them until the next one; they are said only when they change.
// W2  What most calls lack (chain, credit, lane, key, trace) is one map behind CALL_WITH and CAST_WITH.
// W3  Envelopes come out in the order they went in. A list that is not exactly this is refused whole.

import type { Address } from "./address.ts";
import type { CallEnvelope, CallExtras, CastEnvelope, Envelope } from "./envelope.ts";

const TO = 0;
const UNTIL = 1;
const CALL = 2;
const CALL_WITH = 3;
const CAST = 4;
const CAST_WITH = 5;
const REPLY = 6;
const CHUNK = 7;
const END = 8;
/** Everything rarer travels as the envelope it is. */
const OTHER = 9;

const NO_CHAIN: readonly string[] = [];

export function toWords(envelopes: readonly Envelope[], version: number): unknown[] {
  const words: unknown[] = [version];
  let to: Address | undefined;
  let method = "";
  let untilMs = Number.NaN;
  for (const envelope of envelopes) {
    switch (envelope.kind) {
      case "call":
      case "cast": {
        if (envelope.to !== to || envelope.method !== method) {
          to = envelope.to;
          method = envelope.method;
          words.push(TO, to.node, to.id, to.type, to.incarnation, method);
        }
        if (envelope.deadlineMs !== untilMs) {
          untilMs = envelope.deadlineMs;
          words.push(UNTIL, untilMs);
        }
        if (envelope.kind === "call") pushCall(words, envelope);
        else pushCast(words, envelope);
        break;
      }
      case "reply":
        words.push(REPLY, envelope.id, envelope.value);
        break;
      case "chunk":
        words.push(CHUNK, envelope.id, envelope.sequence, envelope.value);
        break;
      case "end":
        words.push(END, envelope.id, envelope.sequence);
        break;
      default:
        words.push(OTHER, envelope);
    }
  }
  return words;
}

function pushCall(words: unknown[], { id, args, chain, credit, extras }: CallEnvelope): void {
  if (chain.length === 0 && credit === undefined && extras === undefined) words.push(CALL, id, args);
  else words.push(CALL_WITH, id, args, { chain, ...(credit !== undefined && { credit }), ...extras });
}

function pushCast(words: unknown[], { args, extras }: CastEnvelope): void {
  if (extras === undefined) words.push(CAST, args);
  else words.push(CAST_WITH, args, extras);
}

/** The envelopes again; undefined for anything `toWords` does not make (W3). */
export function fromWords(words: readonly unknown[]): Envelope[] | undefined {
  return new Reader(words).all();
}

class Reader {
  readonly #words: readonly unknown[];
  #at = 1;
  #to: Address | undefined = undefined;
  #method = "";
  #deadlineMs = Number.NaN;

  constructor(words: readonly unknown[]) {
    this.#words = words;
  }

  all(): Envelope[] | undefined {
    const envelopes: Envelope[] = [];
    while (this.#at < this.#words.length) {
      const word = this.#words[this.#at++];
      if (word === TO || word === UNTIL) {
        if (!(word === TO ? this.#readTo() : this.#readUntil())) return undefined;
        continue;
      }
      const envelope = this.#envelope(word);
      if (envelope === undefined) return undefined;
      envelopes.push(envelope);
    }
    // Words that were not there have been read as undefined, of which a value may be made.
    return this.#at === this.#words.length ? envelopes : undefined;
  }

  #readTo(): boolean {
    const [node, id, type, incarnation, method] = this.#words.slice(this.#at, this.#at + 5);
    this.#at += 5;
    this.#to = { node, id, type, incarnation } as Address;
    this.#method = method as string;
    return isAddress(this.#to) && typeof method === "string";
  }

  #readUntil(): boolean {
    this.#deadlineMs = this.#words[this.#at++] as number;
    return typeof this.#deadlineMs === "number" && !Number.isNaN(this.#deadlineMs);
  }

  #envelope(word: unknown): Envelope | undefined {
    switch (word) {
      case CALL:
      case CALL_WITH:
        return this.#call(word === CALL_WITH);
      case REPLY: {
        const id = this.#next() as number;
        const value = this.#next();
        return isId(id) ? { kind: "reply", id, value } : undefined;
      }
      case CHUNK: {
        const id = this.#next() as number;
        const sequence = this.#next() as number;
        const value = this.#next();
        return isId(id) && isId(sequence) ? { kind: "chunk", id, sequence, value } : undefined;
      }
      case END: {
        const id = this.#next() as number;
        const sequence = this.#next() as number;
        return isId(id) && isId(sequence) ? { kind: "end", id, sequence } : undefined;
      }
      case CAST:
      case CAST_WITH:
        return this.#cast(word === CAST_WITH);
      case OTHER: {
        const envelope = this.#next();
        return isOther(envelope) ? envelope : undefined;
      }
      default:
        return undefined;
    }
  }

  #next(): unknown {
    return this.#words[this.#at++];
  }

  #call(hasMore: boolean): Envelope | undefined {
    const id = this.#next() as number;
    const args = this.#next() as unknown[];
    const known = hasMore ? withExtras(this.#next()) : NOTHING_MORE;
    const [to, method, deadlineMs] = [this.#to, this.#method, this.#deadlineMs];
    if (to === undefined || Number.isNaN(deadlineMs) || !isId(id) || !Array.isArray(args)) return undefined;
    // Spelled out for the common case: spreading costs as much as the rest of the envelope.
    if (known === NOTHING_MORE) return { kind: "call", id, to, method, args, deadlineMs, chain: NO_CHAIN };
    return known && { kind: "call", id, to, method, args, deadlineMs, ...known };
  }

  #cast(hasMore: boolean): Envelope | undefined {
    const args = this.#next() as unknown[];
    const known = hasMore ? withExtras(this.#next()) : NOTHING_MORE;
    const [to, method, deadlineMs] = [this.#to, this.#method, this.#deadlineMs];
    if (to === undefined || Number.isNaN(deadlineMs) || !Array.isArray(args) || known === undefined) return undefined;
    const { extras } = known;
    return { kind: "cast", to, method, args, deadlineMs, ...(extras && { extras }) };
  }
}

const isId = (value: unknown): value is number => Number.isSafeInteger(value) && (value as number) >= 0;

function isAddress({ node, id, type, incarnation }: Address): boolean {
  return typeof node === "string" && typeof id === "string" && typeof type === "string" && isId(incarnation);
}

interface Known {
  readonly chain: readonly string[];
  readonly credit?: number;
  readonly extras?: CallExtras;
}

const NOTHING_MORE: Known = { chain: NO_CHAIN };

function isAttempt(value: unknown): boolean {
  if (value === undefined) return true;
  const { id, number } = (value ?? {}) as { id?: unknown; number?: unknown };
  return typeof id === "string" && isId(number);
}

const isText = (value: unknown): boolean => value === undefined || typeof value === "string";

/** What a call may carry beyond its arguments, checked; undefined when it is not that. */
function withExtras(value: unknown): Known | undefined {
  if (typeof value !== "object" || value === null) return undefined;
  const { chain, credit, ...extras } = value as { chain?: unknown; credit?: unknown } & CallExtras;
  const isChain = chain === undefined || (Array.isArray(chain) && chain.every((link) => typeof link === "string"));
  if (!isChain || !(credit === undefined || isId(credit))) return undefined;
  if (
    !(
      isText(extras.lane) &&
      isText(extras.key) &&
      isText(extras.trace) &&
      isText(extras.traceState) &&
      isAttempt(extras.attempt)
    )
  )
    return undefined;
  return {
    chain: (chain as string[] | undefined) ?? NO_CHAIN,
    ...(credit !== undefined && { credit }),
    ...(Object.keys(extras).length > 0 && { extras }),
  };
}

/** Rare kinds are checked for what routes them; their handlers look at the rest. */
function isOther(value: unknown): value is Envelope {
  if (typeof value !== "object" || value === null) return false;
  const { kind, id } = value as { kind?: unknown; id?: unknown };
  // Tables of what is under way (id-table.ts) know no other numbers.
  if (!isId(id)) return false;
  return typeof kind === "string" && kind !== "call" && kind !== "cast" && kind !== "reply" && kind !== "chunk";
}
