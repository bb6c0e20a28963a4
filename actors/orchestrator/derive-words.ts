// What the words of one step say beside the work itself: who does it, when, how soon, how large, after what. Pure.
// It is not how steps are found (derive-list.ts) nor how names of steps are looked up (derive-tasks.ts).
//
// DW1  Words are read, never taken from what the agent is told; only the title is without tags.
// DW2  A number after "after" is a step only where nothing else can be meant: "retry after 3 seconds" is no dependency.

import { type TaskDraft, TITLE_MAX } from "../planning/story.ts";

export interface StepWords {
  readonly title: string;
  readonly role: string;
  readonly phase: TaskDraft["phase"];
  readonly priority: number;
  /** XL: it must be split. */
  readonly size: TaskDraft["size"] | "XL";
  /** Runs beside the step before it. */
  readonly parallel: boolean;
  /** Numbers or names of steps, as written; undefined: it says nothing about that. */
  readonly after: readonly string[] | undefined;
}

type Said = Partial<Omit<StepWords, "title" | "after">> & { readonly after?: readonly string[] };

const PRIORITY = 5;
const PRIORITIES: ReadonlyMap<string, number> = new Map(
  Object.entries({ p0: 9, urgent: 9, p1: 8, high: 8, p2: 6, p3: 4, low: 2, p4: 2 }),
);

export function stepWords(head: string, text: string, roles: readonly string[]): StepWords {
  const { said, title } = tagsOf(head, roles);
  const isDocs = (said.phase ?? (isAbout(title, DOCS_FIRST, DOCS_THINGS) ? "DOCS" : "BUILD")) === "DOCS";
  const isTest = !isDocs && roles.includes("QA") && isAbout(title, TEST_FIRST, TEST_THINGS);
  const sentences = sentencesOf(text);
  const names = new Set([...(said.after ?? []), ...(sentences ?? [])]);
  const after = said.after === undefined && sentences === undefined ? undefined : [...names];
  return {
    title: clipped(title === "" ? head : title),
    role: said.role ?? (isTest ? "QA" : usualRole(roles)),
    phase: isDocs ? "DOCS" : "BUILD",
    priority: said.priority ?? PRIORITY,
    size: said.size ?? sizeOf(text),
    parallel: said.parallel ?? false,
    after,
  };
}

/** Who does what nobody is named for. */
export const usualRole = (roles: readonly string[]): string => (roles.includes("DEV") ? "DEV" : (roles[0] ?? "DEV"));

/** [tag] but not [text](address); (tag). */
const GROUP = /\[([^[\]]{1,200})\](?!\()|\(([^()]{1,200})\)/g;
const PREFIX = /^(\w{2,40}):\s+/;

/** The tags of a head, [QA] (after 2) (parallel), and the head without them. What is no tag stays. */
function tagsOf(head: string, roles: readonly string[]): { readonly said: Said; readonly title: string } {
  const tags: Said[] = [];
  const withoutGroups = head.replace(GROUP, (whole, square: string | undefined, round: string | undefined) => {
    const tag = groupTag(square ?? round ?? "", (part) =>
      square === undefined ? roundTag(part, roles) : squareTag(part, roles),
    );
    if (tag !== undefined) tags.push(tag);
    return tag === undefined ? whole : "";
  });
  const bare = withoutGroups.replaceAll("**", "").replace(/\s+/g, " ").trim();
  const role = PREFIX.exec(bare)?.[1];
  const hasPrefix = role !== undefined && roles.includes(role);
  if (hasPrefix) tags.push({ role });
  const start = /^after \d{1,3}(?=\s*[,:])/i.exec(bare)?.[0];
  if (start !== undefined) tags.push({ after: namesOf(start.slice("after ".length)) });
  return { said: Object.assign({}, ...tags) as Said, title: hasPrefix ? bare.replace(PREFIX, "") : bare };
}

type ReadTag = (tag: string) => Said | undefined;

/** "QA", "QA, M", "after 1, 2; parallel": a group is tags as a whole or not at all. */
function groupTag(content: string, read: ReadTag): Said | undefined {
  for (const separator of [/[;,]/, /;/]) {
    const tags = content.split(separator).map((part) => read(part.trim()));
    if (tags.every((tag) => tag !== undefined)) return Object.assign({}, ...tags) as Said;
  }
  return undefined;
}

/** Between round brackets people also put plain words: there only what can be nothing else is a tag. */
function roundTag(tag: string, roles: readonly string[]): Said | undefined {
  if (roles.includes(tag)) return { role: tag };
  if (/^(?:in )?parallel(?: (?:with|to) [^\n]*)?$/i.test(tag)) return { parallel: true };
  const names = AFTER_TAG.exec(tag)?.[1] ?? AFTER_NUMBERS.exec(tag)?.[1];
  return names === undefined ? undefined : { after: namesOf(names) };
}

function squareTag(tag: string, roles: readonly string[]): Said | undefined {
  const lower = tag.toLowerCase();
  const role = roles.find((each) => each.toLowerCase() === lower.replace(/^role:\s*/, ""));
  if (role !== undefined) return { role };
  if (/^(?:docs?|documentation)$/.test(lower)) return { phase: "DOCS" };
  const size = /^(?:size:?\s*)?(s|m|l|xl)$/.exec(lower)?.[1]?.toUpperCase();
  // A lone small letter in brackets is a footnote.
  if (size !== undefined && (tag !== lower || lower.startsWith("size"))) return { size: size as StepWords["size"] };
  const priority = /^(?:priority:?\s*)?(\w+)$/.exec(lower)?.[1] ?? "";
  const points = PRIORITIES.get(priority) ?? (/^priority:?\s*\d$/.test(lower) ? Number(priority) : undefined);
  return points === undefined ? roundTag(tag, roles) : { priority: points };
}

const NUMBERS = String.raw`#?\d{1,3}(?:(?:\s*,\s*|\s*&\s*|\s+and\s+)#?\d{1,3})*`;
const AFTER_TAG = /^(?:after|depends on|requires):\s*(.+)$/i;
const AFTER_NUMBERS = new RegExp(
  String.raw`^(?:after|depends on)\s+((?:(?:steps?|tasks?|items?)\s+)?${NUMBERS})$`,
  "i",
);
const AFTER_STEP = new RegExp(String.raw`\b(?:after|depends on)\s+(?:steps?|tasks?)\s+(${NUMBERS})\b`, "gi");
/** With its colon it may stand anywhere; it ends with the line. */
const DEPENDS = /\bdepends on:[ \t]*([^\n;()[\]]{1,500})/gi;

/** Dependencies in sentences (DW2); undefined where none speaks of them. */
function sentencesOf(text: string): readonly string[] | undefined {
  const found = [...text.matchAll(AFTER_STEP), ...text.matchAll(DEPENDS)];
  return found.length === 0 ? undefined : found.flatMap(([, names = ""]) => namesOf(names));
}

const NOTHING = /^(?:none|nothing|-|–|—)?$/i;

const namesOf = (names: string): readonly string[] =>
  names
    .split(/\s*[,&]\s*|\s+and\s+/)
    .map((name) => name.trim().replace(/^(?:(?:steps?|tasks?|items?)\s+)?#?(?=\d+$)/i, ""))
    .map((name) => name.replace(/^["'`]+|["'`.]+$/g, ""))
    .filter((name) => !NOTHING.test(name));

const TEST_FIRST: ReadonlySet<string> = new Set(["test", "tests", "qa"]);
const TEST_THINGS: ReadonlySet<string> = new Set(["tests"]);
const DOCS_FIRST: ReadonlySet<string> = new Set(["document", "documentation", "docs"]);
const DOCS_THINGS: ReadonlySet<string> = new Set(["docs", "documentation", "readme", "changelog", "manual", "guide"]);
const MAKES: ReadonlySet<string> = new Set([
  "write",
  "add",
  "create",
  "extend",
  "update",
  "improve",
  "complete",
  "revise",
]);
const PREPOSITION = /^(?:to|with|for|of|and|in|on|from|that|so|as)$/;
/** "some more end-to-end tests" */
const OBJECT_WORDS_MAX = 5;

/** Whether a title is about `things`: "Test …", "Write unit tests for …"; not "Add a parser with tests", "Add documentation upload". */
function isAbout(title: string, first: ReadonlySet<string>, things: ReadonlySet<string>): boolean {
  const [verb = "", ...rest] = title.toLowerCase().match(/[\p{L}\p{N}()]+/gu) ?? [];
  if (first.has(verb)) return true;
  const end = rest.findIndex((word) => PREPOSITION.test(word));
  const object = end < 0 ? rest : rest.slice(0, end);
  return MAKES.has(verb) && object.length <= OBJECT_WORDS_MAX && things.has(object.at(-1) ?? "");
}

/** By words: what a short sentence says is small. */
function sizeOf(text: string): TaskDraft["size"] {
  const words = text.split(/\s+/).length;
  if (words <= 60) return "S";
  return words <= 200 ? "M" : "L";
}

export function clipped(title: string): string {
  if (title.length <= TITLE_MAX) return title;
  const cut = title.slice(0, TITLE_MAX - 1);
  const space = cut.lastIndexOf(" ");
  return `${(space > TITLE_MAX / 2 ? cut.slice(0, space) : cut).trimEnd()}…`;
}
