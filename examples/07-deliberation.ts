// A council: three agents of one role work on the same task, each in its own clone; the collector gathers and ranks what they hand in.

import { agentIds, roleNamed, runCouncil } from "../actors/index.ts";
import { connect } from "../runtime/index.ts";
import { makeSampleRepository } from "./sample-repository.ts";

await using repository = await makeSampleRepository();
await using fleet = await connect();

const ids = agentIds(roleNamed("DEV"), 3);
const agents = await Promise.all(
  ids.map(async (agentId) => ({ agentId, workspacePath: await repository.clone(agentId) })),
);

const { status, ranking } = await runCouncil(fleet, {
  taskId: "example",
  text: "Add hello_world() function to src/text.js",
  role: "DEV",
  agents,
  baseCommit: repository.commit,
  model: { kind: "mock" },
  timeoutMs: 60_000,
});

console.log("task:", status);
for (const { rank, agentId, score, success } of ranking.entries) {
  console.log(`${rank}. ${agentId} score ${score.toFixed(2)} ${success ? "verified" : "not verified"}`);
}
console.log("winner:", ranking.winner);
