// Reads a channel: each event parsed, or told as what it is not. It acknowledges nothing and keeps no position (consumer.ts does).

import { type ActorSystem, type LoggedEvent, topicFilter, topicOfSubject } from "../../runtime/index.ts";
import type { Channel, DataOf, TypeOf } from "./channels.ts";
import { patternOf, topicOf } from "./channels.ts";
import { type Envelope, envelopeSchema } from "./envelope.ts";

/** An event of a channel, as its schemas say. */
export type ChannelEvent<C extends Channel = Channel> = {
  [T in TypeOf<C>]: Omit<Envelope<DataOf<C, T>>, "type"> & { readonly type: T };
}[TypeOf<C>];

/** `bad`: it is no event of this channel; why, with a stable code: EventNotJson, EventInvalid, EventUnknown, EventTooNew. */
export type Fed<C extends Channel = Channel> = {
  readonly sequence: number;
  readonly topic: string;
  readonly atMs: number;
  readonly raw: Uint8Array;
} & (
  | { readonly kind: "event"; readonly event: ChannelEvent<C> }
  | { readonly kind: "bad"; readonly code: string; readonly message: string }
);

export interface FeedOptions {
  /** Sequence to begin with. */
  readonly from: number;
  readonly signal?: AbortSignal;
  /** Values for the address's braces: one topic instead of all. */
  readonly topic?: readonly string[];
}

/** What is on the channel from a sequence on, and then what comes. Rejects with ReaderLagged, Unavailable. */
export async function* feed<C extends Channel>(
  { ports }: Pick<ActorSystem, "ports">,
  channel: C,
  { from, signal, topic }: FeedOptions,
): AsyncGenerator<Fed<C>, void> {
  const filter = topicFilter(topic === undefined ? patternOf(channel) : topicOf(channel, ...topic));
  for await (const logged of ports.eventLog.follow(filter, from, signal)) yield parse(channel, logged);
}

/** Never throws: what cannot be parsed is `bad`. */
export function parse<C extends Channel>(channel: C, { sequence, subject, atMs, data: raw }: LoggedEvent): Fed<C> {
  const place = { sequence, topic: topicOfSubject(subject), atMs, raw };
  const bad = (code: string, message: string): Fed<C> => ({ ...place, kind: "bad", code, message });
  let json: unknown;
  try {
    json = JSON.parse(new TextDecoder("utf-8", { fatal: true }).decode(raw));
  } catch (error) {
    return bad("EventNotJson", `not JSON: ${error instanceof Error ? error.message : String(error)}`);
  }
  const envelope = envelopeSchema.safeParse(json);
  if (!envelope.success) return bad("EventInvalid", `no envelope: ${first(envelope.error)}`);
  const { type, schemaVersion } = envelope.data;
  const known = Object.hasOwn(channel.types, type) ? channel.types[type] : undefined;
  if (known === undefined) return bad("EventUnknown", `${channel.address} has no events of type "${type}"`);
  if (schemaVersion > known.version)
    return bad("EventTooNew", `${type} is of version ${schemaVersion}; known up to ${known.version}`);
  const data = known.data.safeParse(envelope.data.data);
  if (!data.success) return bad("EventInvalid", `${type}: ${first(data.error)}`);
  return { ...place, kind: "event", event: { ...envelope.data, data: data.data } as ChannelEvent<C> };
}

function first(error: {
  readonly issues: readonly { readonly path: PropertyKey[]; readonly message: string }[];
}): string {
  const [issue] = error.issues;
  return issue === undefined ? "unlike its schema" : `${issue.path.join(".") || "it"}: ${issue.message}`;
}
