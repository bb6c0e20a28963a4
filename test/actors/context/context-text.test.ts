// Texts within a budget: never more tokens than that, whole items only, and what is left out is named.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { fitted } from "../../../actors/context/context-text.ts";
import { SCOPES } from "../../../actors/context/scopes.ts";
import type { Section } from "../../../actors/context/sections.ts";
import { RuleCounter, type TokenCounter } from "../../../actors/context/token-counter.ts";
import type { FlotillaError } from "../../../runtime/index.ts";

const rules = new RuleCounter();
/** Whose whole is more than its pieces. */
const awkward: TokenCounter = { count: (text) => Math.ceil(text.length ** 1.1 / 4) };

const sections = fc.subarray([...SCOPES], { minLength: 1 }).chain((scopes) =>
  fc.tuple(
    ...scopes.map((scope) =>
      fc.array(fc.lorem({ maxCount: 30 }), { maxLength: 6 }).map((texts): Section => {
        const items = texts.map((text, index) => ({ text: `- ${scope}-${index} ${text}`, name: `${scope}-${index}` }));
        return { scope, heading: `## ${scope}-HEAD`, items };
      }),
    ),
  ),
);

describe("a text", () => {
  it("keeps to its budget and accounts for every item (CT1, CT2, CT3)", () => {
    const case_ = fc.record({
      sections,
      requiredCount: fc.nat(4),
      budget: fc.integer({ min: 1, max: 900 }),
      counter: fc.constantFrom(rules, awkward),
    });
    fc.assert(
      fc.property(case_, ({ sections: all, requiredCount, budget, counter }) => {
        const required = all.slice(0, requiredCount).map(({ scope }) => scope);
        let answer: ReturnType<typeof fitted>;
        try {
          answer = fitted(all, required, budget, counter);
        } catch (error) {
          expect((error as FlotillaError).code).toBe("BudgetTooSmall");
          expect((error as FlotillaError).data.needed).toBeGreaterThan(budget);
          return;
        }
        const { text, tokenCount, scopes, omitted } = answer;
        expect(tokenCount).toBe(counter.count(text));
        expect(tokenCount).toBeLessThanOrEqual(budget);
        expect(scopes).toEqual(all.filter(({ scope }) => text.includes(`${scope}-HEAD`)).map(({ scope }) => scope));
        for (const scope of required) expect(scopes).toContain(scope);
        for (const { scope, items } of all) {
          const inText = items.filter((item) => text.includes(item.text)).length;
          // From the first on, without gaps.
          expect(items.slice(0, inText).every((item) => text.includes(item.text))).toBe(true);
          expect(omitted.some((line) => line.startsWith(`${scope}: `))).toBe(inText < items.length);
          if (inText < items.length) expect(omitted.join("\n")).toContain(`${scope}: ${items[inText]?.name}`);
        }
      }),
      { numRuns: 150 },
    );
  });

  it("has all when there is room, in the order of importance", () => {
    const one = (scope: Section["scope"], ...texts: string[]): Section => {
      const items = texts.map((text) => ({ text, name: text }));
      return { scope, heading: `## ${scope}`, items };
    };
    const all = [one("CASE_HEADER", "a", "b"), one("SUBTASKS_ROLE"), one("MILESTONES"), one("SUMMARY_LAST", "c")];
    const { text, omitted, scopes } = fitted(all, ["CASE_HEADER", "SUBTASKS_ROLE"], 1_000, rules);
    expect(text).toBe("## CASE_HEADER\na\nb\n\n## SUBTASKS_ROLE\nNone.\n\n## SUMMARY_LAST\nc");
    expect([omitted, scopes]).toEqual([[], ["CASE_HEADER", "SUBTASKS_ROLE", "SUMMARY_LAST"]]);
  });

  it("names a few of what is left out, and counts the rest", () => {
    const items = Array.from({ length: 9 }, (_, index) => ({ text: "word ".repeat(100), name: `task t${index}` }));
    const { omitted } = fitted([{ scope: "SUBTASKS_ALL", heading: "## All", items }], ["SUBTASKS_ALL"], 150, rules);
    expect(omitted).toEqual(["SUBTASKS_ALL: task t1, task t2, task t3, task t4, task t5, 3 more"]);
  });
});
