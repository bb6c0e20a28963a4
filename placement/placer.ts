// The Placer port on a fleet: decides by what the nodes report and by what it has placed itself (place.ts, group.ts; notes.ts remembers).

import type {
  Amounts,
  Decision,
  GroupPlan,
  GroupStrategy,
  PlacementRequest,
  Placer,
  PlacerView,
  Rejection,
} from "../runtime/index.ts";
import { planGroup } from "./group.ts";
import { Notes } from "./notes.ts";
import { place } from "./place.ts";
import { needOf } from "./room.ts";
import type { Snapshot } from "./snapshot.ts";

export class WeighingPlacer implements Placer {
  readonly #view: PlacerView;
  readonly #notes = new Notes();

  constructor(view: PlacerView) {
    this.#view = view;
  }

  place(request: PlacementRequest): Decision {
    const snapshot = this.#snapshot();
    const decision = place(request, snapshot, this.#view.random);
    const record = decision.kind === "placed" ? recordOf(snapshot, decision.node) : undefined;
    if (record !== undefined) this.#notes.placed(record, request);
    return decision;
  }

  plan(bundles: readonly Amounts[], strategy: GroupStrategy, refused: readonly Rejection[] = []): GroupPlan {
    const snapshot = this.#snapshot();
    const plan = planGroup(bundles, strategy, snapshot, this.#view.random, refused);
    const nodes = plan.kind === "planned" ? plan.nodes : [];
    for (const [index, node] of nodes.entries()) {
      const record = recordOf(snapshot, node);
      if (record !== undefined) this.#notes.reserved(record, needOf(bundles[index]));
    }
    return plan;
  }

  ended(request: PlacementRequest, node: string): void {
    this.#notes.ended(request, node);
  }

  #snapshot(): Snapshot {
    const nodes = this.#view.nodes();
    this.#notes.meet(nodes);
    return { here: this.#view.here, nodes, recent: this.#notes.recent, near: this.#notes.near };
  }
}

const recordOf = ({ nodes }: Snapshot, id: string) => nodes.find(({ node }) => node === id);
