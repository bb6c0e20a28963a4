// `flotilla story`: stories of a fleet, created, listed, shown, moved, their plans, and tasks that failed.
// What may happen to a story the planning service decides; how stories look: story-text.ts.
//
// ST1  Status 2: a guard stands against the move; what stands against it is on stderr, or in the JSON.

import { readFile } from "node:fs/promises";
import type { Command } from "commander";
import {
  type Client,
  type Plan,
  type PlanningApi,
  planningOf,
  type Rigor,
  rigorSchema,
  type Story,
} from "../actors/index.ts";
import type { Terminal } from "./cli.ts";
import { fail } from "./errors.ts";
import { repositoryPlace } from "./options.ts";
import { plain } from "./paper.ts";
import {
  addPersonFlags,
  commandsOf,
  type PersonFlags,
  type Place,
  personOf,
  print,
  type Run,
  recordedText,
} from "./service-command.ts";
import { blockedText, planLines, storiesText, storyText } from "./story-text.ts";

export interface CreateFlags extends PersonFlags {
  readonly title: string;
  readonly description?: string;
  readonly criterion?: readonly string[];
  readonly epic?: string;
  readonly rigor?: string;
  readonly repo?: string;
  readonly branch?: string;
  readonly id?: string;
  readonly key?: string;
}

export interface ListFlags {
  readonly state?: string;
  readonly epic?: string;
  readonly max?: string;
}

export interface MoveFlags extends PersonFlags {
  readonly feedback?: string;
  readonly version?: string;
}

export interface PlanFlags extends PersonFlags {
  readonly file?: string;
  readonly title?: string;
}

type Planning = Client<PlanningApi>;

const EXCERPT = 80;
const PAGE = 100;
const LIST_MAX = 200;

/** Adds the commands to the program. */
export function addStoryCommands(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const group = program.command("story").description("stories of the fleet: create, list, show, move, plan, retry");
  const add = commandsOf(group, terminal, done, planningOf);
  addPersonFlags(add("create", "a new story", createStory))
    .requiredOption("--title <text>", "what it is about")
    .option("--description <text>", "who wants what, and why")
    .option("--criterion <text>", "an acceptance criterion, in Gherkin; may be given many times", gather, [])
    .option("--epic <id>", "that it belongs to")
    .option("--rigor <level>", "L0 to L3 (default: L1)")
    .option("--repo <path-or-url>", "repository with its code: a folder or an address, as the services reach it")
    .option("--branch <name>", "of that repository (default: what its HEAD names)")
    .option("--id <id>", "of the story (default: one is made)")
    .option("--key <text>", "the same key again creates nothing");
  add("list", "stories, in the order of their ids", listStories)
    .option("--state <state>", "only those in this state")
    .option("--epic <id>", "only those of this epic")
    .option("--max <count>", `at most so many (default: ${LIST_MAX})`);
  add("show <id>", "a story with its plan, its tasks, and what may happen next", showStory);
  addPersonFlags(add("move <id> <event>", "make an event of a story happen: approve_scope, qa_passed, …", moveStory))
    .option("--feedback <text>", "why")
    .option("--version <number>", "only if the story is still at this version");
  addPersonFlags(add("plan <id>", "show a story's plan, or propose one from a file", planStory))
    .option("--file <path>", "Markdown: its list items are the plan's steps")
    .option("--title <text>", "of the plan (default: the story's)");
  addPersonFlags(add("retry <id> [task]", "have agents try a task again that failed, or all that did", retryTasks));
}

const gather = (value: string, before: readonly string[]): readonly string[] => [...before, value];

export const createStory: Run<Planning, CreateFlags> = async (planning, _, flags, place) => {
  const { title, description = "", criterion = [], epic, repo, branch, id, key } = flags;
  const story = await planning.createStory({
    by: personOf(flags),
    title,
    description,
    criteria: criterion,
    ...(flags.rigor !== undefined && { rigor: rigorOf(flags.rigor) }),
    ...(epic !== undefined && { epicId: epic }),
    ...(repo !== undefined && { repository: { url: repositoryPlace(repo), ...(branch !== undefined && { branch }) } }),
    ...(id !== undefined && { id }),
    ...(key !== undefined && { key }),
  });
  print(place, story, () => createdText(story));
  return 0;
};

function rigorOf(level: string): Rigor {
  const parsed = rigorSchema.safeParse(level.toUpperCase());
  if (parsed.success) return parsed.data;
  throw fail("OptionInvalid", `--rigor: expected L0, L1, L2 or L3, got ${JSON.stringify(level.slice(0, EXCERPT))}.`);
}

function createdText({ id, state, readiness: { score, threshold, findings } }: Story): string {
  const lacks = findings.map(({ code, message }) => `  ${plain(code)}: ${plain(message)}\n`).join("");
  const ready = `${Math.round(score)} of ${Math.round(threshold)} that it needs`;
  return `${plain(id)} is in ${plain(state)}; ready: ${ready}.\n${lacks}`;
}

export const listStories: Run<Planning, ListFlags> = async (planning, _, { state, epic, max }, place) => {
  const atMost = max === undefined ? LIST_MAX : wholeNumber("--max", max);
  const stories: Story[] = [];
  for (let after: string | undefined; stories.length < atMost; ) {
    const page = await planning.stories({
      ...(state !== undefined && { state }),
      ...(epic !== undefined && { epicId: epic }),
      ...(after !== undefined && { after }),
      max: Math.min(PAGE, atMost - stories.length),
    });
    stories.push(...page.stories);
    after = page.next;
    if (after === undefined) break;
  }
  print(place, stories, () => storiesText(stories, place.paper));
  return 0;
};

function wholeNumber(option: string, text: string): number {
  if (/^[1-9]\d{0,8}$/.test(text)) return Number(text);
  throw fail(
    "OptionInvalid",
    `${option}: expected a whole number from 1, got ${JSON.stringify(text.slice(0, EXCERPT))}.`,
  );
}

export const showStory: Run<Planning> = async (planning, [id = ""], _, place) => {
  const [story, available] = await Promise.all([planning.story(id), planning.available(id)]);
  print(place, { story, available }, () => storyText(story, available, place.paper));
  return 0;
};

export const moveStory: Run<Planning, MoveFlags> = async (planning, [storyId = "", event = ""], flags, place) => {
  const { feedback, version } = flags;
  const by = personOf(flags);
  const moved = await planning.transition({
    by,
    storyId,
    event,
    ...(feedback !== undefined && { feedback }),
    ...(version !== undefined && { expectedVersion: wholeNumber("--version", version) }),
  });
  const { id, state } = moved.story;
  if (moved.kind === "moved") {
    print(place, moved, () => `${plain(id)} is in ${plain(state)}. ${recordedText(by)}\n`);
    return 0;
  }
  if (place.json) print(place, moved, () => "");
  const why = blockedText(moved.blocked, place.paper);
  place.terminal.err.write(`flotilla: ${plain(event)} is blocked; ${plain(id)} stays in ${plain(state)}:\n${why}\n`);
  return 2;
};

export const planStory: Run<Planning, PlanFlags> = async (planning, [storyId = ""], flags, place) => {
  if (flags.file === undefined) {
    const { plan, title } = await planning.story(storyId);
    print(place, plan ?? null, () => planText(plan, title, place));
    return 0;
  }
  const text = await readPlan(flags.file);
  const title = flags.title ?? (await planning.story(storyId)).title;
  const { plan } = await planning.proposePlan({ by: personOf(flags), storyId, plan: { title, text } });
  print(place, plan ?? null, () => planText(plan, title, place));
  return 0;
};

/** A person gives a failed task, or all of them, another round of attempts; what it failed of goes with it. */
export const retryTasks: Run<Planning, PersonFlags> = async (planning, [storyId = "", taskId], flags, place) => {
  const by = personOf(flags);
  const { tasks } = await planning.story(storyId);
  const failed = tasks.filter(({ id, status }) => status === "failed" && (taskId === undefined || id === taskId));
  let story: Story | undefined;
  for (const { id, attempt, error } of failed) {
    const key = `retry ${id} ${attempt}`;
    const again = { by, key, storyId, taskId: id, attempt, status: "pending" } as const;
    story = await planning.taskChanged({ ...again, ...(error !== undefined && { error }) });
  }
  const what = taskId === undefined ? "No task" : `No task ${plain(taskId)}`;
  const text = () =>
    failed.length === 0
      ? `${what} of ${plain(storyId)} has failed.\n`
      : `${failed.map(({ id }) => plain(id)).join(", ")}: tried again. ${recordedText(by)}\n`;
  print(place, story ?? null, text);
  return failed.length === 0 ? 1 : 0;
};

const planText = (plan: Plan | undefined, title: string, { paper }: Place): string =>
  plan === undefined
    ? `No plan for "${plain(title)}" yet. Propose one: flotilla story plan ID --file PLAN.md\n`
    : `${planLines(plan, paper).join("\n")}\n`;

async function readPlan(file: string): Promise<string> {
  try {
    return await readFile(file, "utf8");
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw fail(
      "OptionInvalid",
      `--file: expected a file of Markdown, ${JSON.stringify(file)} cannot be read (${code}).`,
    );
  }
}
