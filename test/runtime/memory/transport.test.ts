// The memory transport keeps the Transport contract; two networks never meet.

import { expect, test } from "vitest";
import { MemoryNetwork } from "../../../runtime/memory/transport.ts";
import { bytes } from "../../contracts/contract.ts";
import { transportContract } from "../../contracts/transport.ts";
import { hearing } from "../../support/listener.ts";

transportContract("memory", async () => {
  const network = new MemoryNetwork();
  return { join: async (node) => network.join(node), close: async () => {} };
});

test("nodes of two networks do not reach each other", async () => {
  const [here, there] = [new MemoryNetwork().join("north"), new MemoryNetwork().join("south")];
  await here.listen(hearing());
  await there.listen(hearing());
  expect(here.send("south", bytes("hello"))).toBe(false);
});
