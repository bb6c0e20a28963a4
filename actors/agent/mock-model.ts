// The mock of the fleet: a scripted model that can do two kinds of task and says so when asked for anything else.
//   "Add NAME() function to PATH"       reads the file, appends a function that returns a greeting, runs the tests, commits
//   "Fix … bug in PATH"                 reads the file, puts in the line that a marker comment asks for, runs the tests, commits;
//                                       the marker is `# BUG: should be CODE` or `// BUG: should be CODE`
// Python and JavaScript or TypeScript files. It is for demonstrations and tests, and never stands in for a real model by itself.
//
// The variants give a ranking something to tell: `clean`; `sloppy`, whose tests pass but which leaves needless things behind;
// `wrong`, which breaks the file and commits without running the tests.

import type { Clock } from "../../runtime/index.ts";
import type { Model, ModelRequest } from "./model.ts";
import type { Plan, PlanStep } from "./plan.ts";
import { ScriptedModel } from "./scripted-model.ts";

export type MockVariant = "clean" | "sloppy" | "wrong";

const VARIANTS = ["clean", "sloppy", "wrong"] as const satisfies readonly MockVariant[];

/** The variant of the agent with this number in its council, from 0. */
export const mockVariant = (index: number): MockVariant => VARIANTS[index % VARIANTS.length] ?? "clean";

export function mockModel(variant: MockVariant, clock: Clock): Model {
  return new ScriptedModel("mock", (request) => JSON.stringify(planFor(read(request), variant)), clock);
}

/** What the mock takes from the conversation. */
interface Situation {
  readonly task: string;
  readonly testTool: string | undefined;
  /** Plans given so far. */
  readonly plans: number;
  /** What came of the last plan. */
  readonly feedback: string;
}

function read({ messages }: ModelRequest): Situation {
  const brief = messages.find(({ role }) => role === "user")?.content ?? "";
  const task = /Task: ([\s\S]*?)\n\nTest tools/.exec(brief)?.[1] ?? brief;
  const testTool = /Test tools for this project: (tests\.\w+)/.exec(brief)?.[1];
  const plans = messages.filter(({ role }) => role === "assistant").length;
  return { task, testTool, plans, feedback: messages.at(-1)?.content ?? "" };
}

const PATH = String.raw`[\w@./-]+\.(?:py|js|mjs|ts)`;
const ADD = new RegExp(String.raw`\badd\b.*?\b([A-Za-z_]\w*)\(\).*?\bfunction\b.*?\bto\s+(${PATH})`, "is");
const FIX = new RegExp(String.raw`\bfix\b.*?\bbug\b.*?(${PATH})`, "is");

function planFor(situation: Situation, variant: MockVariant): Plan {
  const add = ADD.exec(situation.task);
  const fix = FIX.exec(situation.task);
  const path = add?.[2] ?? fix?.[1];
  if (path === undefined) {
    return nothing('This mock knows two kinds of task: "Add NAME() function to PATH" and "Fix … bug in PATH".');
  }
  if (situation.plans === 0)
    return { reasoning: `Look at ${path} first.`, steps: [{ tool: "files.read", params: { path } }] };
  if (situation.plans > 1) return nothing("This mock has one idea for each task, and it has been tried.");
  const content = contentOf(situation.feedback);
  if (content === undefined) return nothing(`${path} could not be read.`);
  return add?.[1] === undefined
    ? fixPlan(path, content, situation, variant)
    : addPlan(add[1], path, content, situation, variant);
}

const nothing = (reasoning: string): Plan => ({ reasoning, steps: [] });

/** The output of a step that ended ok, between its marks. */
const contentOf = (feedback: string) =>
  /files\.read → ok\n<output (\w+)>\n([\s\S]*?)\n<\/output \1>/.exec(feedback)?.[2];

function addPlan(name: string, path: string, content: string, situation: Situation, variant: MockVariant): Plan {
  if (defines(name, path).test(content))
    return nothing(`${path} already has a function ${name}; there is nothing to add.`);
  const code = functionText(name, path);
  const gap =
    (content === "" || content.endsWith("\n") ? "" : "\n") + (content === "" ? "" : isPython(path) ? "\n\n" : "\n");
  const change: Record<MockVariant, readonly PlanStep[]> = {
    clean: [{ tool: "files.append", params: { path, content: gap + code } }],
    sloppy: [
      { tool: "files.append", params: { path, content: `\n\n${gap}${code.replace(/\n/, "  \n")}\n\n` } },
      scratchFile(name),
    ],
    // What a hurried model does: it writes the file anew from the part it remembers.
    wrong: [{ tool: "files.write", params: { path, content: code } }],
  };
  return {
    reasoning: `Add ${name} to ${path}.`,
    steps: [...change[variant], ...finish(`feat: add ${name}()`, path, situation, variant)],
  };
}

function fixPlan(path: string, content: string, situation: Situation, variant: MockVariant): Plan {
  const line = content.split("\n").find((candidate) => MARKER.test(candidate));
  const wanted = line === undefined ? undefined : MARKER.exec(line)?.[2]?.trim();
  if (line === undefined || wanted === undefined)
    return nothing(`${path} has no marker "BUG: should be …", so this mock sees no bug.`);
  const indent = /^\s*/.exec(line)?.[0] ?? "";
  const fixed: Record<MockVariant, string> = {
    clean: indent + wanted,
    sloppy: `${indent}${wanted}  `,
    // Takes away the complaint and leaves the bug.
    wrong: line.replace(MARKER, "").trimEnd(),
  };
  const edit = { tool: "files.edit", params: { path, search: line, replace: fixed[variant] } };
  const steps = variant === "sloppy" ? [edit, scratchFile("fix")] : [edit];
  return {
    reasoning: `Put in what the marker in ${path} asks for.`,
    steps: [...steps, ...finish(`fix: ${path}`, path, situation, variant)],
  };
}

const MARKER = /(#|\/\/)\s*BUG:\s*should be\s+(.+)$/i;

const SCRATCH = "scratch.txt";

const scratchFile = (about: string): PlanStep => ({
  tool: "files.write",
  params: { path: SCRATCH, content: `notes about ${about}\n` },
});

function finish(message: string, path: string, { testTool }: Situation, variant: MockVariant): readonly PlanStep[] {
  const tests = testTool === undefined || variant === "wrong" ? [] : [{ tool: testTool, params: {} }];
  const paths = variant === "sloppy" ? [path, SCRATCH] : [path];
  return [...tests, { tool: "git.add", params: { paths } }, { tool: "git.commit", params: { message } }];
}

const isPython = (path: string) => path.endsWith(".py");

function defines(name: string, path: string): RegExp {
  return isPython(path)
    ? new RegExp(`^\\s*(async\\s+)?def\\s+${name}\\b`, "m")
    : new RegExp(`\\b(function|const|let|var)\\s+${name}\\b`);
}

function functionText(name: string, path: string): string {
  const text = JSON.stringify(greeting(name));
  if (isPython(path)) return `def ${name}():\n    """Return a greeting."""\n    return ${text}\n`;
  const type = path.endsWith(".ts") ? ": string" : "";
  return `/** Returns a greeting. */\nexport function ${name}()${type} {\n  return ${text};\n}\n`;
}

/** hello_world and helloWorld → "Hello, World!" */
function greeting(name: string): string {
  const words = name.replace(/([a-z])([A-Z])/g, "$1_$2").split("_");
  const spelled = words
    .filter((word) => word !== "")
    .map((word) => word.charAt(0).toUpperCase() + word.slice(1).toLowerCase());
  return `${spelled.join(", ")}!`;
}
