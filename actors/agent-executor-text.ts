// Texts for executors: in place, or in a blob, because command lines and variables take no more than some ten thousand characters.

import type { ActorSystem } from "../runtime/index.ts";
import { fail } from "./errors.ts";

/** Begins a text that is in a blob; its hash follows. */
export const BLOB_PREFIX = "blob:";
const INLINE_MAX = 16_000;

type Place = Pick<ActorSystem, "ports">;

/** A text as an executor is given it. The blob is this owner's alone, so that it may be deleted with it. Throws what blobs throw. */
export async function putText({ ports }: Place, owner: string, text: string): Promise<string> {
  if (text.length <= INLINE_MAX && !text.startsWith(BLOB_PREFIX)) return text;
  return BLOB_PREFIX + (await ports.blobs.put(new TextEncoder().encode(JSON.stringify([owner, text]))));
}

/** What putText was given. Throws OriginMissing. */
export async function getText(place: Place, given: string): Promise<string> {
  const hash = blobIn(given);
  if (hash === undefined) return given;
  const [, text] = JSON.parse(new TextDecoder().decode(await sentBlob(place, hash)));
  return text;
}

/** The hash of the blob that a text is in; undefined where it is in place. */
export const blobIn = (given: string): string | undefined =>
  given.startsWith(BLOB_PREFIX) ? given.slice(BLOB_PREFIX.length) : undefined;

/** A blob that was put for an executor. Throws OriginMissing. */
export async function sentBlob({ ports }: Place, hash: string): Promise<Uint8Array> {
  const bytes = await ports.blobs.get(hash);
  if (bytes !== undefined) return bytes;
  throw fail("OriginMissing", "What was sent for this task is no longer in the fleet's blobs.", { data: { hash } });
}
