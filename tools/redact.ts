// Makes parameters fit for the audit: secrets out, long contents shortened, everything bounded.
// It is not a guarantee that no secret is left: it knows names and shapes of secrets, not their values.
//
// R1  The result is small plain JSON data whatever came in: cyclic, huge, or not data at all.
// R2  What stands under a secret's name is never kept, not even as a hash: short secrets can be guessed from it.

import { createHash } from "node:crypto";

const STRING_MAX_BYTES = 256;
const ITEMS_MAX = 20;
const DEPTH_MAX = 4;
const VALUES_MAX = 200;

const HIDDEN = "[redacted]";
const SECRET_NAME = /token|secret|passw|api[-_]?key|private[-_]?key|access[-_]?key|authorization|credential|cookie/i;

/** Shapes of secrets inside longer text, each with what is left in their place. */
const SECRET_SHAPES: readonly (readonly [RegExp, string])[] = [
  [/([a-z][a-z0-9+.-]{1,20}:\/\/)[^\s/?#@]+@/gi, `$1${HIDDEN}@`],
  [/\b(bearer|basic)\s+[\w+/=.~-]{8,}/gi, `$1 ${HIDDEN}`],
  [
    /\b(?:sk-[\w-]{16,}|gh[pousr]_\w{16,}|github_pat_\w{16,}|glpat-[\w-]{16,}|xox[a-z]-[\w-]{10,}|AKIA[A-Z0-9]{16})/g,
    HIDDEN,
  ],
  [/-----BEGIN [A-Z ]*PRIVATE KEY-----[\s\S]*?(?:-----END [A-Z ]*PRIVATE KEY-----|$)/g, HIDDEN],
  [/\b([\w-]*(?:token|secret|passwd|password|api[-_]?key)["']?\s*[=:]\s*)["']?[^\s"'&,;]{4,}["']?/gi, `$1${HIDDEN}`],
];

/** `text` without what looks like a secret. */
export function redactText(text: string): string {
  return SECRET_SHAPES.reduce((left, [shape, instead]) => left.replace(shape, instead), text);
}

/** A copy of `value` for the audit (R1, R2). */
export function redact(value: unknown): unknown {
  let left = VALUES_MAX;
  const visit = (part: unknown, depth: number): unknown => {
    if (left-- <= 0) return "…";
    if (typeof part === "string") return shorten(part);
    if (part === null || typeof part === "boolean" || typeof part === "number") return part;
    if (typeof part !== "object") return `[${typeof part}]`;
    if (depth === 0) return "…";
    return Array.isArray(part) ? visitList(part, depth) : visitObject(part, depth);
  };
  const visitList = (list: readonly unknown[], depth: number) => {
    const kept = list.slice(0, ITEMS_MAX).map((item) => visit(item, depth - 1));
    return list.length > ITEMS_MAX ? [...kept, `… ${list.length - ITEMS_MAX} more`] : kept;
  };
  const visitObject = (object: object, depth: number) => {
    const entries = Object.entries(object);
    const kept = entries
      .slice(0, ITEMS_MAX)
      .map(([name, inner]) => [shorten(name), SECRET_NAME.test(name) ? HIDDEN : visit(inner, depth - 1)] as const);
    if (entries.length > ITEMS_MAX) kept.push(["…", `${entries.length - ITEMS_MAX} more`]);
    return Object.fromEntries(kept);
  };
  return visit(value, DEPTH_MAX);
}

/** Long text is named by its size and hash, so that two audits can be compared without keeping what was written. */
function shorten(text: string): string {
  const bytes = Buffer.byteLength(text);
  if (bytes <= STRING_MAX_BYTES) return redactText(text).toWellFormed();
  return `${bytes} bytes, sha256:${createHash("sha256").update(text).digest("hex").slice(0, 16)}…`;
}
