// The tools of one agent, by name.
// It is not how they run (run-tool.ts) nor who may use them (policy.ts).
//
// G1  A name means one tool.
// G2  Every tool refuses parameters it does not know: a misspelt option that is silently dropped runs another call than was asked for.

import { fail } from "./errors.ts";
import { fileTools } from "./files/index.ts";
import { gitTools } from "./git/index.ts";
import { testTools } from "./tests/index.ts";
import type { Tool } from "./tool.ts";
import { inputSchema } from "./tool-schema.ts";

const NAME = /^[a-z]+\.[a-z][a-zA-Z]*$/;

export class ToolRegistry {
  readonly #tools = new Map<string, Tool>();

  /** Throws ToolUnfit for a second tool of the same name (G1), a name not of the form family.operation, or an open schema (G2). */
  constructor(tools: readonly Tool[]) {
    for (const tool of tools) {
      const flaw = this.#flaw(tool);
      if (flaw !== undefined) throw fail("ToolUnfit", `Tool ${tool.name}: ${flaw}`, { data: { tool: tool.name } });
      this.#tools.set(tool.name, tool);
    }
  }

  get(name: string): Tool | undefined {
    return this.#tools.get(name);
  }

  /** In the order they were given. */
  list(): readonly Tool[] {
    return [...this.#tools.values()];
  }

  #flaw(tool: Tool): string | undefined {
    if (!NAME.test(tool.name)) return "a tool's name is a family, a dot and an operation, like files.read.";
    if (this.#tools.has(tool.name)) return "another tool has this name; names must differ.";
    if (inputSchema(tool).additionalProperties !== false) return "its input must be a z.strictObject.";
    return undefined;
  }
}

/** Every tool an agent gets unless told otherwise: files, git, tests. */
export function standardTools(): readonly Tool[] {
  return [...fileTools, ...gitTools, ...testTools];
}
