// How replies are read and refused, and that the schema and the tools agree.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { z } from "zod";
import { PLAN_STEPS_MAX, parsePlan, planSchema } from "../../../actors/agent/plan.ts";
import { defineTool, standardTools, type Tool, ToolRegistry } from "../../../tools/index.ts";

const tool = (name: string, input: z.ZodType): Tool =>
  defineTool({
    name,
    description: name,
    input,
    risk: "read",
    sideEffects: "none",
    timeoutMs: 1_000,
    outputMaxBytes: 1_000,
    run: async () => ({ success: true, content: "" }),
  });

const tools = [
  tool("files.read", z.strictObject({ path: z.string().min(1), fromLine: z.number().int().min(1).default(1) })),
  tool(
    "files.write",
    z.strictObject({ path: z.string().min(1), content: z.string(), default: z.boolean().optional() }),
  ),
  tool(
    "tests.pytest",
    z.strictObject({ paths: z.array(z.string()).max(3).optional(), mode: z.enum(["fast", "all"]).optional() }),
  ),
];
const registry = new ToolRegistry(tools);

const read = { tool: "files.read", params: { path: "a.py" } };
const plan = { reasoning: "Look first.", steps: [read] };
const json = JSON.stringify(plan);

describe("reading a reply", () => {
  const accepted: readonly (readonly [string, string])[] = [
    ["plain JSON", json],
    ["a fence", `\`\`\`json\n${json}\n\`\`\``],
    ["prose before and after", `Sure! Here is the plan:\n${json}\nLet me know {if} it helps.`],
    ["prose with brackets before", `I will use {tools} and [lists].\n${json}`],
    ["prose with a lone quote before", `The 6" plan: ${json}`],
    ["thoughts", `<think>Maybe {"reasoning":"no","steps":[]}?</think>${json}`],
    ["thoughts whose opening tag is in the template", `I should read it.\n</think>\n${json}`],
    [
      "single quotes and a trailing comma",
      "{'reasoning': 'Look first.', 'steps': [{'tool': 'files.read', 'params': {'path': 'a.py'}},]}",
    ],
    ["a comment", `{"reasoning": "Look first.", // why\n"steps": [${JSON.stringify(read)}]}`],
    ["an unknown key beside the steps", JSON.stringify({ ...plan, confidence: 0.9 })],
  ];
  it.each(accepted)("takes %s", (_, text) => {
    expect(parsePlan(text, registry)).toEqual({ kind: "plan", plan });
  });

  const calls: readonly (readonly [string, string])[] = [
    ["a tool call tag", `<tool_call>\n{"name": "files.read", "arguments": {"path": "a.py"}}\n</tool_call>`],
    ["arguments as a string", `{"name": "files.read", "arguments": "{\\"path\\": \\"a.py\\"}"}`],
    ["a list of steps", JSON.stringify([read])],
    ["one bare step", JSON.stringify(read)],
  ];
  it.each(calls)("takes %s for steps", (_, text) => {
    expect(parsePlan(text, registry)).toEqual({ kind: "plan", plan: { reasoning: "", steps: [read] } });
  });

  it("takes two call tags in order", () => {
    const text = `<tool_call>${JSON.stringify(read)}</tool_call>\n<tool_call>{"name":"tests.pytest","arguments":{}}</tool_call>`;
    expect(parsePlan(text, registry)).toMatchObject({ plan: { steps: [read, { tool: "tests.pytest", params: {} }] } });
  });

  it("keeps a file's content that speaks of tags when the reply is bare JSON, and refuses it when thoughts cannot be told from it", () => {
    const content = '</think> <think> ```json {[ " }} \\ \n';
    const written = { reasoning: "", steps: [{ tool: "files.write", params: { path: "a.md", content } }] };
    expect(parsePlan(JSON.stringify(written), registry)).toEqual({ kind: "plan", plan: written });
    expect(parsePlan(`Here:\n\`\`\`json\n${JSON.stringify(written, null, 2)}\n\`\`\``, registry).kind).toBe("refused");
    expect(parsePlan(`<think>ok</think>${JSON.stringify({ ...written, reasoning: "<b>" })}`, registry).kind).toBe(
      "refused",
    );
  });

  const refusals: readonly (readonly [string, string, RegExp])[] = [
    ["nothing", "", /no complete JSON/],
    ["prose", "I cannot do that.", /no complete JSON/],
    ["thoughts that never end", `<think>Let me see. ${json}`, /never stopped thinking/],
    ["an HTML page", "<html><body>{}</body></html>", /no complete JSON/],
    ["another object", '{"answer": 42}', /no complete JSON/],
    [
      "an unknown tool",
      '{"reasoning":"","steps":[{"tool":"shell","params":{}}]}',
      /no tool "shell".*files\.read, files\.write/,
    ],
    [
      "a missing parameter",
      '{"reasoning":"","steps":[{"tool":"files.read","params":{}}]}',
      /Step 1 \(files\.read\), params\.path/,
    ],
    [
      "an unknown parameter",
      '{"reasoning":"","steps":[{"tool":"files.read","params":{"path":"a","mode":"x"}}]}',
      /mode/,
    ],
    ["a step without a tool", '{"reasoning":"","steps":[{"params":{}}]}', /Step 1 needs "tool"/],
    ["too many steps", JSON.stringify({ reasoning: "", steps: Array(PLAN_STEPS_MAX + 1).fill(read) }), /at most 20/],
  ];
  it.each(refusals)("refuses %s and says why", (_, text, problem) => {
    expect(parsePlan(text, registry)).toEqual({ kind: "refused", problem: expect.stringMatching(problem) });
  });

  it("never completes a reply that was cut anywhere (N2)", () => {
    const content = "function f() {\n  return { a: [1, 2] };\n}\n";
    const whole = JSON.stringify({
      reasoning: "Write.",
      steps: [{ tool: "files.write", params: { path: "a.js", content } }],
    });
    for (let length = 0; length < whole.length; length++) {
      expect(parsePlan(whole.slice(0, length), registry).kind, whole.slice(0, length)).toBe("refused");
    }
    expect(parsePlan(whole, registry).kind).toBe("plan");
  });

  it("never throws, whatever the text", () => {
    const pieces = fc.constantFrom(
      "<think>",
      "</think>",
      "```",
      "{",
      "}",
      "[",
      "]",
      '"',
      "\\",
      json,
      '"steps":',
      "\n",
      "null",
    );
    fc.assert(
      fc.property(fc.array(fc.oneof(pieces, fc.string())), (parts) => {
        const parsed = parsePlan(parts.join(""), registry);
        return parsed.kind === "refused" || parsed.plan.steps.every(({ tool }) => registry.get(tool) !== undefined);
      }),
      { numRuns: 500 },
    );
  });
});

describe("the schema", () => {
  const schema = planSchema(tools);
  const checker = z.fromJSONSchema(schema as Parameters<typeof z.fromJSONSchema>[0]);

  it("is closed and bounded, with nothing that grammar compilers choke on", () => {
    expect(schema).toMatchObject({ type: "object", additionalProperties: false, required: ["reasoning", "steps"] });
    expect(schema).toMatchObject({ properties: { steps: { maxItems: PLAN_STEPS_MAX } } });
    const text = JSON.stringify(schema);
    expect(text).not.toMatch(/\$schema|\$ref|9007199254740991|"default":1/);
    expect(text).toContain('"default":{"type":"boolean"}');
  });

  it("admits exactly the plans whose every step its tool accepts (N1)", () => {
    const value = fc.oneof(
      fc.constantFrom<unknown>("a.py", "", 0, 1, 1.5, true, null, "fast"),
      fc.array(fc.string(), { maxLength: 4 }),
    );
    const params = fc.dictionary(
      fc.constantFrom("path", "content", "fromLine", "paths", "mode", "default", "x"),
      value,
      { noNullPrototype: true },
    );
    const step = fc.record({ tool: fc.constantFrom("files.read", "files.write", "tests.pytest", "shell"), params });
    const reaches = { plan: 0, refused: 0 };
    fc.assert(
      fc.property(fc.array(step, { maxLength: 2 }), (steps) => {
        const candidate = { reasoning: "why", steps };
        const parsed = parsePlan(JSON.stringify(candidate), registry);
        reaches[parsed.kind] += 1;
        expect(checker.safeParse(candidate).success).toBe(parsed.kind === "plan");
      }),
      { numRuns: 2_000 },
    );
    expect(Math.min(reaches.plan, reaches.refused)).toBeGreaterThan(20);
  });

  it("of the standard tools holds what grammar compilers know, and admits only what the tools accept", () => {
    const standard = standardTools();
    const text = JSON.stringify(planSchema(standard));
    expect(text).not.toMatch(
      /\$ref|"(oneOf|allOf|not|if|propertyNames|patternProperties|uniqueItems|multipleOf)":|\(\?[=!<]/,
    );
    expect(text.length).toBeLessThan(20_000);
    for (const { name } of standard) expect(text).toContain(`"const":"${name}"`);
  });
});
