// Puts events on a channel. Resolves when the event cannot be lost any more.
// It is not who reads them (feed.ts, consumer.ts).
//
// EP1  What does not fit its schema is never sent: the sender has a defect and is told.
// EP2  The same key on the same topic within two minutes is kept once; later repetitions are the readers' to recognise (EE1).

import { createHash } from "node:crypto";
import { type ActorSystem, type Appended, topicSubject } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import { type Channel, type DataOf, type TypeOf, topicOf } from "./channels.ts";
import type { Envelope } from "./envelope.ts";

/** What posting needs of a system. */
export type PostSystem = Pick<ActorSystem, "ports" | "clock" | "node">;

export interface Posting<C extends Channel, T extends TypeOf<C>> {
  readonly type: T;
  readonly data: DataOf<C, T>;
  /** The event's idempotency key (EE1). */
  readonly key: string;
  readonly correlationId: string;
  readonly traceparent?: string;
  /** Values of the address's braces, in order. */
  readonly topic?: readonly string[];
}

/** Makes an event's envelope without sending it. Throws EventInvalid (EP1). */
export function envelopeOf<C extends Channel, T extends TypeOf<C>>(
  system: Pick<PostSystem, "clock" | "node">,
  producer: string,
  channel: C,
  posting: Omit<Posting<C, T>, "topic">,
): Envelope<DataOf<C, T>> {
  const { type, key, correlationId, traceparent } = posting;
  const known = channel.types[type];
  const parsed = known?.data.safeParse(posting.data);
  if (known === undefined || parsed === undefined || !parsed.success)
    throw fail("EventInvalid", `No ${type} for ${channel.address}: ${why(parsed?.error)}`, { data: { type } });
  const atMs = system.clock.now();
  return {
    eventId: shortHash(`${channel.address}\n${type}\n${key}`),
    type,
    schemaVersion: known.version,
    idempotencyKey: key,
    correlationId,
    ...(traceparent !== undefined && { traceparent }),
    producer: `${producer}@${system.node}`,
    time: new Date(atMs).toISOString(),
    data: posting.data,
  };
}

const why = (
  error: { readonly issues: readonly { readonly path: PropertyKey[]; readonly message: string }[] } | undefined,
) =>
  error?.issues.map(({ path, message }) => `${path.join(".")}: ${message}`).join("; ") ??
  "the channel has no such type";

/** Sends an envelope that was made before, as it is. Throws ValueTooLarge, Unavailable, Closed. */
export async function postEnvelope(
  { ports }: Pick<PostSystem, "ports">,
  channel: Channel,
  envelope: Envelope,
  topic: readonly string[] = [],
): Promise<Extract<Appended, { kind: "appended" }>> {
  const subject = topicSubject(topicOf(channel, ...topic));
  const data = new TextEncoder().encode(JSON.stringify(envelope));
  const id = `event-${shortHash(`${subject}\n${envelope.type}\n${envelope.idempotencyKey}`)}`;
  const appended = await ports.eventLog.append(subject, data, { id });
  // Nothing was expected, so nothing can be in the way.
  if (appended.kind === "conflict") throw new Error(`an unconditional append to ${subject} met a conflict`);
  return appended;
}

/** Makes and sends an event. `producer`: the service's name. Throws EventInvalid, ValueTooLarge, Unavailable, Closed. */
export async function postEvent<C extends Channel, T extends TypeOf<C>>(
  system: PostSystem,
  producer: string,
  channel: C,
  posting: Posting<C, T>,
): Promise<Extract<Appended, { kind: "appended" }>> {
  return postEnvelope(system, channel, envelopeOf(system, producer, channel, posting), posting.topic);
}

const shortHash = (text: string): string => createHash("sha256").update(text).digest("base64url").slice(0, 22);
