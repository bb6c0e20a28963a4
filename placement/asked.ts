// A request beside a snapshot, as filters and scorers read it: what does not differ from node to node is looked up once.

import type { PlacementOptions, PlacementRequest } from "../runtime/index.ts";
import { type Need, needOf } from "./room.ts";
import { kinOf, type Recent, type Snapshot } from "./snapshot.ts";

export interface Asked {
  readonly request: PlacementRequest;
  readonly options: PlacementOptions;
  readonly here: string;
  /** The node that the asking one is part of, when that one drains: it drains too, or is gone. */
  readonly leaving: string | undefined;
  /** What a node must grant. Undefined for nothing, and for an actor of a bundle: that has reserved it. */
  readonly need: Need | undefined;
  /** Node id → siblings there. */
  readonly kin: ReadonlyMap<string, number>;
  readonly recent: ReadonlyMap<string, Recent>;
}

const NO_KIN: ReadonlyMap<string, number> = new Map();
const NO_OPTIONS: PlacementOptions = {};

export function askedOf(request: PlacementRequest, snapshot: Snapshot): Asked {
  const { here, nodes, recent, near } = snapshot;
  const options = request.placement ?? NO_OPTIONS;
  return {
    request,
    options,
    here,
    leaving: nodes.find(({ node }) => node === here)?.draining === true ? parentOf(snapshot) : undefined,
    need: options.bundle === undefined ? needOf(request.resources) : undefined,
    kin: near.get(kinOf(request)) ?? NO_KIN,
    recent,
  };
}

const parentOf = ({ here, nodes }: Snapshot) => nodes.find(({ node }) => node === here)?.parent;
