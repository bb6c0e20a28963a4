// The Placer port without choice: where the spawner is, unless the request names another node.

import type { NodeRecord } from "../node-record.ts";
import type { Decision, PlacementRequest, Placer } from "../placer.ts";

type Known = Pick<NodeRecord, "node">;

export class LocalPlacer implements Placer {
  readonly #here: string;
  readonly #nodes: () => readonly Known[];

  /** `nodes` answers who is there now; it need not list `here`. */
  constructor(here: string, nodes: () => readonly Known[] = () => []) {
    this.#here = here;
    this.#nodes = nodes;
  }

  place(request: PlacementRequest): Decision {
    const wanted = request.node ?? this.#here;
    const known = [...new Set([this.#here, ...this.#nodes().map((record) => record.node)])];
    const { refused = [] } = request;
    // It has no second choice: placed there again, the request would be refused for ever.
    if (refused.some(({ node }) => node === wanted)) return { kind: "unplaceable", rejected: refused };
    if (known.includes(wanted)) {
      const reason = request.node === undefined ? "the spawner's own node" : "the request names it";
      return { kind: "placed", node: wanted, score: 1, reasons: [reason] };
    }
    return { kind: "unplaceable", rejected: known.map((node) => ({ node, reason: `the request names ${wanted}` })) };
  }
}
