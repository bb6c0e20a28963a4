// The rules for a story, one function each: its criteria, the six letters of INVEST, its title. Pure, by words (SW1).
// It is not how much each counts (story-score.ts). English only: in another language the rules find less than there is.

import type { Finding, Story } from "../planning/story.ts";
import { gherkinOf, isComplete } from "./gherkin.ts";
import { vagueIn } from "./vague-words.ts";
import { isPhraseAt, openQuestions, phraseIndex, unmarked, type Word, wordsOf } from "./words.ts";

/** What the coach reads of a story. */
export type StoryText = Pick<Story, "title" | "description" | "criteria">;

/** The same, in words. */
export interface StoryWords {
  readonly text: StoryText;
  readonly title: readonly Word[];
  readonly description: readonly Word[];
  readonly criteria: readonly (readonly Word[])[];
}

export const readStory = (text: StoryText): StoryWords => ({
  text,
  title: wordsOf(text.title),
  description: wordsOf(text.description),
  criteria: text.criteria.map(wordsOf),
});

/** `share`: 0 to 1 of the part's points. */
export interface Checked {
  readonly share: number;
  readonly findings: readonly Omit<Finding, "part">[];
}

export type Check = (story: StoryWords) => Checked;

const fine: Checked = { share: 1, findings: [] };
const found = (share: number, code: string, message: string): Checked => ({ share, findings: [{ code, message }] });

/** Things named in one message. */
const NAMED_MAX = 5;

function listed(things: readonly string[]): string {
  const named = things.slice(0, NAMED_MAX).join(", ");
  return things.length > NAMED_MAX ? `${named} and ${things.length - NAMED_MAX} more` : named;
}

const unique = (things: readonly string[]) => [...new Set(things)];

/** Criteria that fail a test, by their numbers: "Criteria 1, 3". */
function numbered(story: StoryWords, isFine: (criterion: string, words: readonly Word[]) => boolean) {
  const wrong = story.text.criteria.flatMap((text, index) =>
    isFine(text, story.criteria[index] ?? []) ? [] : [String(index + 1)],
  );
  const share = 1 - wrong.length / Math.max(1, story.criteria.length);
  return {
    share,
    wrong: `${wrong.length === 1 ? "Criterion" : "Criteria"} ${listed(wrong)}`,
    isFine: wrong.length === 0,
  };
}

/** Half for having them, half for their form. */
export const criteria: Check = (story) => {
  if (story.criteria.every((words) => words.length === 0)) {
    return found(0, "AC_MISSING", "There are no acceptance criteria; write at least one: Given …, when …, then ….");
  }
  const { share, wrong, isFine } = numbered(story, (text) => isComplete(gherkinOf(text)));
  if (isFine) return fine;
  const message = `${wrong}: write what is given, when what happens, then what is to be seen, in this order.`;
  return found(0.5 + share / 2, "AC_NO_GHERKIN", message);
};

/** Where they begin a sentence, it is the story that waits. */
const WAITS_ALONE: ReadonlySet<string> = new Set(["depends on", "blocked by", "prerequisite"]);
const WAITS = ["depends on", "depend on", "dependent on", "blocked by", "waits for", "waiting for", "prerequisite"];
/** What a story can wait for, in one word. "The price depends on the country" is about the product. */
const OF_PLANNING: ReadonlySet<string> = new Set([
  ...["story", "stories", "epic", "epics", "ticket", "tickets", "issue", "issues", "task", "tasks"],
  ...["team", "teams", "sprint", "release"],
]);
const KEY = /^[a-z]{1,10}-\d+$/;
const NOT: ReadonlySet<string> = new Set(["not", "no", "never", "doesn't", "doesn’t", "isn't", "isn’t", "without"]);

export const independent: Check = (story) => {
  const waits = [story.title, story.description, ...story.criteria].flatMap((words) =>
    WAITS.filter((phrase) =>
      words.some((_, index) => isPhraseAt(words, index, phrase) && waitsAt(words, index, phrase)),
    ),
  );
  if (waits.length === 0) return fine;
  const message = `It says "${waits[0]}": cut the story so that it can be done by itself, or plan the other one first.`;
  return found(0, "NOT_INDEPENDENT", message);
};

function waitsAt(words: readonly Word[], index: number, phrase: string): boolean {
  const sentence = words.slice(0, index + 1).findLastIndex(({ startsSentence }) => startsSentence);
  const before = words.slice(Math.max(sentence, index - 3), index).map(({ lower }) => lower);
  if (before.some((word) => NOT.has(word))) return false;
  const after = words.slice(index + phrase.split(" ").length).slice(0, 5);
  const begins = words[index]?.startsSentence === true && WAITS_ALONE.has(phrase);
  const isOfStory = begins || before.includes("story");
  return isOfStory || after.some(({ lower }) => OF_PLANNING.has(lower) || KEY.test(lower));
}

const TECHNOLOGIES: ReadonlySet<string> = new Set([
  ...["postgresql", "postgres", "mysql", "mariadb", "sqlite", "mongodb", "redis", "valkey", "neo4j", "dynamodb"],
  ...["kafka", "rabbitmq", "nats", "graphql", "grpc", "websocket", "websockets", "kubernetes", "docker", "terraform"],
  ...["typescript", "javascript", "python", "java", "kotlin", "golang", "django", "flask", "rails", "nodejs", "jquery"],
  ...["elasticsearch", "nginx", "jwt", "sql", "mvc", "orm", "webpack", "tailwind"],
]);
/** These are also plain words: only with a capital, and not where every word has one. */
const CAPITALISED: ReadonlySet<string> = new Set(["React", "Angular", "Vue", "Express", "Rust", "Swift", "Svelte"]);
const CONSTRUCTION = [
  ...["stored procedure", "foreign key", "database table", "database column", "microservice", "microservices"],
  ...["singleton", "design pattern", "cron job", "linked list", "hash map"],
];
/** A file's path, or a call. */
const CODE = /(?<![\w/.-])[\w/.-]{1,200}\.(?:ts|js|mjs|py|go|java|rs|sql|rb|cs|cpp)\b|\b\w{1,100}\(\)/g;

/** Negotiable: it says what is wanted, and leaves open how it is made. */
export const negotiable: Check = ({ text, title, description }) => {
  const named = [title, description].flatMap((words) => [
    ...words.filter(isTechnology).map((word) => word.text),
    ...CONSTRUCTION.filter((phrase) => phraseIndex(words, phrase) >= 0),
  ]);
  const code = [text.title, text.description].flatMap((each) => unmarked(each).match(CODE) ?? []);
  const how = unique([...named, ...code]);
  if (how.length === 0) return fine;
  const message = `It prescribes how (${listed(how)}): say what is needed and why, and leave the means to the plan.`;
  return found(how.length === 1 ? 0.5 : 0, "NOT_NEGOTIABLE", message);
};

const isTechnology = ({ text, lower, startsSentence }: Word) =>
  TECHNOLOGIES.has(lower) || (CAPITALISED.has(text) && !startsSentence);

const WANTS = ["i want", "i need", "i can", "i would", "i'd", "i’d", "we want", "we need", "we can", "we would"];

/** Valuable: for whom, and what for. */
export const valuable: Check = ({ title, description }) => {
  const texts = [title, description];
  const who = texts.some(saysWho);
  const why = texts.some((words) => ["so that", "in order to"].some((phrase) => isFollowed(words, phrase)));
  const missing = [...(who ? [] : ["who wants it (as a …, I want …)"]), ...(why ? [] : ["what for (so that …)"])];
  if (missing.length === 0) return fine;
  return found(1 - missing.length / 2, "VALUE_UNCLEAR", `It does not say ${missing.join(", nor ")}: add that.`);
};

/** "As a buyer, I want …"; not "as a result". */
function saysWho(words: readonly Word[]): boolean {
  const as = words.findIndex((_, index) =>
    ["as a", "as an", "as the"].some((phrase) => isPhraseAt(words, index, phrase)),
  );
  return as >= 0 && words.some((_, at) => at > as + 2 && WANTS.some((phrase) => isPhraseAt(words, at, phrase)));
}

/** A reason is two words at least. */
function isFollowed(words: readonly Word[], phrase: string): boolean {
  const at = phraseIndex(words, phrase);
  return at >= 0 && words.length >= at + phrase.split(" ").length + 2;
}

export const estimable: Check = (story) => {
  const vague = [story.title, story.description, ...story.criteria].flatMap(vagueIn);
  if (vague.length === 0) return fine;
  const asked = unique(vague.map(({ text, question }) => `"${text}" (${question}?)`));
  return found(Math.max(0, 1 - vague.length / 3), "AMBIGUOUS", `Say what is meant by ${listed(asked)}.`);
};

/** Words and criteria of a story that fits, and of one that may just fit. */
const SMALL = { words: 200, criteria: 8 };
const LARGE = { words: 400, criteria: 12 };

export const small: Check = ({ description, criteria: all }) => {
  if (description.length === 0) return found(0, "DESC_MISSING", "It has no description: say what is wanted, and why.");
  const size = { words: description.length, criteria: all.length };
  if (fits(size, SMALL)) return fine;
  const message = `It has ${size.words} words and ${size.criteria} criteria; split it: at most ${SMALL.words} and ${SMALL.criteria} fit one story.`;
  return found(fits(size, LARGE) ? 0.5 : 0, "TOO_LARGE", message);
};

const fits = (size: typeof SMALL, bound: typeof SMALL) => size.words <= bound.words && size.criteria <= bound.criteria;

/** Verbs and things by which a plain sentence says what can be seen. */
const OUTCOMES: ReadonlySet<string> = new Set([
  ...[
    "returns",
    "return",
    "returned",
    "shows",
    "show",
    "shown",
    "displays",
    "displayed",
    "prints",
    "printed",
    "answers",
  ],
  ...["responds", "contains", "equals", "appears", "disappears", "fails", "rejects", "rejected", "refuses", "refused"],
  ...["accepted", "sends", "sent", "receives", "received", "saves", "saved", "stored", "creates", "created", "deleted"],
  ...[
    "removed",
    "updated",
    "redirected",
    "logged",
    "sorted",
    "visible",
    "hidden",
    "enabled",
    "disabled",
    "sees",
    "see",
  ],
  ...["must", "shall", "status", "message", "error"],
]);
/** What is said when nothing is said: "then it works as expected". */
const EMPTY: ReadonlySet<string> = new Set([
  ...["it", "works", "work", "correctly", "properly", "well", "ok", "okay", "fine", "good", "everything", "all", "is"],
  ...[
    "as",
    "expected",
    "should",
    "will",
    "the",
    "feature",
    "system",
    "application",
    "a",
    "an",
    "be",
    "and",
    "successful",
  ],
]);

export const testable: Check = (story) => {
  if (story.criteria.every((words) => words.length === 0)) {
    return found(0, "NOT_TESTABLE", "Without acceptance criteria nobody can tell when it is done: write them.");
  }
  const { share, wrong, isFine } = numbered(story, isObservable);
  return isFine
    ? fine
    : found(share, "NOT_TESTABLE", `${wrong}: say what can be seen or measured when it is fulfilled.`);
};

function isObservable(criterion: string, words: readonly Word[]): boolean {
  const gherkin = gherkinOf(criterion);
  const outcome = gherkin.has("when") ? gherkin.get("then") : undefined;
  if (outcome !== undefined) return outcome.words.some(({ lower }) => !EMPTY.has(lower));
  return words.some(({ lower }) => OUTCOMES.has(lower));
}

const TITLE_CHARS = { min: 10, max: 100 };

export const clear: Check = ({ text, title }) => {
  const { length } = text.title.trim();
  if (title.length >= 2 && length >= TITLE_CHARS.min && length <= TITLE_CHARS.max) return fine;
  const message = `The title has ${length} characters: name the outcome in ${TITLE_CHARS.min} to ${TITLE_CHARS.max}, in two words at least.`;
  return found(0, "TITLE_LENGTH", message);
};

/** Marks that nobody has answered yet. They cost nothing (SW2), and are told. */
export function open({ title, description, criteria: all }: StoryText): readonly Omit<Finding, "part">[] {
  const questions = unique([title, description, ...all].flatMap(openQuestions));
  if (questions.length === 0) return [];
  return [{ code: "OPEN_QUESTION", message: `Answer what is marked [? …]: ${listed(questions)}.` }];
}
