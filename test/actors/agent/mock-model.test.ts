// What the mock plans, message by message. That its plans work is in agent.test.ts.

import { describe, expect, it } from "vitest";
import { type MockVariant, mockModel, mockVariant } from "../../../actors/agent/mock-model.ts";
import type { ModelMessage } from "../../../actors/agent/model.ts";
import { systemClock } from "../../../runtime/index.ts";

const brief = (task: string, tests = "tests.pytest"): ModelMessage => ({
  role: "user",
  content: `Task: ${task}\n\nTest tools for this project: ${tests}`,
});

const afterRead = (content: string): readonly ModelMessage[] => [
  { role: "assistant", content: "{}" },
  { role: "user", content: `Step 1: files.read → ok\n<output k2>\n${content}\n</output k2>\n\nGive the next plan.` },
];

interface SpokenPlan {
  readonly reasoning: string;
  readonly steps: readonly { readonly tool: string; readonly params: Readonly<Record<string, unknown>> }[];
}

async function plan(messages: readonly ModelMessage[], variant: MockVariant = "clean"): Promise<SpokenPlan> {
  const signal = new AbortController().signal;
  const reply = await mockModel(variant, systemClock).complete({
    messages,
    maxTokens: 1_000,
    signal,
    timeoutMs: 1_000,
  });
  return JSON.parse(reply.text);
}

const add = "Add hello_world() function to src/utils.py";

describe("the mock", () => {
  it("reads the file the task names, and then does what the brief's scenario does", async () => {
    expect((await plan([brief(add)])).steps).toEqual([{ tool: "files.read", params: { path: "src/utils.py" } }]);
    const { steps } = await plan([brief(add), ...afterRead("X = 1\n")]);
    expect(steps.map(({ tool }) => tool)).toEqual(["files.append", "tests.pytest", "git.add", "git.commit"]);
    expect(steps[0]?.params.content).toBe(
      '\n\ndef hello_world():\n    """Return a greeting."""\n    return "Hello, World!"\n',
    );
    expect(steps[3]?.params).toEqual({ message: "feat: add hello_world()" });
  });

  it("writes JavaScript and TypeScript, and uses the project's own test tool", async () => {
    const { steps } = await plan([
      brief("Add goodbyeMoon() function to lib/a.mjs", "tests.node"),
      ...afterRead("export const x = 1;"),
    ]);
    expect(steps[0]?.params.content).toBe(
      '\n\n/** Returns a greeting. */\nexport function goodbyeMoon() {\n  return "Goodbye, Moon!";\n}\n',
    );
    expect(steps[1]?.tool).toBe("tests.node");
    const typed = await plan([brief("Add hi() function to a.ts"), ...afterRead("")]);
    expect(typed.steps[0]?.params.content).toContain("function hi(): string");
  });

  it("puts in the line that a BUG marker asks for, with its indentation", async () => {
    const content = "def add(a, b):\n    return a - b  # BUG: should be return a + b\n";
    const { steps } = await plan([brief("Fix the subtraction bug in src/calc.py"), ...afterRead(content)]);
    expect(steps[0]).toEqual({
      tool: "files.edit",
      params: {
        path: "src/calc.py",
        search: "    return a - b  # BUG: should be return a + b",
        replace: "    return a + b",
      },
    });
  });

  const refusals: readonly (readonly [string, readonly ModelMessage[], RegExp])[] = [
    ["any other task", [brief("Rewrite everything in Rust")], /knows two kinds of task/],
    [
      "a function that is already there",
      [brief(add), ...afterRead("def hello_world():\n    pass\n")],
      /already has a function hello_world/,
    ],
    ["a bug without a marker", [brief("Fix the bug in a.py"), ...afterRead("x = 1\n")], /sees no bug/],
    [
      "a file that could not be read",
      [brief(add), { role: "assistant", content: "{}" }, { role: "user", content: "failed" }],
      /could not be read/,
    ],
    ["a third plan", [brief(add), ...afterRead(""), ...afterRead("")], /has been tried/],
  ];
  it.each(refusals)("gives no steps for %s and says why", async (_, messages, why) => {
    expect(await plan(messages)).toEqual({ reasoning: expect.stringMatching(why), steps: [] });
  });

  it("has a sloppy form that leaves things behind and a wrong one that commits untested", async () => {
    expect([0, 1, 2, 3].map(mockVariant)).toEqual(["clean", "sloppy", "wrong", "clean"]);
    const sloppy = await plan([brief(add), ...afterRead("X = 1\n")], "sloppy");
    expect(sloppy.steps.map(({ tool }) => tool)).toEqual([
      "files.append",
      "files.write",
      "tests.pytest",
      "git.add",
      "git.commit",
    ]);
    expect(sloppy.steps[0]?.params.content).toMatch(/ {2}\n/);
    const wrong = await plan([brief(add), ...afterRead("X = 1\n")], "wrong");
    expect(wrong.steps.map(({ tool }) => tool)).toEqual(["files.write", "git.add", "git.commit"]);
  });
});
