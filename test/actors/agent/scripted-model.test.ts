// The scripted form of the model port.

import { expect, it } from "vitest";
import { ScriptedModel, type ScriptedReply } from "../../../actors/agent/scripted-model.ts";
import { systemClock } from "../../../runtime/index.ts";
import { type ContractReply, modelContract } from "../../contracts/model.ts";

const never = () => new Promise<ScriptedReply>(() => {});

function played(reply: ContractReply | undefined): ScriptedReply | Promise<ScriptedReply> {
  if (reply === undefined || reply.kind === "hang") return never();
  const counts = reply.usage
    ? { inputTokens: 7, outputTokens: 3 }
    : { inputTokens: undefined, outputTokens: undefined };
  return { text: reply.text, finish: reply.finish, usage: counts };
}

modelContract("scripted", async (replies) => ({
  model: new ScriptedModel("scripted", (_, index) => played(replies[index]), systemClock),
  [Symbol.asyncDispose]: async () => {},
}));

const ask = (model: ScriptedModel) =>
  model.complete({
    messages: [{ role: "user", content: "?" }],
    maxTokens: 1,
    signal: new AbortController().signal,
    timeoutMs: 1_000,
  });

it("plays a list in order, records the requests, and says when the list is used up", async () => {
  const model = new ScriptedModel("list", ["one", new Error("two is an error")], systemClock);
  expect((await ask(model)).text).toBe("one");
  await expect(ask(model)).rejects.toThrow("two is an error");
  await expect(ask(model)).rejects.toMatchObject({ code: "ModelReplyInvalid" });
  expect(model.requests).toHaveLength(3);
});
