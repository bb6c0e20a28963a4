// The Placer port on a fleet, in its first simple form: turn and turn about among the nodes that can take the actor.
// It looks at no load and no hardware.
//
// FP1  A candidate is there, accepts actors, is not draining, and knows the type or loads code. Its own node may be named
//      although that accepts nobody else's.
// FP3  The process of one actor is no candidate and is not spoken of, except to itself. One that drains places nothing on the node that it
//      belongs to: that one drains too, or is gone.
// FP2  Among candidates the one that this placer has used least recently; those never used, in an order of chance.

import type { NodeRecord } from "./node-record.ts";
import type { Decision, PlacementRequest, Placer } from "./placer.ts";
import type { Random } from "./random.ts";

const NOBODY_ACCEPTS = "no node of this fleet accepts actors; start one with: flotilla node --servers …";

export class FleetPlacer implements Placer {
  readonly #here: string;
  readonly #nodes: () => readonly NodeRecord[];
  readonly #random: Random;
  readonly #usedAt = new Map<string, number>();
  #uses = 0;

  /** `here`: the id of the node that asks. `nodes` answers who is there now. */
  constructor(here: string, nodes: () => readonly NodeRecord[], random: Random) {
    this.#here = here;
    this.#nodes = nodes;
    this.#random = random;
  }

  place(request: PlacementRequest): Decision {
    const { refused } = request;
    const nodes = this.#nodes().filter(({ node, parent }) => parent === undefined || node === this.#here);
    const leaving = nodes.find(({ node, draining }) => node === this.#here && draining);
    const judged = nodes.map((record) => ({ record, reason: this.#against(record, request, leaving) }));
    const candidates = judged.flatMap(({ record, reason }) => (reason === undefined ? [record] : []));
    const node = this.#pick(candidates, nodes);
    if (node === undefined) {
      const rejected = judged.map(
        ({ record: { node }, reason = "" }) => refused?.find((refusal) => refusal.node === node) ?? { node, reason },
      );
      const isNobody = request.node === undefined && !nodes.some(({ accepts }) => accepts);
      return { kind: "unplaceable", rejected, ...(isNobody && { why: NOBODY_ACCEPTS }) };
    }
    const reason =
      request.node === undefined
        ? `used least recently of ${candidates.length} that can take ${request.type}`
        : "the request names it";
    return { kind: "placed", node, score: 1, reasons: [reason] };
  }

  /** Why not on this node; undefined when it can be there. */
  #against(record: NodeRecord, { node, type, refused }: PlacementRequest, leaving?: NodeRecord): string | undefined {
    const refusal = refused?.find((rejection) => rejection.node === record.node);
    if (refusal !== undefined) return refusal.reason;
    const isNamed = node !== undefined;
    if (isNamed && record.node !== node && record.name !== node) return `the request names ${node}`;
    if (record.draining || record.node === leaving?.parent) return "it is draining";
    // Who spawns has the class.
    if (isNamed && record.node === this.#here) return undefined;
    if (!record.accepts) return "it accepts no actors of others";
    if (record.allowsCode || record.types.some((known) => known.type === type)) return undefined;
    return `it does not know the type ${type}; it knows ${record.types.map((known) => known.type).join(", ") || "none"}`;
  }

  #pick(candidates: readonly NodeRecord[], nodes: readonly NodeRecord[]): string | undefined {
    const usedAt = (record: NodeRecord) => this.#usedAt.get(record.node) ?? 0;
    const least = Math.min(...candidates.map(usedAt));
    const tied = candidates.filter((record) => usedAt(record) === least);
    const node = tied[this.#random.below(tied.length)]?.node;
    if (node === undefined) return undefined;
    if (this.#usedAt.size > nodes.length) this.#forgetAllBut(new Set(nodes.map((record) => record.node)));
    this.#usedAt.set(node, ++this.#uses);
    return node;
  }

  #forgetAllBut(present: ReadonlySet<string>): void {
    for (const node of [...this.#usedAt.keys()]) if (!present.has(node)) this.#usedAt.delete(node);
  }
}
