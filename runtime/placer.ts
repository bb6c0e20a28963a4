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
  /** The only node that will do (P3), by its id or its name. */
  readonly node?: string;
}

/** A node as it tells the others of itself: what membership stores and placers choose by. Plain data. */
export interface NodeRecord {
  /** The node's id: new for each life of its process. */
  readonly node: string;
  /** What people call it; at most one node of a fleet has it at a time. */
  readonly name: string;
  /** The node that started it to hold one actor: it is that one's part, and no place for others. */
  readonly parent?: string;
  readonly labels: Readonly<Record<string, string>>;
  /** Actor types it can make. */
  readonly types: readonly { readonly type: string; readonly version: string }[];
  /** Whether it takes actors that others spawn. */
  readonly accepts: boolean;
  /** Whether it loads code that it is sent, and so any type. */
  readonly allowsCode: boolean;
  /** It will leave and takes nothing new. */
  readonly draining: boolean;
  /** Version of this package, and of the words on the wire. */
  readonly flotilla: string;
  readonly protocol: number;
  readonly pid: number;
  /** Milliseconds since the epoch, by its own clock. */
  readonly startedMs: number;
}

export type Decision =
  | {
      readonly kind: "placed";
      readonly node: string;
      /** How well it fits, 0 to 1. */
      readonly score: number;
      readonly reasons: readonly string[];
    }
  | {
      readonly kind: "unplaceable";
      readonly rejected: readonly { readonly node: string; readonly reason: string }[];
      /** Why there is no choice at all, when that says more than each node's reason. */
      readonly why?: string;
    };

/** A refusal as one sentence. */
export function unplaceable({ why, rejected }: Extract<Decision, { kind: "unplaceable" }>): string {
  return why ?? rejected.map(({ node, reason }) => `${node}: ${reason}`).join("; ");
}

export interface Placer {
  place(request: PlacementRequest): Decision | Promise<Decision>;
}
