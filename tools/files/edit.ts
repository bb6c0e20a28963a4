// files.edit: one text replaced by another.

import { z } from "zod";
import { defineTool, ToolFailure } from "../tool.ts";
import { pathInput } from "./path-input.ts";
import { readText, replaceFile } from "./text-file.ts";
import { fileToWrite } from "./write.ts";

const LINES_NAMED = 5;

export const editTool = defineTool({
  name: "files.edit",
  description:
    "Replaces search by replace in a text file. The search text must occur exactly once, unless all is true.",
  input: z.strictObject({
    path: pathInput,
    search: z.string().min(1).describe("Exact text, spaces and line ends included"),
    replace: z.string(),
    all: z.boolean().default(false).describe("Replace every occurrence"),
  }),
  risk: "write",
  sideEffects: "workspace",
  timeoutMs: 10_000,
  outputMaxBytes: 4 * 1024,
  async run({ path, search, replace, all }, { workspace, signal }) {
    const target = await fileToWrite(workspace.root, path);
    const { text, mode } = await readText(target);
    if (search === replace)
      throw new ToolFailure("no-change", "search and replace are the same text; nothing would change.");
    const parts = text.split(search);
    const count = parts.length - 1;
    if (count === 0)
      throw new ToolFailure("no-match", `${target.relative} does not hold the search text.${hint(text, search)}`);
    if (count > 1 && !all) {
      throw new ToolFailure(
        "ambiguous-match",
        `${target.relative} holds the search text ${count} times (lines ${linesOf(parts, search)}); add text around it, or set all to true.`,
        { count },
      );
    }
    signal.throwIfAborted();
    const bytes = await replaceFile(target, parts.join(replace), mode);
    const said = `Replaced ${count} ${count === 1 ? "occurrence" : "occurrences"} in ${target.relative}.`;
    return { success: true, content: said, data: { path: target.relative, count, bytes } };
  },
});

/** The two usual reasons why a model's text is not found although it reads the same. */
function hint(text: string, search: string): string {
  if (text.includes("\r\n") && text.includes(search.replace(/\r?\n/g, "\r\n")))
    return " The file's lines end in \\r\\n.";
  const squeezed = (part: string) => part.replace(/\s+/g, " ").trim();
  return squeezed(text).includes(squeezed(search))
    ? " It does, but with other spaces or line ends: read the file and copy them."
    : "";
}

/** Numbers of the lines where the first occurrences begin. */
function linesOf(parts: readonly string[], search: string): string {
  const starts: number[] = [];
  let line = 1;
  for (const part of parts.slice(0, Math.min(LINES_NAMED, parts.length - 1))) {
    line += lineEnds(part);
    starts.push(line);
    line += lineEnds(search);
  }
  return starts.join(", ") + (parts.length - 1 > LINES_NAMED ? ", …" : "");
}

const lineEnds = (text: string) => text.split("\n").length - 1;
