// JSON objects mixed with other output, one a line: what `go test -json` and Rust's test harness write to stdout.

import type { z } from "zod";
import { parseJson } from "./case-list.ts";

/** stdout is the only place these runners report to, so more of it is kept than of other commands. */
export const LINES_MAX_BYTES = 16 * 1024 * 1024;

/** The lines that match `schema`, in order; everything else on stdout is not the runner's report. */
export function jsonLines<Line extends z.ZodType>(stdout: string, schema: Line): readonly z.output<Line>[] {
  return stdout.split("\n").flatMap((line) => {
    if (!line.startsWith("{")) return [];
    const parsed = schema.safeParse(parseJson(line));
    return parsed.success ? [parsed.data] : [];
  });
}
