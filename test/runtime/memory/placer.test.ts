// The local placer keeps the Placer contract; without wishes an actor lives where its spawner is.

import { describe, expect, test } from "vitest";
import { connect, defineActor } from "../../../runtime/index.ts";
import { LocalPlacer } from "../../../runtime/memory/placer.ts";
import { NODES, placerContract } from "../../contracts/placer.ts";

placerContract("local", async () => {
  const placer = new LocalPlacer("north", () => NODES.map((node) => ({ node })));
  return { placer, close: async () => {} };
});

describe("LocalPlacer", () => {
  test("places on its own node unless told otherwise", () => {
    expect(new LocalPlacer("here").place({ type: "counter" })).toMatchObject({ kind: "placed", node: "here" });
  });

  test("has no second choice once its node has refused", async () => {
    const refused = [{ node: "here", reason: "it has no gpus", passes: true }];
    expect(new LocalPlacer("here").place({ type: "counter", refused })).toEqual({
      kind: "unplaceable",
      rejected: refused,
    });
    await using system = await connect();
    const counter = defineActor("counter", class {});
    const asked = system.spawn(counter, { resources: { gpus: 1 } });
    await expect(asked).rejects.toMatchObject({ code: "Unplaceable", message: /it grants no resources/ });
  });

  test("looks at the nodes there are now", () => {
    const nodes = [{ node: "south" }];
    const placer = new LocalPlacer("here", () => nodes);
    expect(placer.place({ type: "counter", node: "south" }).kind).toBe("placed");
    nodes.pop();
    expect(placer.place({ type: "counter", node: "south" }).kind).toBe("unplaceable");
  });
});
