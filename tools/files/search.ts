// files.search: lines that match a pattern.

import { access } from "node:fs/promises";
import { z } from "zod";
import { defineTool } from "../tool.ts";
import { resolveInside } from "../workspace/paths.ts";
import { withFileErrors } from "./file-failure.ts";
import { pathInput } from "./path-input.ts";
import { ripgrep, withoutDot } from "./ripgrep.ts";
import { FILE_MAX_BYTES } from "./text-file.ts";

const LINE_MAX = 300;
const MATCHES_MAX = 1_000;

interface Match {
  readonly path: string;
  readonly line: number;
  readonly text: string;
}

/** ripgrep gives text that is not UTF-8 as base64. */
const someText = z.union([
  z.object({ text: z.string() }).transform(({ text }) => text),
  z.object({ bytes: z.base64() }).transform(({ bytes }) => Buffer.from(bytes, "base64").toString("utf8")),
]);
const matchMessage = z.object({
  type: z.literal("match"),
  data: z.object({ path: someText, lines: someText, line_number: z.int() }),
});

export const searchTool = defineTool({
  name: "files.search",
  description:
    "Finds lines that match a regular expression (or, with fixed, the text itself) and tells their file and line number.",
  input: z.strictObject({
    pattern: z.string().min(1).max(1_000),
    path: pathInput.default("."),
    glob: z.string().min(1).max(256).optional().describe("Only files that match, like *.py"),
    fixed: z.boolean().default(false).describe("The pattern is plain text, not a regular expression"),
    ignoreCase: z.boolean().default(false),
    matchesMax: z.int().min(1).max(MATCHES_MAX).default(100),
  }),
  risk: "read",
  sideEffects: "none",
  timeoutMs: 20_000,
  outputMaxBytes: 64 * 1024,
  async run({ pattern, path, glob, fixed, ignoreCase, matchesMax }, context) {
    const where = await resolveInside(context.workspace.root, path, "follow");
    await withFileErrors(where.relative, () => access(where.absolute));
    const args = [
      "--json",
      `--max-filesize=${FILE_MAX_BYTES}`,
      `--max-count=${matchesMax + 1}`,
      ...(fixed ? ["--fixed-strings"] : []),
      ...(ignoreCase ? ["--ignore-case"] : []),
      ...(glob === undefined ? [] : [`--glob=${glob}`]),
      `--regexp=${pattern}`,
    ];
    const { stdout, truncated } = await ripgrep(args, where.relative, context);
    const found = matchesOf(stdout);
    const matches = found.slice(0, matchesMax);
    const more = truncated || found.length > matchesMax;
    const lines = matches.map((match) => `${match.path}:${match.line}: ${match.text}`);
    const rest = more
      ? [`… there are more than these ${matches.length}; narrow the pattern, the path or the glob.`]
      : [];
    const content = matches.length === 0 ? "No line matches." : [...lines, ...rest].join("\n");
    return { success: true, content, data: { matches, more } };
  },
});

/** The matches among ripgrep's messages. A message that the output bound cut apart is not JSON any more and is left out. */
function matchesOf(stdout: string): readonly Match[] {
  return stdout.split("\n").flatMap((message) => {
    const parsed = matchMessage.safeParse(jsonOrNothing(message));
    if (!parsed.success) return [];
    const { path, lines, line_number } = parsed.data.data;
    return [{ path: withoutDot(path), line: line_number, text: shortLine(lines) }];
  });
}

function shortLine(text: string): string {
  const line = text.replace(/\r?\n$/, "");
  return line.length > LINE_MAX ? `${line.slice(0, LINE_MAX).toWellFormed()}…` : line;
}

function jsonOrNothing(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}
