// The story table: what the default one says, and that one which cannot work is refused by its line.

import { describe, expect, it } from "vitest";
import { readStoryTable, rejectFrom } from "../../../actors/planning/story-table.ts";
import { caught } from "../../support/caught.ts";
import { tableText } from "./stand.ts";

describe("the default table", async () => {
  const table = await readStoryTable(await tableText());

  it("goes from BACKLOG to DONE, with one way back from each state between", () => {
    expect(table.transitions.map(({ event, from, to, guards, human }) => [event, from, to, guards, human])).toEqual([
      ["create_story", "BACKLOG", "DRAFT", [], null],
      ["approve_scope", "DRAFT", "DESIGN", ["readiness"], ["po"]],
      ["approve_design", "DESIGN", "BUILD", ["plan_valid"], ["po", "architect"]],
      ["build_done", "BUILD", "TEST", ["all_tasks_done", "build_report"], null],
      ["qa_passed", "TEST", "DOCS", ["test_report"], ["qa"]],
      ["docs_ready", "DOCS", "DONE", ["docs_done"], ["po"]],
      ["reject_scope", "DRAFT", "DRAFT", [], []],
      ["reject_design", "DESIGN", "DRAFT", [], []],
      ["reject_build", "BUILD", "DESIGN", [], []],
      ["reject_test", "TEST", "BUILD", [], []],
      ["reject_docs", "DOCS", "BUILD", [], []],
    ]);
    expect(rejectFrom(table, "DONE")).toBeUndefined();
  });

  it("says where words and plans may be changed", () => {
    expect(table.edit).toEqual(["BACKLOG", "DRAFT", "DESIGN"]);
    expect(table.plan).toEqual(["DRAFT", "DESIGN"]);
  });
});

const CASES: readonly (readonly [what: string, from: string | RegExp, to: string, says: RegExp])[] = [
  [
    "an unknown guard",
    "guards: [test_report]",
    "guards: [tested]",
    /at line 3\d: no guard tested; there are readiness/,
  ],
  ["an unknown state", "to: DESIGN\n    guards", "to: DESIGNED\n    guards", /at line 2\d: there is no state DESIGNED/],
  [
    "a state that is never reached",
    "states: [BACKLOG,",
    "states: [BACKLOG, LOST,",
    /at line 5: no way leads from BACKLOG to LOST/,
  ],
  ["a dead end", "final: [DONE]", "final: []", /at line 7: final/],
  ["a state that is final and is left", "final: [DONE]", "final: [DONE, DOCS]", /at line 5: DOCS is final, and yet/],
  ["a transition twice", "event: reject_docs", "event: docs_ready", /at line 5\d: docs_ready leaves DOCS twice/],
  ["a state there twice", "TEST, DOCS, DONE]\n", "TEST, DOCS, DONE, TEST]\n", /at line 5: state TEST is there twice/],
  ["two ways back", "from: DOCS, to: BUILD }", "from: TEST, to: BUILD }", /TEST has two ways back/],
  ["no way to make a story", "event: create_story", "event: make_story", /no transition create_story leaves/],
  ["a plan approved unseen", "guards: [plan_valid]", "guards: []", /approve_design approves the plan/],
  [
    "a word it does not know",
    "    plan: approved",
    "    plans: approved",
    /at line \d+: transitions\.2: Unrecognized key: "plans"/,
  ],
  ["no person's role", "human: [qa]", "human: []", /at line \d+: transitions\.4\.human/],
  ["what is not YAML", "transitions:\n", "transitions: [\n", /at line \d+: /],
  ["a key twice", "initial: BACKLOG", "initial: BACKLOG\ninitial: DRAFT", /at line 7: Map keys must be unique/],
];

describe("a table that cannot work is refused", () => {
  it.each(CASES)("%s", async (_, from, to, says) => {
    const text = await tableText();
    expect(text).toMatch(from);
    const error = await caught(readStoryTable(text.replace(from, to)));
    expect(error.code).toBe("StoryTableInvalid");
    expect(error.message).toMatch(says);
  });

  it("one in which states go round without an end", async () => {
    const text = `
states: [A, B, C, D]
initial: A
final: [D]
edit: []
plan: []
transitions:
  - { event: create_story, from: A, to: B }
  - { event: go, from: B, to: C }
  - { event: back, from: C, to: B }
  - { event: end, from: A, to: D }
rejects: { feedbackMin: 1, transitions: [] }`;
    expect((await caught(readStoryTable(text))).message).toMatch(/at line 2: no way leads from B to a final state/);
  });

  it("one that is too long, or not a table at all", async () => {
    expect((await caught(readStoryTable("#".repeat(10_000_000)))).message).toMatch(/at most 65536/);
    expect((await caught(readStoryTable("just words"))).code).toBe("StoryTableInvalid");
    expect((await caught(readStoryTable(""))).code).toBe("StoryTableInvalid");
  });
});
