// A result on its way through the log, which holds JSON: what is not in a result must not keep it from arriving.

import { expect, test } from "vitest";
import { agentResults } from "../../actors/events/channels.ts";
import { parse } from "../../actors/events/feed.ts";
import { readResult, sendResult } from "../../actors/result-post.ts";
import { connect } from "../../runtime/index.ts";
import { agentResult } from "../support/agent-result.ts";

test.each([
  { name: "with tests", tests: {} },
  { name: "of a project without tests", tests: null },
])("a result $name arrives as it was sent", async ({ tests }) => {
  await using system = await connect();
  const sent = agentResult({ taskId: "story-task", tests });
  await sendResult(system, sent);
  const [logged] = await system.ports.eventLog.read("topic.agent.results.*", 1, 1);
  const fed = logged && parse(agentResults, logged);
  if (fed?.kind !== "event" || fed.event.type !== "agent.result") throw new Error(`no result: ${JSON.stringify(fed)}`);
  expect(await readResult(system, fed.event.data)).toEqual(sent);
});
