// A named actor that outlives its node: what it wrote, and what it wants to be reminded of, is there where it lives next.

import { connect } from "../runtime/index.ts";
import { Clerk } from "./sample-actors.ts";
import { openSampleFleet } from "./sample-fleet.ts";

await using sample = await openSampleFleet();
const north = await sample.node("north", "--actors", "sample-actors.ts");
await sample.node("south", "--actors", "sample-actors.ts");

const reminded = Promise.withResolvers<string>();
await using fleet = await connect({
  ...sample.options,
  log: ({ message }) => message.startsWith("reminded") && reminded.resolve(message),
});

// Detached: it comes back when its node leaves or dies, and would outlive this program, too.
const clerk = await fleet.spawn(Clerk, { name: "clerk", detached: true, node: "north" });
await clerk.count();
console.log("counted on north:", await clerk.count());
await clerk.remindMe(1_500);

// Told to leave, a node hands over. After a kill -9 the same happens, within lease + 2 s.
await north.stop();

// Its handle finds it where it lives now.
console.log("counted after north has left:", await clerk.count());
console.log(await reminded.promise);

// State stays until it is cleared, whoever has ended.
await clerk.forget();
await fleet.stop(clerk);
