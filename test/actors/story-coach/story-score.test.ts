// The coach's rules, each by table, and what a substring would have got wrong.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { readinessSchema } from "../../../actors/planning/story.ts";
import type { StoryText } from "../../../actors/story-coach/story-checks.ts";
import { readiness, type StoryPart, scoreStory } from "../../../actors/story-coach/story-score.ts";
import { loadRigor } from "../../../actors/workspace-score/rigor-table.ts";
import { anyStory } from "./stories.ts";

const GOOD: StoryText = {
  title: "Reset a forgotten password",
  description:
    "As a customer, I want to reset my password by mail, so that I can log in again without calling anybody.",
  criteria: [
    "Given a registered address, when the customer asks for a reset, then a mail with a link is sent to it.",
    "Given a link older than one hour, when the customer opens it, then the page says that it has expired.",
  ],
};
const partOf = (story: Partial<StoryText>, part: StoryPart) =>
  scoreStory({ ...GOOD, ...story }).parts.find((each) => each.part === part)?.points;
const codesOf = (story: Partial<StoryText>) => scoreStory({ ...GOOD, ...story }).findings.map(({ code }) => code);

it("a ready story has 100 points and no findings", () => {
  const { score, findings, parts } = scoreStory(GOOD);
  expect([score, findings]).toEqual([100, []]);
  expect(parts.reduce((sum, { max }) => sum + max, 0)).toBe(100);
});

it("an empty story has few points and says everything that is missing", () => {
  const { score, findings } = scoreStory({ title: "x", description: "", criteria: [] });
  expect(score).toBeLessThan(50);
  expect(findings.map(({ code }) => code)).toEqual([
    ...["AC_MISSING", "VALUE_UNCLEAR", "DESC_MISSING", "NOT_TESTABLE", "TITLE_LENGTH"],
  ]);
});

const text = (description: string): Partial<StoryText> => ({ description: `${GOOD.description} ${description}` });
const criterion = (...criteria: string[]): Partial<StoryText> => ({ criteria });
const words = (count: number) => "word ".repeat(count);

type Row = readonly [what: string, story: Partial<StoryText>, part: StoryPart, points: number, code?: string];
const ROWS: readonly Row[] = [
  [
    "authentication is no then",
    criterion("Forgiven users, whenever they pass authentication twice"),
    "testable",
    0,
    "NOT_TESTABLE",
  ],
  [
    "nor is it Gherkin",
    criterion("Forgiven users, whenever they pass authentication twice"),
    "criteria",
    15,
    "AC_NO_GHERKIN",
  ],
  [
    "keywords out of order",
    criterion("Then a mail is sent when asked, given an address"),
    "criteria",
    15,
    "AC_NO_GHERKIN",
  ],
  [
    "a keyword with nothing after it",
    criterion("Given, when asked, then a mail is sent"),
    "criteria",
    15,
    "AC_NO_GHERKIN",
  ],
  ["a keyword before its turn", criterion("When in use, given a mail, when asked, then it is sent"), "criteria", 30],
  ["keywords in capitals and lines", criterion("GIVEN an address\nWHEN asked\nTHEN a mail is sent"), "criteria", 30],
  [
    "one of two criteria in Gherkin",
    criterion(GOOD.criteria[0] ?? "", "Mails are sent"),
    "criteria",
    22.5,
    "AC_NO_GHERKIN",
  ],
  ["criteria of no words", criterion("…", "!"), "criteria", 0, "AC_MISSING"],
  ["no criteria", criterion(), "criteria", 0, "AC_MISSING"],
  ["another story first", text("It depends on story 12."), "independent", 0, "NOT_INDEPENDENT"],
  ["a ticket by its key", text("The page is blocked by SHOP-12."), "independent", 0, "NOT_INDEPENDENT"],
  ["a sentence about the story itself", text("Blocked by the redesign."), "independent", 0, "NOT_INDEPENDENT"],
  ["what the product depends on", text("The price depends on the country."), "independent", 10],
  ["no dependency at all", text("This story does not depend on any other story."), "independent", 10],
  ["a technology", text("Keep it in PostgreSQL."), "negotiable", 5, "NOT_NEGOTIABLE"],
  ["two of them", text("Use Kafka and a stored procedure."), "negotiable", 0, "NOT_NEGOTIABLE"],
  ["code", { title: "Add reset() to src/login.py" }, "negotiable", 0, "NOT_NEGOTIABLE"],
  ["a library in capitals", text("Build the page with React."), "negotiable", 5, "NOT_NEGOTIABLE"],
  ["a verb that is also a library", text("React within an hour; react quietly."), "negotiable", 10],
  ["a name that is part of a word", text("The redistribution of postgresqlish goods."), "negotiable", 10],
  ["nobody and no purpose", { description: "Passwords can be reset." }, "valuable", 0, "VALUE_UNCLEAR"],
  ["no purpose", { description: "As a customer, I want to reset my password." }, "valuable", 7.5, "VALUE_UNCLEAR"],
  [
    "as a result is nobody",
    { description: "As a result, so that one can log in again." },
    "valuable",
    7.5,
    "VALUE_UNCLEAR",
  ],
  [
    "so that, and then nothing",
    { description: "As a customer, I want a reset so that" },
    "valuable",
    7.5,
    "VALUE_UNCLEAR",
  ],
  ["in order to", { description: "As an admin I need a list in order to clean up." }, "valuable", 15],
  ["one vague word", text("Send several mails."), "estimable", 6.7, "AMBIGUOUS"],
  ["three of them", text("Send several mails, maybe fast."), "estimable", 0, "AMBIGUOUS"],
  ["a vague word in a criterion", criterion("Given a, when b, then c etc."), "estimable", 6.7, "AMBIGUOUS"],
  ["a gap", text("TODO: the wording."), "estimable", 6.7, "AMBIGUOUS"],
  ["a list of things to do", text("It shows my todo list."), "estimable", 10],
  ["words that contain vague ones", text("Breakfast, steadfast, unappropriated."), "estimable", 10],
  ["no description", { description: " …" }, "small", 0, "DESC_MISSING"],
  ["a long description", { description: words(300) }, "small", 5, "TOO_LARGE"],
  ["a very long one", { description: words(500) }, "small", 0, "TOO_LARGE"],
  ["ten criteria", { criteria: Array(10).fill(GOOD.criteria[0]) }, "small", 5, "TOO_LARGE"],
  ["thirteen criteria", { criteria: Array(13).fill(GOOD.criteria[0]) }, "small", 0, "TOO_LARGE"],
  [
    "an outcome that says nothing",
    criterion("Given a user, when they log in, then it works as expected"),
    "testable",
    0,
    "NOT_TESTABLE",
  ],
  ["a plain sentence with an outcome", criterion("The list shows the newest entry first"), "testable", 10],
  ["one of two without an outcome", criterion("The list shows names", "Good looks"), "testable", 5, "NOT_TESTABLE"],
  ["a title of one word", { title: "Passwordresetting" }, "clarity", 0, "TITLE_LENGTH"],
  ["a short title", { title: "A reset" }, "clarity", 0, "TITLE_LENGTH"],
  ["a long title", { title: words(30) }, "clarity", 0, "TITLE_LENGTH"],
];

describe("each part", () => {
  const cases = ROWS.map(([what, story, part, points, code]) => ({ what, story, part, points, code }));
  it.each(cases)("$what", ({ story, part, points, code }) => {
    expect(partOf(story, part)).toBe(points);
    const told = scoreStory({ ...GOOD, ...story }).findings.filter((finding) => finding.part === part);
    expect(told.map((finding) => finding.code)).toEqual(code === undefined ? [] : [code]);
  });

  it("tells by number which criteria, and what the vague words leave open", () => {
    const { findings } = scoreStory({ ...GOOD, criteria: ["Fast", GOOD.criteria[0] ?? "", "Nice"] });
    const said = findings.map(({ message }) => message).join("\n");
    expect(said).toContain("Criteria 1, 3: write what is given");
    expect(said).toContain('"Fast" (how fast, measured how?)');
  });
});

describe("a mark that is not answered yet", () => {
  it("earns nothing, costs nothing, and is told", () => {
    const marked = { ...GOOD, description: `${GOOD.description} [? Given several things, then]` };
    expect(scoreStory(marked).score).toBe(100);
    expect(codesOf(marked)).toEqual(["OPEN_QUESTION"]);
    expect(partOf({ description: "[? As a …, I want …, so that …]" }, "valuable")).toBe(0);
    expect(partOf({ criteria: ["Given [? what], when [? what], then [? what is shown]."] }, "testable")).toBe(0);
  });
});

describe("readiness", () => {
  it("is the points beside what the level asks, in the form of a story", async () => {
    const table = await loadRigor();
    const story = { ...GOOD, criteria: ["Links expire"] };
    const ready = readiness(story, "L2", table);
    expect(readinessSchema.parse(ready)).toEqual(ready);
    expect([ready.score, ready.threshold]).toEqual([75, 85]);
    expect(readiness(story, "L0", table).threshold).toBe(50);
  });

  it("of the longest story there may be is soon told", () => {
    for (const phrase of ["as a ", "depends on ", "several ", "[? a ", "given a when b then c ", "a/", "React. "]) {
      const full = { title: "Long", description: phrase.repeat(20_000 / phrase.length), criteria: [phrase.repeat(80)] };
      const start = performance.now();
      scoreStory(full);
      expect(performance.now() - start).toBeLessThan(1_500);
    }
  });

  it("is 0 to 100 for any text", () => {
    fc.assert(
      fc.property(anyStory, (story) => {
        const { score, findings } = scoreStory(story);
        expect(score >= 0 && score <= 100).toBe(true);
        if (score < 100) expect(findings.length).toBeGreaterThan(0);
      }),
    );
  });
});
