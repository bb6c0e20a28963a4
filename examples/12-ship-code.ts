// A class that the node has never seen: its module is bundled, stored by its hash, fetched and loaded there. The operator allows it,
// because what is shipped runs with all rights of the node's process.

import { connect, isFlotillaError } from "../runtime/index.ts";
import { Dice } from "./sample-dice.ts";
import { openSampleFleet } from "./sample-fleet.ts";

await using sample = await openSampleFleet();
await sample.node("open", "--allow-code");
await sample.node("strict", "--actors", "sample-actors.ts");

await using fleet = await connect(sample.options);

const dice = await fleet.spawn(Dice, { args: [6] });
console.log("shipped to:", await dice.node());
console.log("fair:", await dice.isFair(10_000));

// A node that allows no code takes only what its operator has given it.
await fleet.spawn(Dice, { args: [6], node: "strict" }).catch((error: unknown) => {
  console.log("on the strict node:", isFlotillaError(error) ? error.code : error);
});
