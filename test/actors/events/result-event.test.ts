// An agent's result through its channel: what is sent can be read, whatever the agent came to.

import { expect, test } from "vitest";
import { agentResults } from "../../../actors/events/channels.ts";
import { parse } from "../../../actors/events/feed.ts";
import { readResult, sendResult } from "../../../actors/result-post.ts";
import { connect, topicFilter } from "../../../runtime/index.ts";
import { agentResult } from "../../support/agent-result.ts";

test.each([agentResult(), agentResult({ tests: null, verified: false, files: [] })])(
  "can be read: %#",
  async (result) => {
    await using system = await connect();
    await sendResult(system, result);
    const [logged] = await system.ports.eventLog.read(topicFilter("agent.results.*"), 1, 10);
    const fed = logged && parse(agentResults, logged);
    if (fed?.kind !== "event" || fed.event.type !== "agent.result") throw new Error(JSON.stringify(fed));
    expect(await readResult(system, fed.event.data)).toEqual(result);
  },
);
