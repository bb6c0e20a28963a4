// One agent: it plans, uses tools in its own clone, runs the tests and commits. The model here is the mock, which knows two kinds of task;
// any OpenAI-compatible server takes its place: { kind: "openai", url: "http://…/v1", model: "…" }.

import { Agent, DEFAULT_AGENT_LIMITS, roleNamed } from "../actors/index.ts";
import { connect } from "../runtime/index.ts";
import { standardPolicy } from "../tools/index.ts";
import { makeSampleRepository } from "./sample-repository.ts";

await using repository = await makeSampleRepository();
await using fleet = await connect();

const role = roleNamed("DEV");
const agent = await fleet.spawn(Agent, {
  args: [{ model: { kind: "mock" }, policy: standardPolicy, instructions: role.prompt }],
});

const task = {
  taskId: "example",
  agentId: "agent-dev-001",
  role: role.name,
  text: "Add hello_world() function to src/text.js",
  workspacePath: await repository.clone("agent-dev-001"),
  baseCommit: repository.commit,
  limits: DEFAULT_AGENT_LIMITS,
  traceId: "example",
};

for await (const event of agent.with({ timeoutMs: 60_000 }).work(task)) {
  if (event.kind === "progress" && event.progress.kind === "step") {
    console.log(event.progress.tool, event.progress.outcome);
  }
  if (event.kind === "answered") console.log("ended:", event.error?.message ?? event.finalState);
}
