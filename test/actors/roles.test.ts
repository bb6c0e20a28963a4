// Roles by name, and the ids of a council.

import { expect, test } from "vitest";
import { agentIds, roleNamed, roleNames } from "../../actors/council/roles.ts";

test("a role is found in any case", () => expect(roleNamed(" dev ")).toMatchObject({ name: "DEV" }));

test("an unknown role is answered with the ones there are", () => {
  expect(() => roleNamed("PILOT")).toThrow(
    expect.objectContaining({
      code: "NoAgentsForRole",
      message: "No agents configured for role PILOT; configured: DEV, QA, ARCHITECT, DEVOPS, DATA",
      data: { role: "PILOT", configured: roleNames() },
    }),
  );
});

test("agents are numbered from 001", () => {
  expect(agentIds(roleNamed("QA"), 2)).toEqual(["agent-qa-001", "agent-qa-002"]);
});

test.each([0, -1, 65, 10_000, 1.5, Number.NaN])("%s agents are no council", (count) => {
  expect(() => agentIds(roleNamed("DEV"), count)).toThrow(expect.objectContaining({ code: "AgentCountInvalid" }));
});
