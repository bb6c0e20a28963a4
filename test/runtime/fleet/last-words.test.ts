// A node that leaves in order: what its actors' ends were is heard before its leaving is.

import { expect, test } from "vitest";
import { defineActor } from "../../../runtime/index.ts";
import { openFleet } from "../../support/fleet.ts";

const Idler = defineActor("idler", class {});

test("whoever watches an actor of a node that leaves hears that it was stopped, not that its node was lost", async () => {
  await using fleet = openFleet();
  const host = await fleet.add("host", { actors: [Idler] });
  const script = await fleet.add("script", { record: { accepts: false } });
  const ends: string[] = [];
  for (let count = 0; count < 3; count++) {
    const idler = await script.system.spawn(Idler);
    script.system.watch(idler, ({ reason }) => ends.push(reason));
  }
  await fleet.pass(250);
  await Promise.all([host.system.close(), fleet.pass(1_000)]);
  expect(ends).toEqual(["stopped", "stopped", "stopped"]);
});
