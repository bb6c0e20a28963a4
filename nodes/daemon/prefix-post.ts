// What the model servers of a node have cached, told to the fleet: one key of the store for each node, written when it has changed, not more
// often than every POST_MS. Placement by prefixes reads it (readPrefixes); nothing waits for it.
//
//     prefixes.<node> ─▶ { node, atMs, models: { name: PrefixSummary } }      expires by itself after TTL_MS
//
// PX1  One write is under way at a time, and what changes meanwhile is in the next.
// PX2  A value is at most VALUE_MAX_BYTES: of several servers those added first are told whole, the others left out and named.

import { type Clock, listEntries, type Store, type Timer } from "../../runtime/index.ts";
import type { PrefixSummary } from "../telemetry/prefix-view.ts";

/** What one node's model servers have cached. */
export interface NodePrefixes {
  readonly node: string;
  /** Milliseconds since the epoch, by the node's own clock. */
  readonly atMs: number;
  readonly models: Readonly<Record<string, PrefixSummary>>;
  /** Models whose summaries did not fit. */
  readonly left?: readonly string[];
}

export interface PrefixPostOptions {
  readonly node: string;
  readonly store: Store;
  readonly clock: Clock;
  readonly read: () => ReadonlyMap<string, PrefixSummary>;
}

export const POST_MS = 2_000;
const TTL_MS = 60_000;
/** Well before it expires. */
const REFRESH_MS = 20_000;
const VALUE_MAX_BYTES = 32 * 1_024;

const keyOf = (node: string): string => `prefixes.${node}`;

export class PrefixPost {
  readonly #options: PrefixPostOptions;
  #timer: Timer | undefined = undefined;
  #told = "";
  #toldAtMs = Number.NEGATIVE_INFINITY;
  #revision: number | undefined = undefined;
  #writing: Promise<void> = Promise.resolve();
  #closed = false;

  constructor(options: PrefixPostOptions) {
    this.#options = options;
  }

  start(): void {
    if (this.#closed) return;
    this.#timer = this.#options.clock.schedule(POST_MS, () => {
      this.#writing = this.#post().finally(() => this.start());
    });
  }

  async #post(): Promise<void> {
    const { node, store, clock, read } = this.#options;
    const models = fitting(read());
    const text = JSON.stringify(models);
    const isDue = this.#told !== "" && clock.monotonic() - this.#toldAtMs >= REFRESH_MS;
    if (Object.keys(models.models).length === 0 || (text === this.#told && !isDue)) return;
    const value = new TextEncoder().encode(
      JSON.stringify({ node, atMs: clock.now(), ...models } satisfies NodePrefixes),
    );
    try {
      const options = { ttlMs: TTL_MS };
      const written =
        this.#revision === undefined
          ? await store.create(keyOf(node), value, options)
          : await store.update(keyOf(node), value, this.#revision, options);
      this.#revision = written.kind === "written" ? written.revision : written.current?.revision;
      if (written.kind !== "written") return;
      this.#told = text;
      this.#toldAtMs = clock.monotonic();
    } catch {
      // The next one may get through; whoever reads an old one knows by `atMs`.
    }
  }

  /** Takes back what was told. */
  async close(): Promise<void> {
    this.#closed = true;
    this.#timer?.cancel();
    await this.#writing;
    if (this.#revision !== undefined)
      await this.#options.store.delete(keyOf(this.#options.node), this.#revision).catch(() => {});
  }
}

/** PX2 */
function fitting(summaries: ReadonlyMap<string, PrefixSummary>): Pick<NodePrefixes, "models" | "left"> {
  const models: Record<string, PrefixSummary> = {};
  const left: string[] = [];
  let room = VALUE_MAX_BYTES;
  for (const [model, summary] of summaries) {
    room -= JSON.stringify(summary).length + model.length;
    if (room >= 0) models[model] = summary;
    else left.push(model);
  }
  return { models, ...(left.length > 0 && { left }) };
}

/** What the nodes of the fleet have told, by node. What cannot be read is passed over. */
export async function readPrefixes(store: Store): Promise<ReadonlyMap<string, NodePrefixes>> {
  const found = new Map<string, NodePrefixes>();
  for (const { value } of await listEntries(store, "prefixes.*")) {
    try {
      const told = JSON.parse(new TextDecoder().decode(value)) as NodePrefixes;
      found.set(told.node, told);
    } catch {
      // None of ours.
    }
  }
  return found;
}
