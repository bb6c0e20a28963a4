// Which tools a registry takes (G1, G2 of registry.ts), and what a model is shown of them.

import { expect, test } from "vitest";
import { z } from "zod";
import { isFlotillaError } from "../../runtime/index.ts";
import { standardTools, ToolRegistry } from "../../tools/registry.ts";
import { defineTool, type Tool } from "../../tools/tool.ts";
import { describeTools, toolSchemas } from "../../tools/tool-schema.ts";

const tool = (name: string, input: z.ZodType = z.strictObject({})): Tool =>
  defineTool({
    name,
    description: "Does nothing.",
    input,
    risk: "read",
    sideEffects: "none",
    timeoutMs: 1_000,
    outputMaxBytes: 1_024,
    run: async () => ({ success: true, content: "" }),
  });

const refusal = (...tools: Tool[]): unknown => {
  try {
    return new ToolRegistry(tools);
  } catch (error) {
    return isFlotillaError(error) ? `${error.code}: ${error.message}` : error;
  }
};

test("tools are found by name and listed in the order given", () => {
  const registry = new ToolRegistry([tool("a.one"), tool("a.two")]);
  expect(registry.get("a.two")?.name).toBe("a.two");
  expect(registry.get("toString")).toBeUndefined();
  expect(registry.list().map(({ name }) => name)).toEqual(["a.one", "a.two"]);
});

test("a second tool of the same name is refused (G1)", () => {
  expect(refusal(tool("a.one"), tool("a.one"))).toBe(
    "ToolUnfit: Tool a.one: another tool has this name; names must differ.",
  );
});

test.each(["read", "files.", ".read", "files.read.all", "Files.read", "files.re-ad"])(
  "the name %j is refused",
  (name) => {
    expect(refusal(tool(name))).toContain("ToolUnfit");
  },
);

test("a schema that lets unknown parameters pass is refused (G2)", () => {
  expect(refusal(tool("a.one", z.object({ path: z.string() })))).toContain("z.strictObject");
  expect(refusal(tool("a.one", z.looseObject({})))).toContain("z.strictObject");
});

test("the standard tools are 26, in three families", () => {
  const families = Map.groupBy(standardTools(), ({ name }) => name.split(".")[0]);
  expect([...families].map(([family, tools]) => [family, tools.length])).toEqual([
    ["files", 10],
    ["git", 10],
    ["tests", 6],
  ]);
});

test("a schema is what a caller writes: a parameter with a default may be left out", () => {
  const input = z.strictObject({ path: z.string().describe("Where"), deep: z.boolean().default(true) });
  expect(toolSchemas([tool("a.one", input)])).toEqual([
    {
      name: "a.one",
      description: "Does nothing.",
      schema: {
        type: "object",
        properties: { path: { type: "string", description: "Where" }, deep: { type: "boolean", default: true } },
        required: ["path"],
        additionalProperties: false,
      },
    },
  ]);
});

test("the prompt text has one line for each tool, with what must be given and what may be", () => {
  const input = z.strictObject({
    path: z.string(),
    kind: z.enum(["a", "b"]).optional(),
    lines: z.array(z.int()).default([]),
  });
  expect(describeTools([tool("a.one", input), tool("a.two")])).toBe(
    'a.one(path: string, kind?: "a" | "b", lines?: integer[]) – Does nothing.\na.two() – Does nothing.',
  );
});
