// What a decision looks at: the nodes with their reports, and what the placer that asks knows beyond them. It is only read.
//
// SN1  A node's report is the truth about it. What this placer has placed since is an estimate: it says where to rather not go, and forbids
//      nothing, because a spawn that failed would otherwise keep a place for as long as the node has nothing new to report.

import type { NodeRecord, PlacementRequest } from "../runtime/index.ts";
import type { Room } from "./room.ts";

/** What this placer has placed on a node and its report does not show yet. */
export interface Recent {
  /** On a node that reports nothing: all that this placer has placed there. */
  readonly actors: number;
  /** Of those, how many want which model. */
  readonly models: ReadonlyMap<string, number>;
  /** What those leave of the room reported; undefined when none asked for any. */
  readonly room: Room | undefined;
}

export interface Snapshot {
  /** Id of the node that asks. */
  readonly here: string;
  readonly nodes: readonly NodeRecord[];
  /** By node id. */
  readonly recent: ReadonlyMap<string, Recent>;
  /** Word of `kinOf` → node id → how many of them are there, at least 1. */
  readonly near: ReadonlyMap<string, ReadonlyMap<string, number>>;
}

/** What those have in common that are each other's siblings: the word of `near`, or the type. */
export function kinOf({ type, placement }: PlacementRequest): string {
  const near = placement?.near;
  return near === undefined ? `type ${type}` : `near ${near}`;
}

/** Nodes that are places: the process of one actor is none, except to itself. */
export function placesOf({ here, nodes }: Snapshot): NodeRecord[] {
  return nodes.filter(({ node, parent }) => parent === undefined || node === here);
}
