// Filter → score → pick: one decision about one actor. Pure: it keeps nothing, and the same snapshot and seed give the same decision.
//
// PC1  Every node that is a place is in the decision: with its score, or with the objection to it.

import type { Decision, NodeRecord, NodeScore, PlacementRequest, Random, Rejection } from "../runtime/index.ts";
import { type Asked, askedOf } from "./asked.ts";
import { objectionTo } from "./filters.ts";
import { type Picked, pickBest } from "./pickers.ts";
import { scoresOf } from "./scorers.ts";
import { placesOf, type Snapshot } from "./snapshot.ts";

const NOBODY_ACCEPTS = "no node of this fleet accepts actors; start one with: flotilla node --servers …";

/** Where the actor goes, with every node's score or what is against it; never an exception. */
export function place(request: PlacementRequest, snapshot: Snapshot, random: Random): Decision {
  const asked = askedOf(request, snapshot);
  const places = placesOf(snapshot);
  const { able, rejected } = sift(places, asked);
  const picked = pickBest(scoresOf(able, asked), random);
  if (picked === undefined) {
    const isNobody = request.node === undefined && !places.some(({ accepts }) => accepts);
    return { kind: "unplaceable", rejected, ...(isNobody && { why: NOBODY_ACCEPTS }) };
  }
  const { node, score } = picked.best;
  return { kind: "placed", node, score, reasons: reasonsFor(picked, request), scores: picked.ranked, rejected };
}

function sift(places: readonly NodeRecord[], asked: Asked): { able: NodeRecord[]; rejected: Rejection[] } {
  const able: NodeRecord[] = [];
  const rejected: Rejection[] = [];
  for (const record of places) {
    const objection = objectionTo(record, asked);
    if (objection === undefined) able.push(record);
    else rejected.push({ node: record.node, ...objection });
  }
  return { able, rejected };
}

function reasonsFor({ best, ranked, tied }: Picked, { node, type }: PlacementRequest): string[] {
  if (node !== undefined) return ["the request names it"];
  const [, second] = ranked;
  if (second === undefined) return [`the only node that can take ${type}`];
  const first = `best of ${ranked.length} nodes that can take ${type}`;
  return [first, tied > 1 ? `chance decided among the ${tied} that score the same` : lead(best, second)];
}

function lead(best: NodeScore, second: NodeScore): string {
  const ahead = Object.keys(best.parts).filter((name) => (best.parts[name] ?? 0) > (second.parts[name] ?? 0));
  return `ahead of ${second.node} by ${ahead.join(", ")}`;
}
