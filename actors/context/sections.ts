// What each scope says of a story, as sections of a text: a heading that always stands, and items that may be left out one by one.
// It is not which scopes there are (scopes.ts) nor what fits (context-text.ts).
//
// SE1  A section says what its scope names and nothing else: what is forbidden to a role stands in no section that it is given.
// SE2  No text has a secret in it, also where something else wrote to the graph.

import { redactText } from "../../tools/index.ts";
import type { Entity, Value } from "./graph.ts";
import { localId } from "./schema.ts";
import type { Scope } from "./scopes.ts";
import { type DecisionView, type Properties, relevantDecisions, type StoryView, type TaskView } from "./story-view.ts";

export interface Item {
  readonly text: string;
  /** What is missing when it is left out: "task t7", "the description". */
  readonly name: string;
}

export interface Section {
  readonly scope: Scope;
  readonly heading: string;
  /** The most important first. */
  readonly items: readonly Item[];
}

/** Whom a text is for. */
export interface Reader {
  readonly role: string;
  /** Key of the task in hand. */
  readonly task: string | undefined;
}

type Make = (view: StoryView, reader: Reader) => Omit<Section, "scope">;

const MAKERS: Readonly<Record<Scope, Make>> = {
  CASE_HEADER: caseHeader,
  PLAN_HEADER: planHeader,
  SUBTASKS_ROLE: (view, { role }) => ({ heading: `## Tasks of ${role}`, items: ownTasks(view, role).map(taskInFull) }),
  SUBTASKS_ROLE_MIN: (view, { role }) => ({
    heading: `## Tasks of ${role}, in short`,
    items: ownTasks(view, role).map(taskLine),
  }),
  SUBTASKS_ALL: ({ tasks }) => ({ heading: "## All tasks", items: tasks.map(taskInFull) }),
  SUBTASKS_ALL_MIN: ({ tasks }) => ({ heading: "## All tasks, in short", items: tasks.map(taskLine) }),
  DECISIONS_RELEVANT_ROLE: (view, { role, task }) => ({
    heading: `## Decisions that bear on ${role}`,
    items: relevantDecisions(view, role, task).map(decisionInFull),
  }),
  DECISIONS_GLOBAL: ({ decisions }) => ({ heading: "## All decisions", items: decisions.map(decisionInFull) }),
  DECISIONS_GLOBAL_MIN: ({ decisions }) => ({
    heading: "## All decisions, in short",
    items: decisions.map(decisionLine),
  }),
  DEPS_RELEVANT: dependencies,
  DEPS_DECISIONS: ({ relations }) => ({
    heading: "## How decisions hang together",
    items: relations.map(({ from, to, type, toTitle, reason }) =>
      item(
        `- ${localId(from)} ${RELATION[type] ?? type} ${localId(to)} (${toTitle})${because(reason)}`,
        `${localId(from)} to ${localId(to)}`,
      ),
    ),
  }),
  MILESTONES: ({ milestones }) => ({ heading: "## What happened last", items: milestones.map(milestoneLine) }),
  SUMMARY_LAST: (view, { task }) => ({ heading: "## Last summary", items: summaries(view, task) }),
};

const RELATION: Readonly<Record<string, string>> = {
  DEPENDS_ON: "rests on",
  SUPERSEDES: "replaces",
  RELATES_TO: "belongs to",
};

export function sectionOf(scope: Scope, view: StoryView, reader: Reader): Section {
  const { heading, items } = MAKERS[scope](view, reader);
  return {
    scope,
    heading: redactText(heading),
    items: items.map(({ text, name }) => ({ text: redactText(text), name: redactText(name) })),
  };
}

const item = (text: string, name: string): Item => ({ text, name });
const words = (value: Value | undefined): string => (Array.isArray(value) ? value.join(", ") : String(value ?? ""));
const because = (reason: string): string => (reason === "" ? "" : `: ${reason}`);

function caseHeader(view: StoryView, { task }: Reader): Omit<Section, "scope"> {
  const { story, epic, project } = view;
  const within = [
    ...(project?.title === undefined ? [] : [`project "${words(project.title)}"`]),
    ...(epic?.title === undefined ? [] : [`epic "${words(epic.title)}"`]),
  ];
  const lines = [
    `# Story ${localId(view.id)}: ${words(story.title)}`,
    `State ${words(story.state)}, rigor ${words(story.rigor)}${within.length === 0 ? "." : `; ${within.join(", ")}.`}`,
  ];
  const inHand = view.tasks.find(({ id }) => id === task);
  if (inHand !== undefined) lines.push("", `## The task in hand`, taskInFull(inHand).text);
  const criteria = Array.isArray(story.criteria) ? story.criteria : [];
  const items = criteria.map((criterion, index) =>
    item(`- criterion ${index + 1}: ${criterion}`, `criterion ${index + 1}`),
  );
  const description = words(story.description);
  if (description !== "") items.push(item(description, "the description"));
  return { heading: lines.join("\n"), items };
}

function planHeader({ plan }: StoryView): Omit<Section, "scope"> {
  if (plan?.title === undefined) return { heading: "## Plan: none yet", items: [] };
  const rationale = words(plan.rationale);
  return {
    heading: `## Plan: ${words(plan.title)} (${words(plan.status)})`,
    items: rationale === "" ? [] : [item(rationale, "the plan's reasons")],
  };
}

const ownTasks = ({ tasks }: StoryView, role: string) => tasks.filter(({ properties }) => properties.role === role);

const statusOf = (properties: Properties): string => words(properties.status) || "pending";

const taskLine = ({ id, properties }: TaskView): Item =>
  item(
    `- ${localId(id)} [${statusOf(properties)}] ${words(properties.role)}: ${words(properties.title)}`,
    `task ${localId(id)}`,
  );

function taskInFull(task: TaskView): Item {
  const { text, error, summary } = task.properties;
  const lines = [taskLine(task).text];
  if (words(text) !== "") lines.push(`  ${words(text).replaceAll("\n", "\n  ")}`);
  if (task.reason !== "") lines.push(`  Why: ${task.reason}`);
  if (words(error) !== "") lines.push(`  Last error: ${words(error)}`);
  if (words(summary) !== "") lines.push(`  Last said: ${words(summary)}`);
  return item(lines.join("\n"), `task ${localId(task.id)}`);
}

const decisionLine = ({ id, properties }: DecisionView): Item =>
  item(`- ${localId(id)} [${words(properties.status)}]: ${words(properties.title)}`, `decision ${localId(id)}`);

function decisionInFull(decision: DecisionView): Item {
  const { text, decidedBy } = decision.properties;
  const lines = [decisionLine(decision).text];
  if (words(text) !== "") lines.push(`  ${words(text).replaceAll("\n", "\n  ")}`);
  if (words(decidedBy) !== "") lines.push(`  Decided by ${words(decidedBy)}.`);
  if (decision.affects.length > 0) lines.push(`  Bears on ${decision.affects.map(localId).join(", ")}.`);
  return item(lines.join("\n"), `decision ${localId(decision.id)}`);
}

function dependencies(view: StoryView, { role, task }: Reader): Omit<Section, "scope"> {
  const byId = new Map(view.tasks.map((each) => [each.id, each]));
  const isOwn = ({ id, properties }: TaskView) => (task === undefined ? properties.role === role : id === task);
  const named = (id: string) => {
    const { title, ...rest } = byId.get(id)?.properties ?? {};
    return `${localId(id)} "${words(title)}" [${statusOf(rest)}]`;
  };
  const waits = view.tasks.flatMap((each) =>
    each.needs
      .filter((need) => isOwn(each) || view.tasks.some((other) => other.id === need && isOwn(other)))
      .map((need) =>
        item(`- ${localId(each.id)} waits for ${named(need)}`, `${localId(each.id)} waits for ${localId(need)}`),
      ),
  );
  return { heading: "## What waits for what", items: waits };
}

function milestoneLine({ properties }: Entity): Item {
  const at = new Date(Number(properties.at ?? 0)).toISOString();
  const detail = words(properties.detail);
  return item(`- ${at} ${words(properties.title)}${because(detail)}`, `what happened at ${at}`);
}

function summaries({ story, tasks }: StoryView, task: string | undefined): readonly Item[] {
  const ofTask = words(tasks.find(({ id }) => id === task)?.properties.summary);
  const ofStory = words(story.summary);
  return [
    ...(ofTask === "" || task === undefined ? [] : [item(`Task ${localId(task)}: ${ofTask}`, "the task's summary")]),
    ...(ofStory === "" ? [] : [item(`Story: ${ofStory}`, "the story's summary")]),
  ];
}
