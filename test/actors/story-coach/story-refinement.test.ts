// Better drafts: what is added, what is never touched, and templates.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import type { StoryText } from "../../../actors/story-coach/story-checks.ts";
import { refineStory, SUGGESTIONS_MAX, suggestStories } from "../../../actors/story-coach/story-refinement.ts";
import { scoreStory } from "../../../actors/story-coach/story-score.ts";
import { unmarked, wordsOf } from "../../../actors/story-coach/words.ts";
import { anyStory } from "./stories.ts";

const story = (part: Partial<StoryText>): StoryText => ({
  title: "Reset a password",
  description: "As a buyer, I want it, so that I can log in.",
  criteria: ["Given a, when b, then c"],
  ...part,
});
const criteriaOf = (...criteria: string[]) => refineStory(story({ criteria })).criteria;

describe("a criterion", () => {
  it.each([
    ["in Gherkin stays", ["Given A, when B, then C is SHOWN"], ["Given A, when B, then C is SHOWN"]],
    [
      "of plain words is asked for all three",
      ["Login works"],
      ["Login works [? Given which state, when what happens, then what can be seen]"],
    ],
    ["without given", ["When B, then C"], ["[? Given which state] When B, then C"]],
    ["without when", ["Given A, then C"], ["Given A, [? when what happens] then C"]],
    ["without then", ["Given A, when B"], ["Given A, when B [? then what can be seen]"]],
    ["with only an outcome", ["Then C"], ["[? Given which state] [? when what happens] Then C"]],
    ["already asked stays", ["Login works [? how]"], ["Login works [? how]"]],
    [
      "that is a list becomes several",
      ["- Names are shown\n- Ages are shown"],
      ["Names are shown", "Ages are shown"].map(
        (each) => `${each} [? Given which state, when what happens, then what can be seen]`,
      ),
    ],
    [
      "of several sentences becomes several",
      ["The mail is sent. The link is shown"],
      ["The mail is sent.", "The link is shown"].map(
        (each) => `${each} [? Given which state, when what happens, then what can be seen]`,
      ),
    ],
    [
      "of several scenarios becomes several",
      ["Given A, when B, then C. Given D, when E, then F."],
      ["Given A, when B, then C.", "Given D, when E, then F."],
    ],
    ["in Gherkin over several lines stays whole", ["Given A\nWhen B\nThen C"], ["Given A\nWhen B\nThen C"]],
    [
      "with a vague word is asked",
      ["Given a, when b, then SEVERAL mails etc."],
      ["Given a, when b, then SEVERAL [? how many] mails etc [? what else, exactly]."],
    ],
  ])("%s", (_, before, after) => {
    expect(criteriaOf(...before)).toEqual(after);
  });

  it("is not split where that makes the story too large", () => {
    const many = "Ages are shown; Names are shown";
    const full = Array.from({ length: 8 }, () => many);
    expect(criteriaOf(...full)).toHaveLength(8);
  });

  it("is found in the description where there is none", () => {
    const description = "As a buyer, I want it, so that I can log in.\n\n* Given A, when B, then C\n* more";
    const refined = refineStory(story({ description, criteria: [] }));
    expect(refined.criteria).toEqual(["Given A, when B, then C"]);
    expect(refined.description).toBe(description);
  });
});

describe("a description", () => {
  it("keeps its case and its vague words, which are asked about", () => {
    const { description } = refineStory(
      story({ description: "As a DBA, I want SEVERAL Mails FAST, so that NOTHING waits." }),
    );
    expect(description).toBe(
      "As a DBA, I want SEVERAL [? how many] Mails FAST [? how fast, measured how], so that NOTHING waits.",
    );
  });

  it("without purpose is asked for it, once", () => {
    const refined = refineStory(story({ description: "Mails are sent." }));
    expect(refined.description).toBe("Mails are sent.\n\n[? As a …, I want …, so that …]");
    expect(refineStory(refined)).toEqual(refined);
    expect(refineStory(story({ description: "" })).description).toBe("[? As a …, I want …, so that …]");
  });

  it("keeps its title", () => {
    expect(refineStory(story({ title: "LOTS of Mail" })).title).toBe("LOTS of Mail");
  });
});

/** The user's own words; numbers and bullets of lists are no words. */
const own = (texts: readonly string[]) =>
  texts.flatMap((text) =>
    wordsOf(text.replace(/(^|\n|[.!?;]\s)\s*(?:\d{1,3}[.)]\s+)/g, "$1")).map((word) => word.text),
  );

describe("for every story", () => {
  it("the refined one never scores lower (SR2), and refining again changes nothing (SR3)", () => {
    fc.assert(
      fc.property(anyStory, (before) => {
        const after = refineStory(before);
        expect(scoreStory(after).score).toBeGreaterThanOrEqual(scoreStory(before).score);
        expect(refineStory(after)).toEqual(after);
      }),
      { numRuns: 100 },
    );
  });

  it("no word of the user is lost, moved or changed in case (SR1)", () => {
    const withoutNumbers = anyStory.filter(({ criteria }) => criteria.length > 0 && !/\d/.test(criteria.join(" ")));
    fc.assert(
      fc.property(withoutNumbers, (before) => {
        const after = refineStory(before);
        expect(after.title).toBe(before.title);
        expect(own([after.description])).toEqual(own([before.description]));
        expect(own(after.criteria)).toEqual(own(before.criteria));
        const kept = unmarked(after.description).replace(/\s/g, "");
        expect(kept).toBe(unmarked(before.description).replace(/\s/g, ""));
      }),
      { numRuns: 100 },
    );
  });
});

describe("suggestions", () => {
  it("are templates in the user's words, with marks for the rest", () => {
    const stories = suggestStories("search in Old Mails", 3);
    expect(stories).toHaveLength(3);
    expect(stories[0]).toEqual({
      title: "search in Old Mails: the shortest way that works",
      description: "As a [? who], I want search in Old Mails, so that [? what for].",
      criteria: ["Given [? the usual state], when [? the usual input], then [? what can be seen]."],
    });
    expect(new Set(suggestStories("x", SUGGESTIONS_MAX).map(({ title }) => title)).size).toBe(SUGGESTIONS_MAX);
  });

  it("are honest: none is ready, and what is open is told", () => {
    for (const suggested of suggestStories("search in old mails", SUGGESTIONS_MAX)) {
      const { score, findings } = scoreStory(suggested);
      expect(score).toBeLessThan(75);
      expect(findings.map(({ code }) => code)).toEqual(
        expect.arrayContaining(["OPEN_QUESTION", "VALUE_UNCLEAR", "NOT_TESTABLE"]),
      );
      expect(refineStory(suggested)).toEqual(suggested);
    }
  });

  it.each([
    [" ", 3, "goal has 0 characters"],
    ["x".repeat(151), 3, "goal has 151 characters"],
    ["x", 0, "count is 0"],
    ["x", 9, "count is 9"],
    ["x", 1.5, "count is 1.5"],
  ])("of %j, %d are refused", (goal, count, says) => {
    expect(() => suggestStories(goal, count)).toThrow(
      expect.objectContaining({ code: "FieldInvalid", message: expect.stringContaining(says) }),
    );
  });
});
