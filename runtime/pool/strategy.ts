// Picks the member of a pool that gets the next call. Pure but for the turn counter that its caller keeps.

/** How a pool spreads single calls: in turn, to whoever has least of this pool's calls to answer, or by `hashKey`. */
export type PoolStrategy = "round-robin" | "least-busy" | "hash";

export const POOL_STRATEGIES: readonly PoolStrategy[] = ["round-robin", "least-busy", "hash"];

/** A place as a strategy sees it. */
export interface Candidate {
  readonly isLive: boolean;
  /** Calls that it has not answered. */
  readonly busy: number;
}

/** Index of the next live place from `turn` on; -1 when there is none. */
export function inTurn(places: readonly Candidate[], turn: number): number {
  for (let step = 0; step < places.length; step++) {
    const index = (turn + step) % places.length;
    if (places[index]?.isLive) return index;
  }
  return -1;
}

/** Index of the live place with the least to do, of several the first from `turn` on; -1 when there is none. */
export function leastBusy(places: readonly Candidate[], turn: number): number {
  let best = -1;
  let least = Number.POSITIVE_INFINITY;
  for (let step = 0; step < places.length; step++) {
    const index = (turn + step) % places.length;
    const place = places[index];
    if (place === undefined || !place.isLive || place.busy >= least) continue;
    [best, least] = [index, place.busy];
  }
  return best;
}

/** Place of a key among `count`: FNV-1a over its UTF-16 units, by Fowler, Noll and Vo, with a last mix for short keys. */
export function hashPlace(key: string, count: number): number {
  let hash = 0x811c9dc5;
  for (let index = 0; index < key.length; index++) hash = Math.imul(hash ^ key.charCodeAt(index), 0x01000193);
  hash = Math.imul(hash ^ (hash >>> 15), 0x2c1b3c6d);
  return ((hash ^ (hash >>> 13)) >>> 0) % count;
}
