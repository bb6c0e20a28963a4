// The record of the node on which the running code lives, as its fleet has it.

import type { ActorSystem, NodeRecord } from "../runtime/index.ts";

/** Also for code in a process of its own, whose node is the one it belongs to. Undefined in a process that is alone. */
export function ownNode(system: Pick<ActorSystem, "nodes">): NodeRecord | undefined {
  const nodes = system.nodes();
  const [own] = nodes;
  return own?.parent === undefined ? own : nodes.find(({ node }) => node === own.parent);
}
