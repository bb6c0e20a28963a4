// A text on its way to an executor: as it is, or by a blob where command lines and variables do not take it.

import type { ActorSystem } from "../runtime/index.ts";
import { fail } from "./errors.ts";

type Place = Pick<ActorSystem, "ports">;

/** Begins a text that is in a blob: command lines and variables take no more than some ten thousand characters. */
export const BLOB_PREFIX = "blob:";
const INLINE_MAX = 16_000;

/** A text as an executor is given it. The blob is this owner's alone, so that it may be deleted with it. */
export async function putText({ ports }: Place, owner: string, text: string): Promise<string> {
  if (text.length <= INLINE_MAX && !text.startsWith(BLOB_PREFIX)) return text;
  return BLOB_PREFIX + (await ports.blobs.put(new TextEncoder().encode(JSON.stringify([owner, text]))));
}

/** The text that was given. Throws OriginMissing. */
export async function getText({ ports }: Place, given: string): Promise<string> {
  if (!given.startsWith(BLOB_PREFIX)) return given;
  const [, text] = JSON.parse(new TextDecoder().decode(await blobOf(ports, given.slice(BLOB_PREFIX.length))));
  return text;
}

/** What a blob holds. Throws OriginMissing. */
export async function blobOf({ blobs }: ActorSystem["ports"], hash: string): Promise<Uint8Array> {
  const bytes = await blobs.get(hash);
  if (bytes !== undefined) return bytes;
  throw fail("OriginMissing", "What was sent for this task is no longer in the fleet's blobs.", { data: { hash } });
}
