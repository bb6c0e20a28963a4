// What one placer remembers between its decisions: what it has placed and no report shows yet, and where those are that belong together.
// It knows its own placements only: those of other nodes show in the reports.
//
// NO1  What was placed on a node is remembered until that node reports anew or is gone. A report made before the actor got there forgets it too early;
//      the node itself then refuses what it cannot grant.
// NO2  A node that reports nothing is counted for as long as it is there, less what is said to have ended; one that comes begins where the least of the others is,
//      or it would get all the next ones at once.
// NO3  Bounded: demands remembered for each node, and words that siblings have in common, the longest unused of which is forgotten.

import type { NodeRecord, PlacementRequest } from "../runtime/index.ts";
import { freeRoom, type Need, needOf, type Room, take } from "./room.ts";
import { kinOf, type Recent } from "./snapshot.ts";

const DEMANDS_MAX = 256;
const WORDS_MAX = 1_024;

interface Note extends Recent {
  /** When the report was made that it adds to. */
  readonly atMs: number | undefined;
  actors: number;
  readonly models: Map<string, number>;
  room: Room | undefined;
  demands: number;
}

export class Notes {
  readonly #recent = new Map<string, Note>();
  readonly #near = new Map<string, Map<string, number>>();

  get recent(): ReadonlyMap<string, Recent> {
    return this.#recent;
  }

  get near(): ReadonlyMap<string, ReadonlyMap<string, number>> {
    return this.#near;
  }

  /** Takes note of who is there now and what they have reported (NO1, NO2). */
  meet(nodes: readonly NodeRecord[]): void {
    const fresh = nodes.filter(({ node, report }) => {
      const note = this.#recent.get(node);
      return note === undefined || note.atMs !== report?.atMs;
    });
    if (fresh.length > 0) this.#begin(fresh, nodes);
    if (this.#recent.size > nodes.length) this.#forgetAllBut(new Set(nodes.map(({ node }) => node)));
  }

  /** An actor goes there. */
  placed(record: NodeRecord, request: PlacementRequest): void {
    const note = this.#recent.get(record.node);
    if (note === undefined) return;
    const { model, bundle } = request.placement ?? {};
    note.actors++;
    if (model !== undefined) note.models.set(model, (note.models.get(model) ?? 0) + 1);
    if (bundle === undefined) this.reserved(record, needOf(request.resources));
    const kin = this.#kin(kinOf(request));
    kin.set(record.node, (kin.get(record.node) ?? 0) + 1);
  }

  /** Something is granted there. A node that reports nothing is taken to have granted nothing (filters.ts, FI3). */
  reserved(record: NodeRecord, need: Need | undefined): void {
    const note = this.#recent.get(record.node);
    if (note === undefined || need === undefined || record.report === undefined || note.demands >= DEMANDS_MAX) return;
    const before = note.room ?? freeRoom(record);
    note.room = take(before, need) ?? before;
    note.demands++;
  }

  /** What was placed there is there no more. What it was granted comes back with the node's next report. */
  ended(request: PlacementRequest, node: string): void {
    const note = this.#recent.get(node);
    if (note !== undefined && note.actors > 0) note.actors--;
    const word = kinOf(request);
    const kin = this.#near.get(word);
    const left = (kin?.get(node) ?? 0) - 1;
    if (left > 0) kin?.set(node, left);
    else kin?.delete(node);
    if (kin?.size === 0) this.#near.delete(word);
  }

  #begin(fresh: readonly NodeRecord[], nodes: readonly NodeRecord[]): void {
    const isSilent = ({ report, parent }: NodeRecord) => report === undefined && parent === undefined;
    const counts = nodes.flatMap((record) => (isSilent(record) ? (this.#recent.get(record.node)?.actors ?? []) : []));
    const least = counts.length === 0 ? 0 : Math.min(...counts);
    for (const record of fresh) {
      const { node, report } = record;
      const actors = isSilent(record) ? least : 0;
      this.#recent.set(node, { atMs: report?.atMs, actors, models: new Map(), room: undefined, demands: 0 });
    }
  }

  /** Siblings of that word by node, as the one used last (NO3). */
  #kin(word: string): Map<string, number> {
    const kin = this.#near.get(word) ?? new Map<string, number>();
    this.#near.delete(word);
    this.#near.set(word, kin);
    const [oldest] = this.#near.keys();
    if (this.#near.size > WORDS_MAX && oldest !== undefined) this.#near.delete(oldest);
    return kin;
  }

  #forgetAllBut(present: ReadonlySet<string>): void {
    for (const node of this.#recent.keys()) if (!present.has(node)) this.#recent.delete(node);
    for (const [word, kin] of this.#near) {
      for (const node of kin.keys()) if (!present.has(node)) kin.delete(node);
      if (kin.size === 0) this.#near.delete(word);
    }
  }
}
