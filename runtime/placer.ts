// Port: chooses the node an actor is spawned on. A form looks at nothing but the request and the nodes it knows.
// It starts nothing and reserves nothing: whoever asked acts on the decision.
//
// P1  It answers with a decision, never with an exception: no suitable node is an answer.
// P2  A decision explains itself: reasons for the node chosen, or each known node with why not.
// P3  A request that names a node is placed there or nowhere.
// P4  Requests and decisions are plain data, so they travel and can be printed long after.

import type { NodeRecord } from "./node-record.ts";
import type { Random } from "./random.ts";
import type { Amounts, BundleKey } from "./resources.ts";

/** How actors that have something in common are to lie: filled up, evened out, or held to it even if that means waiting. */
export type Strategy = "balanced" | "pack" | "spread" | "strict-pack" | "strict-spread";

/** Where an actor may live, and where best; every field has a default. */
export interface PlacementOptions {
  /**
   * Default "balanced": on the node with the least to do. "pack": with the others of `near`, or on the fullest node that will do; "spread": where
   * fewest of `near` are, or of this type. The strict forms place an actor nowhere rather than against that.
   */
  readonly strategy?: Strategy;
  /** Labels that the node must have, each with this value. */
  readonly labels?: Readonly<Record<string, string>>;
  /** Labels that it should have. */
  readonly prefer?: Readonly<Record<string, string>>;
  /** Nodes, by id or name, that are preferred; `node` beside it names the only one. */
  readonly nodes?: readonly string[];
  /** A model that a server on the node must have, or be able to load. */
  readonly model?: string;
  /** Actors with the same word belong together (a council): they go beside one model server until that is saturated, or as `strategy` says. */
  readonly near?: string;
  /** A bundle of a placement group: the actor takes from what that has reserved. */
  readonly bundle?: Bundle;
}

/** One part of a placement group, and the node that keeps it. */
export interface Bundle extends BundleKey {
  readonly node: string;
}

export interface PlacementRequest {
  /** Registered name of the actor's class. */
  readonly type: string;
  /** The actor's own name, when it has one. */
  readonly name?: string;
  /** The only node that will do (P3), by its id or its name. */
  readonly node?: string;
  /** What the node must be able to grant. */
  readonly resources?: Amounts;
  readonly placement?: PlacementOptions;
  /** Nodes that have refused this very request, and why: their reports were old. */
  readonly refused?: readonly Rejection[];
}

/** Why a node will not do. */
export interface Rejection {
  readonly node: string;
  readonly reason: string;
  /** Whether that may change by itself: what is taken is given back, a model finishes loading, a node stops draining. Default false. */
  readonly passes?: boolean;
}

/** A node that would do: how well, 0 to 1, in all and by each scorer. */
export interface NodeScore {
  readonly node: string;
  readonly score: number;
  readonly parts: Readonly<Record<string, number>>;
}

export type Decision =
  | {
      readonly kind: "placed";
      readonly node: string;
      /** How well it fits, 0 to 1. */
      readonly score: number;
      readonly reasons: readonly string[];
      /** Every node that would have done, best first; absent where nothing was weighed. */
      readonly scores?: readonly NodeScore[];
      readonly rejected?: readonly Rejection[];
    }
  | {
      readonly kind: "unplaceable";
      readonly rejected: readonly Rejection[];
      /** Why there is no choice at all, when that says more than each node's reason. */
      readonly why?: string;
    };

/** A refusal as one sentence. What may pass comes first: of a large fleet the beginning is read. */
export function unplaceable({ why, rejected }: Extract<Decision, { kind: "unplaceable" }>): string {
  const first = (rejection: Rejection): number => (rejection.passes ? 0 : 1);
  return (
    why ??
    rejected
      .toSorted((one, other) => first(one) - first(other))
      .map(({ node, reason }) => `${node}: ${reason}`)
      .join("; ")
  );
}

/** How the bundles of a group are to lie: on few nodes, on many, on one only, each on its own. */
export type GroupStrategy = Exclude<Strategy, "balanced">;

/** Where the bundles of a group can be reserved, all of them or none. */
export type GroupPlan =
  | {
      readonly kind: "planned";
      /** Ids of nodes, one for each bundle. A node's bundles fit when they are reserved there from the most GPUs to the least. */
      readonly nodes: readonly string[];
    }
  | {
      readonly kind: "unplannable";
      readonly why: string;
      readonly rejected: readonly Rejection[];
      /** Whether it would go if nothing were taken. */
      readonly passes: boolean;
    };

export interface Placer {
  place(request: PlacementRequest): Decision | Promise<Decision>;
  /** Finds nodes for a group that reserves these amounts, one entry for each bundle, without those that have refused. Absent: it knows no groups. */
  plan?(bundles: readonly Amounts[], strategy: GroupStrategy, refused?: readonly Rejection[]): GroupPlan;
  /** Tells, once for each placement, that what was placed on `node` did not come about or has ended: it has no sibling there any more. */
  ended?(request: PlacementRequest, node: string): void;
}

/** What a placer looks at. */
export interface PlacerView {
  /** Id of the node that asks. */
  readonly here: string;
  /** Who is there now, each with its last report. */
  nodes(): readonly NodeRecord[];
  readonly random: Random;
}

/** A module that can be named where a fleet is joined: it exports this. */
export interface PlacerModule {
  openPlacer(view: PlacerView): Placer;
}
