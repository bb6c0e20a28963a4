// The JSON in a model's reply, whatever lies around it: thoughts, fences, call tags, prose. What it must hold is known to the readers
// (plan.ts, and services that ask a model for an answer in a form).
//
// N2  A repair may mend a reply, never complete one: a text that ended early would turn into half a file that is written whole.
// N3  A model's thoughts are never read as its answer.

import { jsonrepair } from "jsonrepair";

/** Every JSON value in the reply, the most likely first; none when its thoughts never ended (N3). */
export function jsonValues(text: string): readonly unknown[] {
  const rest = withoutThoughts(text);
  return rest === undefined ? [] : [...topLevelSlices(rest), outermost(rest)].flatMap(readJson);
}

/** The text after the last closing think tag, with or without an opening one; undefined when thinking never ended (N3). */
export function withoutThoughts(text: string): string | undefined {
  // A reply that begins as JSON has no thoughts, though a file it writes may speak of the tag.
  if (/^\s*[{[]/.test(text)) return text;
  const rest = text.split("</think>").at(-1) ?? "";
  return rest.includes("<think>") ? undefined : rest;
}

/** Each run from an opening bracket to the one that closes it, strings skipped; nested ones are part of their parent. */
export function topLevelSlices(text: string): readonly string[] {
  const slices: string[] = [];
  let depth = 0;
  let start = 0;
  for (const { 0: token, index } of text.matchAll(/"(?:[^"\\]|\\[\s\S])*"|[{}[\]]/g)) {
    if (token.startsWith('"')) continue;
    if (token === "{" || token === "[") {
      if (depth++ === 0) start = index;
    } else if (depth > 0 && --depth === 0) slices.push(text.slice(start, index + 1));
  }
  return slices;
}

/** From the first opening bracket to the last closing one: what is left to try when quotes are too broken to count brackets. */
export function outermost(text: string): string {
  const start = text.search(/[{[]/);
  return start < 0 ? "" : text.slice(start, Math.max(text.lastIndexOf("}"), text.lastIndexOf("]")) + 1);
}

/** The value that a text is, mended where that does not complete it (N2); none when it is no JSON. */
export function readJson(text: string): readonly unknown[] {
  if (text === "") return [];
  try {
    return [JSON.parse(text)];
  } catch {
    return mend(text);
  }
}

function mend(text: string): readonly unknown[] {
  try {
    const repaired = jsonrepair(text);
    return closers(repaired) > closers(text) ? [] : [JSON.parse(repaired)];
  } catch {
    return [];
  }
}

/** Closing brackets at the end of a text; a repair that adds some has completed it (N2). */
const closers = (text: string) => (/[\]}"'\s,]*$/.exec(text)?.[0] ?? "").replace(/[^\]}]/g, "").length;
