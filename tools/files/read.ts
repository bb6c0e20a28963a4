// files.read: a text file, or some of its lines.

import { z } from "zod";
import { defineTool, ToolFailure } from "../tool.ts";
import { resolveInside } from "../workspace/paths.ts";
import { pathInput } from "./path-input.ts";
import { readText } from "./text-file.ts";

const line = z.int().min(1);

export const readTool = defineTool({
  name: "files.read",
  description: "Reads a text file, or its lines from fromLine to toLine (counted from 1, both included).",
  input: z.strictObject({ path: pathInput, fromLine: line.optional(), toLine: line.optional() }),
  risk: "read",
  sideEffects: "none",
  timeoutMs: 10_000,
  outputMaxBytes: 64 * 1024,
  async run({ path, fromLine = 1, toLine }, { workspace }) {
    const found = await resolveInside(workspace.root, path, "follow");
    const { text, bytes } = await readText(found);
    const lines = linesOf(text);
    const last = Math.min(toLine ?? lines.length, lines.length);
    if (fromLine > Math.max(1, lines.length) || (toLine !== undefined && toLine < fromLine)) {
      throw new ToolFailure(
        "no-such-lines",
        `${found.relative} has ${lines.length} lines; ${fromLine} to ${toLine ?? "the end"} are not among them.`,
      );
    }
    const content = lines.slice(fromLine - 1, last).join("");
    return {
      success: true,
      content,
      data: { path: found.relative, bytes, lines: lines.length, fromLine, toLine: last },
    };
  },
});

/** Each with its line end, so that joined they are the text again. */
const linesOf = (text: string): readonly string[] => text.match(/[^\n]*\n|[^\n]+$/g) ?? [];
