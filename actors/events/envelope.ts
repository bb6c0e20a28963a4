// The one envelope of everything that services tell each other over the fleet's topics: JSON, so that any program can read and write it.
// It is not what an event says (channels.ts) nor how it travels (post.ts, feed.ts).
//
// EE1  Who sends the same event again gives it the same `idempotencyKey`; `eventId` names this one writing of it. Whoever acts on events
//      acts once for each key.
// EE2  A reader takes every `schemaVersion` up to its own and refuses a newer one by name: a field it does not know may change the meaning.

import { z } from "zod";

/** Longest id, key or name in an envelope, in characters. */
export const NAME_MAX = 200;

const name = z.string().min(1).max(NAME_MAX);

export const envelopeSchema = z.object({
  /** Unique for each envelope written. */
  eventId: name,
  /** What happened: "story.transitioned". */
  type: name,
  /** Version of `data`'s schema for this type, from 1. */
  schemaVersion: z.int().min(1),
  /** Same for the same event, however often it is told. */
  idempotencyKey: name,
  /** What belongs together: the story's id for everything that follows from a story. */
  correlationId: name,
  /** W3C trace context of what led to it. */
  traceparent: z.string().max(NAME_MAX).exactOptional(),
  /** Service and node: "planning@host-1". */
  producer: name,
  /** When it was written, ISO 8601 in UTC with milliseconds. */
  time: z.iso.datetime(),
  data: z.unknown(),
});

export type Envelope<Data = unknown> = Omit<z.infer<typeof envelopeSchema>, "data"> & { readonly data: Data };

/** Who did something: an agent of ours, a person, or a service by itself. */
export const bySchema = z.object({
  kind: z.enum(["agent", "human", "system"]),
  /** Of a person: what they are known by. Of a service: its name. */
  id: name,
  /** Of a person: "po", "qa", "architect"; of an agent: its role. */
  role: z.string().min(1).max(40).exactOptional(),
});

export type By = Readonly<z.infer<typeof bySchema>>;
