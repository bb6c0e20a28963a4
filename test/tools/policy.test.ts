// The decision by table and by rule (P1–P3 of policy.ts), and what the standard policy gives each role.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { decide, type Policy, type PolicyRule, standardPolicy } from "../../tools/policy.ts";
import { standardTools } from "../../tools/registry.ts";

const rule = (changes: Partial<PolicyRule>): PolicyRule => ({
  id: "r",
  effect: "allow",
  roles: ["*"],
  tools: ["*"],
  reason: "because",
  ...changes,
});
const call = { role: "DEV", tool: "git.push", risk: "network" } as const;
const kind = (...rules: PolicyRule[]) => decide(call, { rules }).kind;

describe("decide", () => {
  test.each<[string, readonly PolicyRule[], string]>([
    ["no rules", [], "deny"],
    ["a rule for the role and tool", [rule({ roles: ["DEV"], tools: ["git.push"] })], "allow"],
    ["a rule for the family", [rule({ tools: ["git.*"] })], "allow"],
    ["another role", [rule({ roles: ["QA"] })], "deny"],
    ["the role in another case", [rule({ roles: ["dev"] })], "deny"],
    ["another tool", [rule({ tools: ["git.pull"] })], "deny"],
    ["a family that only begins alike", [rule({ tools: ["gi.*"] })], "deny"],
    ["a star in the middle", [rule({ tools: ["git.p*"] })], "deny"],
    ["no roles named", [rule({ roles: [] })], "deny"],
    ["no tools named", [rule({ tools: [] })], "deny"],
    ["no risks named", [rule({ risks: [] })], "deny"],
    ["the call's risk", [rule({ risks: ["network"] })], "allow"],
    ["another risk", [rule({ risks: ["read"] })], "deny"],
    ["ask over allow", [rule({}), rule({ effect: "ask" })], "ask"],
    ["deny over ask and allow", [rule({}), rule({ effect: "ask" }), rule({ effect: "deny" })], "deny"],
  ])("%s", (_title, rules, expected) => expect(kind(...rules)).toBe(expected));

  test("a verdict names the rule that decided and its reason (P3)", () => {
    const rules = [
      rule({ id: "all" }),
      rule({ id: "no-push", effect: "deny", tools: ["git.push"], reason: "Not here." }),
    ];
    expect(decide(call, { rules })).toEqual({ kind: "deny", reason: "Not here.", rule: "no-push" });
    expect(decide(call, { rules: [] })).toMatchObject({ kind: "deny", rule: "none" });
  });

  const anyRule: fc.Arbitrary<PolicyRule> = fc.record({
    id: fc.string(),
    effect: fc.constantFrom("allow", "deny", "ask"),
    roles: fc.subarray(["DEV", "QA", "*"]),
    tools: fc.subarray(["git.push", "git.*", "files.*", "*"]),
    reason: fc.constant("because"),
  });

  test("the order of rules does not matter, and a deny is never outvoted (P2)", () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 8 }), (rules) => {
        expect(kind(...rules.toReversed())).toBe(kind(...rules));
        expect(kind(...rules, rule({ effect: "deny" }))).toBe("deny");
      }),
    );
  });

  test("nothing is allowed without a rule that allows it (P1)", () => {
    fc.assert(
      fc.property(fc.array(anyRule, { maxLength: 8 }), (rules) => {
        fc.pre(!rules.some(({ effect }) => effect === "allow"));
        expect(kind(...rules)).not.toBe("allow");
      }),
    );
  });
});

describe("standardPolicy", () => {
  const allowed = (role: string, policy: Policy = standardPolicy) =>
    standardTools()
      .filter(({ name, risk }) => decide({ role, tool: name, risk }, policy).kind === "allow")
      .map(({ name }) => name);
  const names = standardTools().map(({ name }) => name);
  const remote = ["git.clone", "git.push", "git.pull"];

  test.each(["DEV", "QA", "ARCHITECT", "DEVOPS", "DATA"])("%s may do all but reach other repositories", (role) => {
    expect(allowed(role)).toEqual(names.filter((name) => !remote.includes(name)));
  });

  test("a REVIEWER may look and run tests, and change nothing", () => {
    const mayLook = ["files.read", "files.list", "files.search", "files.info", "files.diff"];
    const mayAsk = ["git.status", "git.log", "git.diff"];
    const mayTest = names.filter((name) => name.startsWith("tests."));
    expect(allowed("REVIEWER")).toEqual([...mayLook, ...mayAsk, ...mayTest]);
  });

  test.each(["", "ROOT", "dev", "*"])("an unknown role (%j) may do nothing", (role) =>
    expect(allowed(role)).toEqual([]),
  );
});
