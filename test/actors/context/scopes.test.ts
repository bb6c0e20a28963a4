// The table of scopes: that ours is whole, that a broken one is an error, and what it lets roles see.

import { readFile } from "node:fs/promises";
import { beforeAll, describe, expect, it } from "vitest";
import { SCOPES, ScopePolicy } from "../../../actors/context/scopes.ts";
import { sectionOf } from "../../../actors/context/sections.ts";
import type { StoryView } from "../../../actors/context/story-view.ts";
import { roleNames } from "../../../actors/council/roles.ts";
import { caught, codeOf } from "../../support/caught.ts";

let policy: ScopePolicy;
let yaml: string;
beforeAll(async () => {
  policy = await ScopePolicy.read();
  yaml = await readFile(new URL("../../../actors/context/scopes.yaml", import.meta.url), "utf8");
});

describe("our table", () => {
  it("has every role, and both headers for each in each phase", () => {
    expect([...policy.roles].sort()).toEqual([...roleNames()].sort());
    expect(policy.phases).toEqual(["DRAFT", "DESIGN", "BUILD", "TEST", "DOCS"]);
    for (const role of policy.roles)
      for (const phase of policy.phases)
        expect(policy.grant(role, phase).required.slice(0, 2)).toEqual(["CASE_HEADER", "PLAN_HEADER"]);
  });

  it("names every scope in the order in which texts are filled", async () => {
    const { parse } = await import("yaml");
    expect(Object.keys(parse(yaml).scopes)).toEqual([...SCOPES]);
  });

  it.each([
    ["architect", "design", "DECISIONS_GLOBAL", true],
    ["dev", "design", "DECISIONS_GLOBAL", false],
    ["DEV", "BUILD", "SUBTASKS_ROLE", true],
    ["DEV", "BUILD", "SUBTASKS_ALL", false],
    ["QA", "BUILD", "DECISIONS_GLOBAL_MIN", true],
    ["qa", "Test", "SUBTASKS_ALL", true],
    ["DEV", "TEST", "DECISIONS_RELEVANT_ROLE", false],
    ["DEVOPS", "DOCS", "DECISIONS_GLOBAL", false],
  ] as const)("%s in %s may see %s: %s", (role, phase, scope, may) => {
    const { required, allowed } = policy.grant(role, phase);
    expect([...required, ...allowed].includes(scope)).toBe(may);
  });

  it("gives budgets that grow with the story, to a bound", () => {
    expect([policy.budget("DEV", 0, 0), policy.budget("ARCHITECT", 0, 0)]).toEqual([4_096, 8_192]);
    expect(policy.budget("DEV", 3, 2)).toBe(4_096 + 3 * 256 + 2 * 128);
    expect(policy.budget("DEV", 64, 500)).toBe(8_192);
  });
});

describe("scopes that a caller brings", () => {
  const of = (scopes: readonly string[]) => policy.validate("dev", "test", scopes);
  const needed = ["CASE_HEADER", "PLAN_HEADER", "SUBTASKS_ROLE_MIN"];

  it("are allowed when they are those of the role", () => {
    expect(of(needed)).toMatchObject({ allowed: true, missing: [], extra: [] });
    expect(of([...needed, "SUMMARY_LAST"]).allowed).toBe(true);
  });

  it("are refused when one is missing, is not the role's, or does not exist (the original let extra ones pass)", () => {
    expect(of(needed.slice(1))).toMatchObject({ allowed: false, missing: ["CASE_HEADER"], extra: [] });
    const extra = of([...needed, "DECISIONS_GLOBAL", "EVERYTHING"]);
    expect(extra).toMatchObject({ allowed: false, missing: [], extra: ["DECISIONS_GLOBAL", "EVERYTHING"] });
    expect(extra.reason).toBe("For DEV in TEST DECISIONS_GLOBAL, EVERYTHING may not be there.");
  });

  it("are of no role or phase that there is not", async () => {
    expect(await codeOf((async () => policy.validate("pm", "test", []))())).toBe("RoleUnknown");
    expect(await codeOf((async () => policy.validate("dev", "constructor", []))())).toBe("PhaseUnknown");
    const error = await caught((async () => policy.grant("dev", "DOC"))());
    expect(error.message).toBe("There is no phase DOC; there are DRAFT, DESIGN, BUILD, TEST, DOCS.");
  });
});

describe("a table that is wrong", () => {
  it("is an error, and says where (the original: an empty policy)", async () => {
    const wrong = async (text: string) => {
      const error = await caught(ScopePolicy.parse(text));
      expect(error.code).toBe("ScopesInvalid");
      return error.message;
    };
    expect(await wrong("")).toContain("is not valid");
    expect(await wrong("{ scopes: [")).toContain("is no YAML");
    expect(await wrong(yaml.replace("MILESTONES, SUMMARY_LAST]", "GOSSIP]"))).toContain("phases.");
    expect(await wrong(yaml.replace("required: [CASE_HEADER,", "required: [CASE_HEADER, CASE_HEADER,"))).toContain(
      "twice",
    );
    expect(await wrong(yaml.replace("others: 4096", ""))).toContain("others");
    expect(await wrong(yaml.replace(/ {6}DATA: \{ required.*\n/, ""))).toContain("other roles");
    expect(await wrong(yaml.replace(/phases:[\s\S]*/, "phases: {}"))).toContain("no phases");
    expect((await caught(ScopePolicy.read("/nowhere/scopes.yaml"))).message).toContain("ENOENT");
  });
});

describe("what is forbidden", () => {
  /** A story in which every piece of content can be told by its scope. */
  const view: StoryView = {
    id: "story:s",
    story: { id: "story:s", title: "T", state: "BUILD", rigor: "L1", summary: "IN-SUMMARY" },
    plan: { id: "plan:s/p", title: "P", status: "approved", rationale: "r" },
    ...{ epic: undefined, project: undefined, version: 1 },
    tasks: ["DEV", "QA", "ARCHITECT", "DEVOPS", "DATA"].map((role, index) => ({
      id: `task:s/t${index}`,
      properties: { id: `task:s/t${index}`, title: `TITLE-OF-${role}.`, text: `TEXT-OF-${role}.`, role },
      ...{ reason: "", needs: index === 0 ? [] : [`task:s/t${index - 1}`] },
    })),
    decisions: ["DEV", "QA", "ARCHITECT", "DEVOPS", "DATA"].map((role) => ({
      id: `decision:s/d-${role}`,
      properties: {
        id: `decision:s/d-${role}`,
        title: `DECISION-FOR-${role}.`,
        text: `WHY-FOR-${role}.`,
        roles: [role],
      },
      affects: [],
    })),
    relations: [{ from: "decision:s/a", to: "decision:s/b", toTitle: "IN-RELATIONS", type: "DEPENDS_ON", reason: "" }],
    milestones: [{ type: "Milestone", properties: { id: "m", title: "IN-MILESTONES", at: 1 } }],
  };

  it("stands in no text: each role in each phase sees what its scopes name, and nothing else (SE1)", () => {
    for (const role of policy.roles) {
      for (const phase of policy.phases) {
        const { required, allowed } = policy.grant(role, phase);
        const scopes = [...required, ...allowed];
        const text = scopes
          .map((scope) => sectionOf(scope, view, { role, task: undefined }))
          .flatMap(({ heading, items }) => [heading, ...items.map((item) => item.text)])
          .join("\n");
        const has = (...any: readonly string[]) => any.some((scope) => scopes.includes(scope as never));
        const where = `${role} in ${phase}`;
        expect(text.includes("IN-MILESTONES"), where).toBe(has("MILESTONES"));
        expect(text.includes("IN-RELATIONS"), where).toBe(has("DEPS_DECISIONS"));
        expect(text.includes("IN-SUMMARY"), where).toBe(has("SUMMARY_LAST"));
        for (const other of policy.roles.filter((each) => each !== role)) {
          expect(text.includes(`TEXT-OF-${other}.`), where).toBe(has("SUBTASKS_ALL"));
          expect(text.includes(`WHY-FOR-${other}.`), where).toBe(has("DECISIONS_GLOBAL"));
          if (!has("SUBTASKS_ALL", "SUBTASKS_ALL_MIN", "DEPS_RELEVANT"))
            expect(text.includes(`TITLE-OF-${other}.`), where).toBe(false);
          expect(text.includes(`DECISION-FOR-${other}.`), where).toBe(has("DECISIONS_GLOBAL", "DECISIONS_GLOBAL_MIN"));
        }
      }
    }
  });
});
