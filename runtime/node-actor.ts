// The actor by which a node that grants resources is asked about them from elsewhere: placement groups reserve through it, and it knows why
// each actor is where it is. One on each such node, found by the node's id. It is not the port (resources.ts) that it asks.

import { type ActorType, defineActor } from "./actor.ts";
import type { Address } from "./address.ts";
import type { Decisions } from "./decisions.ts";
import type { Decision } from "./placer.ts";
import type { Admission, Amounts, BundleKey, Refusal } from "./resources.ts";

export interface NodeActorSetup {
  readonly admission: Admission;
  readonly decisions: Decisions;
}

/** What it is found by, in the namespace that is its node's id. */
export const NODE_ACTOR = "node";

class NodeActor {
  readonly #setup: NodeActorSetup | undefined;

  constructor(setup?: NodeActorSetup) {
    this.#setup = setup;
  }

  get #admission(): Admission {
    if (this.#setup === undefined) throw new Error("made for handles only");
    return this.#setup.admission;
  }

  reserve(bundle: BundleKey, resources: Amounts, holder: string, ttlMs: number): Refusal | undefined {
    return this.#admission.reserve(bundle, resources, holder, ttlMs);
  }

  renewGroup(group: string, ttlMs: number): boolean {
    return this.#admission.renewGroup(group, ttlMs);
  }

  releaseGroup(group: string): void {
    this.#admission.releaseGroup(group);
  }

  decision(address: Pick<Address, "node" | "id">): Decision | undefined {
    return this.#setup?.decisions.of(address);
  }
}

/** Its type as others know it: for handles. */
export const NodeActorType = defineActor("flotilla.node", NodeActor);

/** Its type on its own node, which gives it what cannot travel. */
export function nodeActorType(setup: NodeActorSetup): ActorType<typeof NodeActor> {
  return defineActor(
    NodeActorType.type,
    class extends NodeActor {
      constructor() {
        super(setup);
      }
    },
  );
}
