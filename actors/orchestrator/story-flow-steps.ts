// What shall be done next for a story, from what Planning says of it: a pure function of the story's document and of what this life has
// already begun. It does nothing itself (story-flow.ts does).
//
// FS1  It looks at what is, never at what happened: any event about a story, once or a hundred times, leads to the same steps.
// FS2  A step that was taken shows in the document, so it is not asked for again. Where it does not (a verification under way), `Begun` has it.
// FS3  What agents and people wrote is bounded before it becomes part of a task.

import type { By } from "../events/envelope.ts";
import { type Plan, type Story, TASK_TEXT_MAX, type Task, type TaskDraft, TEXT_MAX } from "../planning/story.ts";

/** As whom the flow acts. */
export const FLOW: By = { kind: "system", id: "orchestrator" };

/** What each of the flow's changes carries; `what` says the same of the same change, whichever life makes it. */
export const flowChange = (storyId: string, what: string) => ({ by: FLOW, storyId, key: `${storyId} ${what}` });

/** States in which there is something for the flow to do; in all others a story waits for a person. */
export const OPEN_STATES = ["DESIGN", "BUILD", "DOCS"] as const;

export type PlanDraft = Pick<Plan, "id" | "title" | "text" | "steps" | "rationale">;

export type Step =
  | { readonly kind: "propose"; readonly plan: PlanDraft }
  | { readonly kind: "derive"; readonly plan: Plan }
  | { readonly kind: "add"; readonly plan: Plan; readonly draft: TaskDraft }
  /** Pending and free to go; or dispatched, and shall be known to have been. */
  | { readonly kind: "work"; readonly task: Task }
  | { readonly kind: "verify"; readonly tree: string }
  | { readonly kind: "deliver" };

/** What this life of the flow has begun for a story and the document does not show. */
export interface Begun {
  /** Id of the plan that turned out to have no tasks; a person was asked. */
  readonly refused?: string;
  /** `treeOf` the story when its verification began. */
  readonly verified?: string;
}

export function nextSteps(story: Story, begun: Begun = {}): readonly Step[] {
  switch (story.state) {
    case "DESIGN":
      return designSteps(story);
    case "BUILD":
      return buildSteps(story, begun);
    case "DOCS":
      return workSteps(story);
    case "DONE":
      return [{ kind: "deliver" }];
    default:
      return [];
  }
}

/** A person's plan that was rejected is that person's to mend; the flow's own is made anew. */
function designSteps(story: Story): readonly Step[] {
  const { plan } = story;
  const isWanted = plan === undefined || (plan.status === "rejected" && plan.proposedBy.kind === "system");
  return isWanted ? [{ kind: "propose", plan: planByRules(story) }] : [];
}

function buildSteps(story: Story, begun: Begun): readonly Step[] {
  const { plan } = story;
  if (plan?.status !== "approved") return [];
  const isDerived = story.tasks.some(({ planId }) => planId === plan.id);
  if (!isDerived) return begun.refused === plan.id ? [] : [{ kind: "derive", plan }];
  const wanted = feedbackTask(story);
  if (wanted !== undefined) return [{ kind: "add", plan, draft: wanted }];
  const tasks = story.tasks.filter(({ phase }) => phase === "BUILD");
  const isBuilt = tasks.every(({ status }) => status === "done" || status === "cancelled");
  const tree = treeOf(story);
  if (isBuilt) return begun.verified === tree ? [] : [{ kind: "verify", tree }];
  return workSteps(story);
}

const workSteps = (story: Story): Step[] =>
  story.tasks
    .filter((task) => isReady(story, task) || (task.status === "dispatched" && task.phase === story.state))
    .sort((a, b) => b.priority - a.priority)
    .map((task) => ({ kind: "work", task }));

/** Whether a task may be dispatched now. */
export function isReady({ state, tasks }: Story, task: Task): boolean {
  if (task.status !== "pending" || task.phase !== state) return false;
  return task.dependsOn.every((id) => tasks.some((other) => other.id === id && other.status === "done"));
}

const entryOf = (story: Story) => story.history.findLast(({ to }) => to === story.state);

/** Names what a verification is about: the tasks that are in the story's branch since the story was last sent to BUILD. */
export const treeOf = (story: Story): string =>
  `${entryOf(story)?.version ?? 0}.${story.tasks.filter(({ status }) => status === "done").length}`;

/** A story that was sent back to BUILD needs work on what was said; undefined when that task is there, or nothing was sent back. */
function feedbackTask(story: Story): TaskDraft | undefined {
  const entry = entryOf(story);
  if (entry === undefined || entry.from === "DESIGN") return undefined;
  const said = entry.feedback ?? `It was sent back from ${entry.from} without a word; compare it with the criteria.`;
  const draft = followUp(`feedback${entry.version}`, `Rework after ${entry.event}`, said, story);
  return story.tasks.some(({ id }) => id === draft.id) ? undefined : draft;
}

/** A later plan's tasks with ids that the story has not had; what they depend on follows. */
export function freshIds({ tasks }: Story, drafts: readonly TaskDraft[]): readonly TaskDraft[] {
  const taken = new Set(tasks.map(({ id }) => id));
  const ids = new Map<string, string>();
  for (const { id } of drafts) {
    let fresh = id;
    for (let number = 2; taken.has(fresh); number++) fresh = `${id.slice(0, ID_MAX - 4)}-${number}`;
    // Two drafts of one id stay so, and are refused for it.
    ids.set(id, fresh);
  }
  return drafts.map((draft) => ({
    ...draft,
    id: ids.get(draft.id) ?? draft.id,
    dependsOn: draft.dependsOn.map((id) => ids.get(id) ?? id),
  }));
}

/** Characters of an id (idSchema). */
const ID_MAX = 64;

const FIX = /^fix\d+$/;

/** A task to mend what verification found; undefined once `max` of them did not help. */
export function fixTask(story: Story, found: string, max: number): TaskDraft | undefined {
  const made = story.tasks.filter(({ id }) => FIX.test(id)).length;
  return made >= max ? undefined : followUp(`fix${made + 1}`, "Mend what verification found", found, story);
}

const ELLIPSIS = "\n…\n";

/** Its first and last parts: errors stand at the end of an output, what it is about at its beginning. */
function middleCut(text: string, max: number): string {
  if (text.length <= max) return text;
  const half = Math.floor((max - ELLIPSIS.length) / 2);
  return text.slice(0, half) + ELLIPSIS + text.slice(-half);
}

function followUp(id: string, title: string, found: string, story: Story): TaskDraft {
  const text = middleCut(`${title}, in the story "${story.title}":\n\n${found}`, TASK_TEXT_MAX);
  return { id, title, text, role: "DEV", phase: "BUILD", dependsOn: [], priority: 9, size: "M" };
}

/** A plan without a person or a model: one step for each acceptance criterion, or for what was said when the work was sent back. */
export function planByRules(story: Story): PlanDraft {
  const { criteria, title, tasks, history } = story;
  const version = entryOf(story)?.version ?? story.version;
  const last = history.findLast(({ event, to }) => event.startsWith("reject") || to === "BUILD");
  const said = last?.event.startsWith("reject") ? last.feedback : undefined;
  const isRework = said !== undefined && tasks.some(({ status }) => status === "done");
  const steps = [...(isRework ? [] : criteria.length > 0 ? criteria : [title]), ...(said === undefined ? [] : [said])];
  const text = steps.map((step) => `- ${step.replace(/\s+/g, " ").trim()}`).join("\n");
  const rationale =
    "Made by rules: one step for each acceptance criterion, and one for what was said when it was sent back.";
  return { id: `plan-${version}`, title, text: text.slice(0, TEXT_MAX), steps: [], rationale };
}
