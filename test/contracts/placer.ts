// The Placer contract: what every form of runtime/placer.ts does, on nodes that could all take the actor. Numbers are that file's invariants.

import { expect } from "vitest";
import type { Decision, PlacementRequest, Placer } from "../../runtime/placer.ts";
import { type Cases, runContract, type Skips } from "./contract.ts";

/** Nodes the form under test knows. */
export const NODES = ["north", "south", "west"] as const;

export interface PlacerForm {
  readonly placer: Placer;
  close(): Promise<void>;
}

const anywhere: PlacementRequest = { type: "counter" };

function nodeOf(decision: Decision): string {
  if (decision.kind !== "placed") throw new Error(`unplaceable: ${JSON.stringify(decision.rejected)}`);
  return decision.node;
}

const cases: Cases<PlacerForm> = {
  "a request without wishes is placed on a known node, with score and reasons (P2)": async (make) => {
    const decision = await (await make()).placer.place(anywhere);
    expect(NODES).toContain(nodeOf(decision));
    if (decision.kind !== "placed") return;
    expect(decision.score).toBeGreaterThanOrEqual(0);
    expect(decision.score).toBeLessThanOrEqual(1);
    expect(decision.reasons.length).toBeGreaterThan(0);
  },
  "a named node is the only one (P3)": async (make) => {
    const { placer } = await make();
    for (const node of NODES) expect(nodeOf(await placer.place({ ...anywhere, node }))).toBe(node);
  },
  "an unknown node is unplaceable, and each known node says why (P1, P2)": async (make) => {
    const decision = await (await make()).placer.place({ ...anywhere, name: "hits", node: "nowhere" });
    if (decision.kind !== "unplaceable") throw new Error(`placed on ${decision.node}`);
    expect(decision.rejected.map((each) => each.node).sort()).toEqual([...NODES].sort());
    for (const each of decision.rejected) expect(each.reason).toContain("nowhere");
  },
  "requests are left alone and decisions are plain data (P4)": async (make) => {
    const { placer } = await make();
    for (const request of [anywhere, { ...anywhere, node: "nowhere" }]) {
      const decision = await placer.place(Object.freeze(request));
      expect(JSON.parse(JSON.stringify(decision))).toEqual(decision);
      expect(structuredClone(decision)).toEqual(decision);
    }
  },
};

export function placerContract(
  name: string,
  make: () => Promise<PlacerForm>,
  { skips = {} }: { readonly skips?: Skips } = {},
): void {
  runContract(`Placer: ${name}`, cases, make, skips);
}
