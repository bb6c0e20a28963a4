// Resources: what an actor asks for is granted for as long as it lives, and never twice. The GPUs here are simulated: two, as an operator may
// say them where no tool finds any (`flotilla node --gpus 2x80GiB:H100`).

import { connect, isFlotillaError } from "../runtime/index.ts";
import { Board } from "./sample-actors.ts";
import { openSampleFleet } from "./sample-fleet.ts";

await using sample = await openSampleFleet();
await sample.node(
  "north",
  "--actors",
  "sample-actors.ts",
  "--resources",
  "cpus=8,memory=64GiB",
  "--gpus",
  "2x80GiB:H100",
);
await using fleet = await connect(sample.options);

// Half a GPU and 8 GiB of its memory.
const resources = { gpus: 0.5, gpuMemoryBytes: 8 * 2 ** 30 };
const board = await fleet.spawn(Board, { name: "minutes", resources });
console.log("minutes lives on:", await board.node());

// Why it is there is kept; `flotilla why minutes` prints it, with the scores of all nodes that would have done.
const decision = await fleet.decision(board);
if (decision?.kind === "placed") console.log("because it is", decision.reasons.join("; "));

// More than any node has is refused at once; what is only taken at the moment would be waited for.
try {
  await fleet.spawn(Board, { resources: { gpus: 3 } });
} catch (error) {
  if (!isFlotillaError(error, "Unplaceable")) throw error;
  console.log("three GPUs:", error.message.match(/it has .*? asked for/)?.[0]);
}
