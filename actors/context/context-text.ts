// Fits sections into a budget of tokens. Pure.
//
//     headings of the required sections ─▶ then section by section, item by item, while they fit ─▶ what was left out, in words
//
// CT1  The text has at most `budget` tokens, as the counter counts the whole of it.
// CT2  Items are in it whole or not at all, and what is not in it is named. A section that had to leave one out takes none after it,
//      or its reader would take the rest for all there is; later sections may still use the room.
// CT3  The scopes that are answered are those whose section stands in the text.

import { failContext } from "./errors.ts";
import type { Scope } from "./scopes.ts";
import type { Section } from "./sections.ts";
import type { TokenCounter } from "./token-counter.ts";

export interface Fitted {
  readonly text: string;
  readonly tokenCount: number;
  readonly scopes: readonly Scope[];
  readonly omitted: readonly string[];
}

interface Part {
  readonly section: Section;
  isShown: boolean;
  /** Items that stand, from the first. */
  taken: number;
}

const NAMED_MAX = 5;
const NOTHING = "None.";

/** Sections come in their order of importance. Throws BudgetTooSmall. */
export function fitted(
  sections: readonly Section[],
  required: readonly Scope[],
  budget: number,
  counter: TokenCounter,
): Fitted {
  const parts = sections.map((section) => ({ section, isShown: required.includes(section.scope), taken: 0 }));
  const needed = counter.count(textOf(parts));
  if (needed > budget)
    throw failContext("BudgetTooSmall", `The least there is to say has ${needed} tokens, the budget is ${budget}.`, {
      data: { needed, budget },
    });
  let left = budget - needed;
  for (const part of parts) left = fill(part, left, counter);
  // Pieces may count for less than the whole: the whole decides (CT1).
  for (let text = textOf(parts); ; text = textOf(parts)) {
    const tokenCount = counter.count(text);
    if (tokenCount <= budget || !dropped(parts, required)) return answer(parts, text, tokenCount);
  }
}

/** Takes items while they fit; answers what is left. */
function fill(part: Part, budget: number, counter: TokenCounter): number {
  const { section } = part;
  let left = budget;
  for (const { text } of section.items) {
    const heading = part.isShown ? 0 : counter.count(`\n\n${section.heading}`);
    const tokens = counter.count(`\n${text}`) + heading;
    if (tokens > left) return left;
    left -= tokens;
    part.isShown = true;
    part.taken++;
  }
  return left;
}

/** Takes the last item out; false when there is none. */
function dropped(parts: readonly Part[], required: readonly Scope[]): boolean {
  const last = parts.findLast(({ taken }) => taken > 0);
  if (last === undefined) return false;
  last.taken--;
  last.isShown = last.taken > 0 || required.includes(last.section.scope);
  return true;
}

const textOf = (parts: readonly Part[]): string =>
  parts
    .filter(({ isShown }) => isShown)
    .map(({ section, taken }) => {
      const items = section.items.slice(0, taken).map(({ text }) => text);
      const isEmpty = section.items.length === 0 && section.scope !== "CASE_HEADER" && section.scope !== "PLAN_HEADER";
      return [section.heading, ...(isEmpty ? [NOTHING] : items)].join("\n");
    })
    .join("\n\n");

function answer(parts: readonly Part[], text: string, tokenCount: number): Fitted {
  const omitted = parts.flatMap(({ section, taken }) => {
    const left = section.items.slice(taken);
    if (left.length === 0) return [];
    const names = left.slice(0, NAMED_MAX).map(({ name }) => name);
    if (left.length > NAMED_MAX) names.push(`${left.length - NAMED_MAX} more`);
    return [`${section.scope}: ${names.join(", ")}`];
  });
  const scopes = parts.filter(({ isShown }) => isShown).map(({ section }) => section.scope);
  return { text, tokenCount, scopes, omitted };
}
