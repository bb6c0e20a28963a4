// Port: chooses the node an actor is spawned on. A form looks at nothing but the request and the nodes it knows.
// It starts nothing and reserves nothing: whoever asked acts on the decision.
//
// P1  It answers with a decision, never with an exception: no suitable node is an answer.
// P2  A decision explains itself: reasons for the node chosen, or each known node with why not.
// P3  A request that names a node is placed there or nowhere.
// P4  Requests and decisions are plain data, so they travel and can be printed long after.

export interface PlacementRequest {
  /** Registered name of the actor's class. */
  readonly type: string;
  /** The actor's own name, when it has one. */
  readonly name?: string;
  /** The only node that will do (P3). */
  readonly node?: string;
}

/** What a placer knows of a node. */
export interface NodeRecord {
  readonly node: string;
  /** Actor types it has by itself. */
  readonly types?: readonly { readonly type: string; readonly version: string }[];
  /** Whether it loads code that scripts bring. */
  readonly allowsCode?: boolean;
}

export type Decision =
  | {
      readonly kind: "placed";
      readonly node: string;
      /** How well it fits, 0 to 1. */
      readonly score: number;
      readonly reasons: readonly string[];
    }
  | { readonly kind: "unplaceable"; readonly rejected: readonly { readonly node: string; readonly reason: string }[] };

export interface Placer {
  place(request: PlacementRequest): Decision | Promise<Decision>;
}
