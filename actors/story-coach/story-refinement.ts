// A better draft of a story, and templates for new ones. Pure.
//
// SR1  The user's words stay, in their order and their case. What the coach adds stands in marks (words.ts), which a person replaces.
// SR2  A refined story never scores lower: a step that would lower it is not taken.
// SR3  Refining twice changes nothing more.

import { fail } from "../errors.ts";
import { CRITERIA_MAX, TEXT_MAX, TITLE_MAX } from "../planning/story.ts";
import { gherkinOf, isComplete } from "./gherkin.ts";
import { readStory, type StoryText, valuable } from "./story-checks.ts";
import { scoreStory } from "./story-score.ts";
import { vagueIn } from "./vague-words.ts";
import { mark, openQuestions, wordsOf } from "./words.ts";

/** Longest criterion, in characters. */
const CRITERION_MAX = 2_000;

/** What each step adds is seen by the next. */
export function refineStory({ title, description, criteria }: StoryText): StoryText {
  const start: StoryText = { title, description, criteria };
  return [gather, split, complete, purpose, question].reduce((story, step) => better(story, step(story)), start);
}

function better(before: StoryText, after: StoryText): StoryText {
  const fits =
    after.description.length <= TEXT_MAX &&
    after.criteria.length <= CRITERIA_MAX &&
    after.criteria.every(({ length }) => length <= CRITERION_MAX);
  return fits && scoreStory(after).score >= scoreStory(before).score ? after : before;
}

/** Criteria that stand in the description of a story that has none. They stay there too: nothing is taken away. */
function gather(story: StoryText): StoryText {
  if (story.criteria.length > 0) return story;
  const criteria = story.description
    .split("\n")
    .map(bare)
    .filter((line) => isComplete(gherkinOf(line)));
  return { ...story, criteria };
}

/** Several criteria in one become one each: list items, lines, sentences. One in Gherkin stays whole, several in a row are parted. */
const split = (story: StoryText): StoryText => ({ ...story, criteria: story.criteria.flatMap(partsOf) });

function partsOf(criterion: string): readonly string[] {
  const scenarios = pieces(criterion, /(?<=[.!?;\n])\s*(?=given\b)/i);
  if (scenarios.length > 1 && scenarios.every((piece) => isComplete(gherkinOf(piece)))) return scenarios;
  if (gherkinOf(criterion).size > 0 || openQuestions(criterion).length > 0) return [criterion];
  const parts = pieces(criterion, /\n+|;\s+|(?<=[.!?])\s+(?=\p{Lu})/u);
  // One word alone is the tail of a sentence, not a criterion.
  return parts.length > 1 && parts.every((part) => wordsOf(part).length > 1) ? parts : [criterion];
}

const pieces = (text: string, at: RegExp): readonly string[] =>
  text
    .split(at)
    .map(bare)
    .filter((piece) => piece !== "");

/** Without the bullet or number of a list. */
const bare = (line: string): string => line.trim().replace(/^(?:[-*+]|\d{1,3}[.)])\s+/, "");

const GIVEN_ASKED = mark("Given which state");
const WHEN_ASKED = mark("when what happens");
const THEN_ASKED = mark("then what can be seen");
const ALL_ASKED = mark("Given which state, when what happens, then what can be seen");

/** Missing clauses of a criterion are asked for, where they belong. */
const complete = (story: StoryText): StoryText => ({ ...story, criteria: story.criteria.map(skeleton) });

function skeleton(criterion: string): string {
  const gherkin = gherkinOf(criterion);
  // A mark that is there already has been asked by an earlier turn (SR3).
  if (isComplete(gherkin) || openQuestions(criterion).length > 0) return criterion;
  if (gherkin.size === 0) return `${criterion} ${ALL_ASKED}`;
  const then = gherkin.get("then");
  let text = then === undefined ? `${criterion} ${THEN_ASKED}` : criterion;
  if (!gherkin.has("when")) {
    const at = then?.keyword.start ?? criterion.length;
    text = `${text.slice(0, at).trimEnd()} ${WHEN_ASKED} ${text.slice(at).trimStart()}`.trim();
  }
  return gherkin.has("given") ? text : `${GIVEN_ASKED} ${text}`;
}

/** Each vague word gets its question, right behind it. */
const question = (story: StoryText): StoryText => ({
  ...story,
  description: questioned(story.description),
  criteria: story.criteria.map(questioned),
});

function questioned(text: string): string {
  return vagueIn(wordsOf(text)).reduceRight((asked, { end, question: words }) => {
    const rest = asked.slice(end);
    return /^\s*\[\?/.test(rest) ? asked : `${asked.slice(0, end)} ${mark(words)}${rest}`;
  }, text);
}

const PURPOSE = mark("As a …, I want …, so that …");

/** A story that does not say for whom and what for is asked. */
function purpose(story: StoryText): StoryText {
  if (valuable(readStory(story)).share === 1 || openQuestions(story.description).length > 0) return story;
  const { description } = story;
  return { ...story, description: description.trim() === "" ? PURPOSE : `${description.trimEnd()}\n\n${PURPOSE}` };
}

/** Sides from which a goal can be cut into stories, each with what its criterion asks. */
const SIDES = [
  { side: "the shortest way that works", given: "the usual state", when: "the usual input" },
  { side: "what is refused, and how it is said", given: "the usual state", when: "which wrong input" },
  { side: "who may and who may not", given: "someone without the right", when: "they try it" },
  { side: "when there is nothing, or very much", given: "no data, or how much", when: "the usual input" },
  { side: "what is undone, and how", given: "something done by mistake", when: "someone takes it back" },
  { side: "how one sees that it works", given: "it has been in use for how long", when: "someone looks where" },
  { side: "when another part is down", given: "which part is down", when: "the usual input" },
  { side: "moving what exists already", given: "which old data", when: "the change is made" },
] as const;

export const SUGGESTIONS_MAX = SIDES.length;
const GOAL_MAX = TITLE_MAX - 50;

/**
 * Templates for `count` stories that cut a goal from different sides, in the user's words; everything else in them is a mark. Throws
 * FieldInvalid.
 */
export function suggestStories(goal: string, count: number): readonly StoryText[] {
  const words = goal.trim();
  if (words === "" || words.length > GOAL_MAX) {
    throw fail("FieldInvalid", `goal has ${words.length} characters: give it 1 to ${GOAL_MAX}.`, {
      data: { field: "goal" },
    });
  }
  if (!Number.isInteger(count) || count < 1 || count > SUGGESTIONS_MAX) {
    throw fail("FieldInvalid", `count is ${count}: ask for 1 to ${SUGGESTIONS_MAX} stories.`, {
      data: { field: "count" },
    });
  }
  return SIDES.slice(0, count).map(({ side, given, when }) => ({
    title: `${words}: ${side}`,
    description: `As a ${mark("who")}, I want ${words}, so that ${mark("what for")}.`,
    criteria: [`Given ${mark(given)}, when ${mark(when)}, then ${mark("what can be seen")}.`],
  }));
}
