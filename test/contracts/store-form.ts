// What the parts of the Store contract share.

import type { Entry, FencedWrite, Store, Written } from "../../runtime/store.ts";
import { text } from "./contract.ts";

export interface StoreForm {
  readonly store: Store;
  /** Lets this much time pass for the store. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

export function revisionOf(written: Written | FencedWrite): number {
  if (written.kind !== "written") throw new Error(`not written: ${JSON.stringify(written)}`);
  return written.revision;
}

export const shownEntry = (entry: Entry | undefined) => entry && { ...entry, value: text(entry.value) };
