// Councils: made, changed, deleted, and there again in the next life.

import { expect, it } from "vitest";
import type { ModelSpec } from "../../../actors/agent-actor.ts";
import { roleNamed } from "../../../actors/council/roles.ts";
import type { KeptModel } from "../../../actors/orchestrator/council-record.ts";
import { Councils } from "../../../actors/orchestrator/councils.ts";
import { connect } from "../../../runtime/index.ts";
import { codeOf } from "../../support/caught.ts";

const mock: KeptModel = { kind: "mock" };
const server: ModelSpec = { kind: "openai", url: "http://127.0.0.1:9/v1", model: "small" };
const idle = () => false;

/** `more` lives over one store. */
async function office(model: KeptModel | undefined = mock) {
  const system = await connect();
  const open = async () => {
    const councils = new Councils(system, model);
    await councils.load();
    return councils;
  };
  return { councils: await open(), open, [Symbol.asyncDispose]: () => system.close() };
}

it("has three members unless told otherwise, and its role in any case", async () => {
  await using office1 = await office();
  const { councils } = office1;
  const made = await councils.create({ role: " dev " });
  expect(made).toMatchObject({ role: "DEV", rounds: 1 });
  expect(made.members).toEqual(
    ["agent-dev-001", "agent-dev-002", "agent-dev-003"].map((agentId) => ({ agentId, model: "mock", status: "idle" })),
  );
  const qa = await councils.create({ role: "QA", agents: 1, rounds: 3, model: server });
  expect(qa.members).toEqual([{ agentId: "agent-qa-001", model: "small", status: "idle" }]);
  expect(councils.list((role) => role === "QA").map(({ role, members }) => [role, members[0]?.status])).toEqual([
    ["DEV", "idle"],
    ["QA", "busy"],
  ]);
});

it("is there in the next life, with what was changed", async () => {
  await using office1 = await office();
  const { councils, open } = office1;
  await councils.create({ role: "DEV", agents: 2 });
  await councils.register({ role: "dev", model: server });
  await councils.unregister("DEV", "agent-dev-002");
  await councils.create({ role: "QA" });
  await councils.delete("QA");
  expect((await open()).list(idle)).toEqual(councils.list(idle));
  expect(councils.list(idle)).toMatchObject([
    { role: "DEV", members: [{ agentId: "agent-dev-001" }, { agentId: "agent-dev-003", model: "small" }] },
  ]);
});

it("never gives an id again", async () => {
  await using office1 = await office();
  const { councils } = office1;
  await councils.create({ role: "DEV", agents: 2 });
  await councils.unregister("DEV", "agent-dev-002");
  const ids = async () => (await councils.register({ role: "DEV" })).members.map(({ agentId }) => agentId);
  expect(await ids()).toEqual(["agent-dev-001", "agent-dev-003"]);
  // The id that would have been next, by name.
  await councils.register({ role: "DEV", agentId: "agent-dev-005" });
  await councils.unregister("DEV", "agent-dev-005");
  expect(await ids()).toEqual(["agent-dev-001", "agent-dev-003", "agent-dev-006"]);
  expect(await codeOf(councils.register({ role: "DEV", agentId: "agent-dev-002" }))).toBe("AgentExists");
  expect(await codeOf(councils.register({ role: "DEV", agentId: "agent-dev-003" }))).toBe("AgentExists");
});

it("loses no change when two lives change it at once", async () => {
  await using office1 = await office();
  const { councils, open } = office1;
  await councils.create({ role: "DEV", agents: 1 });
  const other = await open();
  await Promise.all([1, 2, 3, 4, 5, 6].map((n) => (n % 2 ? councils : other).register({ role: "DEV" })));
  const last = (await open()).list(idle)[0]?.members.map(({ agentId }) => agentId) ?? [];
  expect(last).toHaveLength(7);
  expect(new Set(last).size).toBe(7);
});

it("refuses what makes no council", async () => {
  await using office1 = await office();
  const { councils } = office1;
  await councils.create({ role: "DEV" });
  const table: readonly (readonly [Promise<unknown>, string])[] = [
    [councils.create({ role: "DEV" }), "CouncilExists"],
    [councils.create({ role: "COOK" }), "NoAgentsForRole"],
    [councils.create({ role: "x".repeat(1e6) }), "NoAgentsForRole"],
    [councils.create({ role: "QA", agents: 0 }), "AgentCountInvalid"],
    [councils.create({ role: "QA", agents: 65 }), "AgentCountInvalid"],
    [councils.create({ role: "QA", rounds: 11 }), "RequestInvalid"],
    [councils.create({ role: "QA", model: { ...server, apiKey: "secret" } }), "RequestInvalid"],
    [councils.create({ role: "QA", model: { ...server, url: "file:///etc" } }), "RequestInvalid"],
    [councils.delete("QA"), "CouncilUnknown"],
    [councils.register({ role: "QA" }), "CouncilUnknown"],
    [councils.register({ role: "DEV", agentId: "a b" }), "RequestInvalid"],
    [councils.unregister("DEV", "agent-dev-009"), "AgentUnknown"],
  ];
  for (const [refused, code] of table) expect(await codeOf(refused)).toBe(code);
  await councils.create({ role: "OPS".replace("OPS", "DEVOPS"), agents: 64 });
  expect(await codeOf(councils.register({ role: "DEVOPS" }))).toBe("AgentCountInvalid");
});

it("has no model but the one it was given: never a mock by itself", async () => {
  await using office1 = await office(undefined);
  const { councils } = office1;
  const bare = new Councils(await connect(), undefined);
  expect(await codeOf(bare.create({ role: "DEV" }))).toBe("ModelUnset");
  await bare.create({ role: "DEV", agents: 1, model: server });
  expect(await codeOf(bare.register({ role: "DEV" }))).toBe("ModelUnset");
  // A council of the services' model, after the services were started without one.
  await councils.create({ role: "QA" });
  expect(bare.seats(roleNamed("DEV"))).toEqual({
    ...{ rounds: 1, seats: [{ agentId: "agent-dev-001", number: 1, model: server }] },
  });
});

it("says how to make one where there is none", async () => {
  await using office1 = await office();
  const { councils } = office1;
  const seats = async () => councils.seats(roleNamed("DEV"));
  await expect(seats()).rejects.toMatchObject({
    code: "NoAgentsForRole",
    message: expect.stringMatching(/^No agents configured for role DEV\. Make a council/),
  });
  await councils.create({ role: "DEV", agents: 1 });
  await councils.unregister("DEV", "agent-dev-001");
  await expect(seats()).rejects.toMatchObject({
    code: "NoAgentsForRole",
    message: expect.stringMatching(/^No agents configured for role DEV: its council has no members/),
  });
  await councils.register({ role: "DEV" });
  expect(await codeOf((async () => councils.seats(roleNamed("DEV"), 2))())).toBe("RequestInvalid");
});
