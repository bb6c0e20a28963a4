// Which module calls: read from a stack, so that an author need not write `import.meta.url` beside each actor.
// It is a guess at a text that no standard fixes: unsure means undefined, never a throw.

import { isAbsolute } from "node:path";
import { pathToFileURL } from "node:url";

/** "at file:///a.ts:3:24", "at fn (file:///a.ts:3:24)", and paths, which source maps and test runners put in a URL's place. */
const FRAME = /^\s*at (?:async )?(?:.*? \()?((?:file:\/\/)?\/[^<]*|[A-Za-z]:[\\/][^<]*):\d+:\d+\)?$/;

/** The `file:` URL in one line of a stack. */
export function moduleInFrame(line: string): string | undefined {
  const where = FRAME.exec(line)?.[1];
  if (where === undefined) return undefined;
  if (where.startsWith("file:")) return where;
  return isAbsolute(where) ? pathToFileURL(where).href : undefined;
}

/** The `file:` URL of the module that called `callee`, the function that asks. */
export function callingModule(callee: (...args: never[]) => unknown): string | undefined {
  const holder: { stack?: unknown } = {};
  Error.captureStackTrace(holder, callee);
  if (typeof holder.stack !== "string") return undefined;
  const frame = holder.stack.split("\n").find((line) => /^\s*at /.test(line));
  return frame === undefined ? undefined : moduleInFrame(frame);
}
