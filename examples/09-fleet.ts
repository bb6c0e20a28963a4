// The same program on a fleet: actors live in another process, on whatever machine, and nothing else changes. By hand it would be
// `flotilla server --folder DIR`, `flotilla node --actors sample-actors.ts --name north`, and this program with their server's address.

import { connect } from "../runtime/index.ts";
import { Board, Poster } from "./sample-actors.ts";
import { openSampleFleet } from "./sample-fleet.ts";

await using sample = await openSampleFleet();
await sample.node("north", "--actors", "sample-actors.ts");

// Lines that one's own actors log elsewhere arrive here, with actor and node.
const heard = Promise.withResolvers<string>();
await using fleet = await connect({
  ...sample.options,
  log: ({ actor, message }) => actor !== undefined && heard.resolve(`${actor.replace(/\/.*@/, "@")} ${message}`),
});

const board = await fleet.spawn(Board);
console.log("the board lives on:", await board.node());

// A handle is an argument like any other: the poster calls the board itself.
const poster = await fleet.spawn(Poster);
await poster.postTo(board, ["first", "second"]);
await board.post("third");
for await (const line of board.lines()) console.log(line);
console.log((await heard.promise).replace(/-\w+/, ""));
