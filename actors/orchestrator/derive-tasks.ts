// Tasks from an approved plan, by rules: from its exact steps, else from the lists of its text. Pure, and the same for the same plan.
// It is not a model's reading of a plan (derive-by-model.ts) nor what tasks must be (the check that is passed in).
//
// DT1  Steps of a numbered list follow one another, unless they are marked parallel or say what they come after; bullets are independent.
// DT2  A task of BUILD never waits for one of DOCS: that one is begun when BUILD is over.
// DT3  What a step comes after must be a step: a name that fits none, or several, is a fault and not a guess.
// DT4  There is always a task that documents; the last, when the plan has none.

import { fail } from "../errors.ts";
import { type Plan, TASK_TEXT_MAX, TASKS_MAX, type TaskDraft } from "../planning/story.ts";
import { planItems } from "./derive-list.ts";
import { clipped, type StepWords, stepWords, usualRole } from "./derive-words.ts";

export type DerivedPlan = Pick<Plan, "id" | "title" | "text" | "steps">;

/** What is wrong with tasks, one sentence each; none: nothing. */
export type TaskCheck = (tasks: readonly TaskDraft[], roles: readonly string[]) => readonly string[];

export interface DeriveOptions {
  /** Names of the roles there are. */
  readonly roles: readonly string[];
  readonly check: TaskCheck;
}

/** A step before its dependencies are looked up. */
interface Step {
  readonly number: number | undefined;
  readonly done: boolean;
  readonly words: StepWords;
  readonly text: string;
  /** What an exact step says itself. */
  readonly exact: Partial<Plan["steps"][number]>;
  readonly id: string;
}

/** The plan's tasks, in its order. Throws StoryPlanInvalid with everything that is wrong. */
export function deriveByRules(plan: DerivedPlan, { roles, check }: DeriveOptions): TaskDraft[] {
  const steps = withIds(stepsOf(plan, roles));
  const faults = steps.flatMap(stepFaults);
  const after = dependencies(steps, faults);
  const tasks = steps.flatMap((step, index) => (step.done ? [] : [taskOf(step, after[index] ?? [])]));
  const all = withDocumentation(tasks, plan, roles);
  refuseFaults(plan, [...faults, ...tasksFaults(all), ...check(all, roles)]);
  return all;
}

/** Faults named in one message. */
const FAULTS_MAX = 8;

/** Throws StoryPlanInvalid when there are faults. */
export function refuseFaults({ id, title }: DerivedPlan, faults: readonly string[]): void {
  if (faults.length === 0) return;
  const more = faults.length > FAULTS_MAX ? ` And ${faults.length - FAULTS_MAX} more.` : "";
  const message = `The plan "${title}" cannot be made into tasks. ${faults.slice(0, FAULTS_MAX).join(" ")}${more}`;
  throw fail("StoryPlanInvalid", message, { data: { planId: id, faults } });
}

function stepsOf(plan: DerivedPlan, roles: readonly string[]): readonly Omit<Step, "id">[] {
  if (plan.steps.length > 0) {
    return plan.steps.map((exact) => {
      const { title, text = title } = exact;
      return { number: undefined, done: false, text, exact, words: stepWords(title, text, roles) };
    });
  }
  const items = planItems(plan.text);
  if (items.length > 0) {
    return items.map(({ number, done, head, text }) => {
      return { number, done, text, exact: {}, words: stepWords(head, text, roles) };
    });
  }
  // A plan without steps is one step.
  const text = plan.text.trim() === "" ? plan.title : plan.text.trim();
  return [{ number: undefined, done: false, text, exact: {}, words: stepWords(plan.title, text, roles) }];
}

const SLUG_MAX = 40;

/** Latin letters and digits of a title; "" when it has none. */
function slugOf(title: string): string {
  const words =
    title
      .normalize("NFKD")
      .replace(/\p{M}/gu, "")
      .toLowerCase()
      .match(/[a-z0-9]+/g) ?? [];
  let slug = "";
  for (const word of words) {
    const longer = slug === "" ? word.slice(0, SLUG_MAX) : `${slug}-${word}`;
    if (longer.length > SLUG_MAX) break;
    slug = longer;
  }
  return slug;
}

/** "task-2-add-parser": short, and the same whenever it is derived. Ids that a plan gives are kept. */
function withIds(steps: readonly Omit<Step, "id">[]): readonly Step[] {
  const taken = new Set(steps.flatMap(({ exact }) => (exact.id === undefined ? [] : [exact.id])));
  return steps.map((step, index) => {
    const id = step.exact.id ?? freeId(index + 1, step.words.title, taken);
    return { ...step, id };
  });
}

function freeId(number: number, title: string, taken: Set<string>): string {
  const id = ["task", String(number), slugOf(title)].filter((part) => part !== "").join("-");
  let free = id;
  for (let again = 2; taken.has(free); again++) free = `${id}-${again}`;
  taken.add(free);
  return free;
}

function stepFaults({ words, exact, text, done }: Step): readonly string[] {
  if (done) return [];
  const faults: string[] = [];
  if (exact.size === undefined && words.size === "XL") faults.push(`"${words.title}" is of size XL: split it.`);
  if (text.length > TASK_TEXT_MAX) {
    faults.push(`"${words.title}" has ${text.length} characters; at most ${TASK_TEXT_MAX} fit one task: split it.`);
  }
  return faults;
}

function taskOf(step: Step, dependsOn: readonly string[]): TaskDraft {
  const { id, words, exact, text } = step;
  return {
    id,
    title: exact.title ?? words.title,
    text,
    role: exact.role ?? words.role,
    phase: phaseOf(step),
    dependsOn: [...dependsOn],
    priority: exact.priority ?? words.priority,
    size: exact.size ?? (words.size === "XL" ? "L" : words.size),
  };
}

const phaseOf = ({ exact, words }: Step) => exact.phase ?? words.phase;

/** For each step the ids that it comes after; faults are added to `faults` (DT3). */
function dependencies(steps: readonly Step[], faults: string[]): readonly (readonly string[])[] {
  const chains = { BUILD: new Chain(), DOCS: new Chain() };
  return steps.map((step) => {
    const names = step.exact.dependsOn ?? step.words.after;
    const stated = names?.flatMap((name) => lookedUp(name, step, steps, faults));
    const open = step.done || step.number === undefined;
    if (open) return unique(stated ?? []);
    const chain = chains[phaseOf(step)];
    const before = chain.take(step.id, step.words.parallel || stated !== undefined);
    // The first documents what was built; BUILD itself waits for no documents (DT2).
    const built = phaseOf(step) === "DOCS" ? chains.BUILD.last : [];
    return unique(stated ?? [...built, ...before]);
  });
}

const unique = (ids: readonly string[]) => [...new Set(ids)];

/** Steps one after the other; those side by side are one link (DT1). */
class Chain {
  #before: readonly string[] = [];
  #last: string[] = [];

  get last(): readonly string[] {
    return this.#last;
  }

  /** Adds a step and answers with what it comes after. */
  take(id: string, beside: boolean): readonly string[] {
    if (beside && this.#last.length > 0) {
      this.#last.push(id);
      return this.#before;
    }
    this.#before = this.#last;
    this.#last = [id];
    return this.#before;
  }
}

/** The step of a number or name; a done one is nothing to wait for. */
function lookedUp(name: string, step: Step, steps: readonly Step[], faults: string[]): readonly string[] {
  const found = stepsNamed(name, step, steps);
  const [only] = found;
  if (only !== undefined && found.length === 1) return only.done ? [] : [only.id];
  const many = found.map(({ id }) => id).join(", ");
  const what = found.length === 0 ? "is no other step of the plan" : `may be any of ${many}`;
  faults.push(`"${step.words.title}" comes after "${name}", which ${what}.`);
  return [];
}

function stepsNamed(name: string, step: Step, steps: readonly Step[]): readonly Step[] {
  const others = steps.filter((other) => other !== step);
  const byId = others.filter(({ exact }) => exact.id === name);
  if (byId.length > 0) return byId;
  if (/^\d+$/.test(name)) return numbered(Number(name), step, steps);
  const slug = slugOf(name);
  if (slug === "") return others.filter(({ words }) => words.title === name);
  const whole = others.filter(({ id, words }) => id === name || slugOf(words.title) === slug);
  if (whole.length > 0) return whole;
  return others.filter(({ words }) => `-${slugOf(words.title)}-`.includes(`-${slug}-`));
}

/** By the number that is written before it, the nearest above first; in a plan of bullets by its place. */
function numbered(number: number, step: Step, steps: readonly Step[]): readonly Step[] {
  const place = steps.indexOf(step);
  const hasNumbers = steps.some((other) => other.number !== undefined);
  const fits = (other: Step, index: number) => other !== step && (hasNumbers ? other.number : index + 1) === number;
  const found = steps.slice(0, place).findLast(fits) ?? steps.find(fits);
  return found === undefined ? [] : [found];
}

/** Adds the task that documents, when there is none (DT4). */
export function withDocumentation(
  tasks: readonly TaskDraft[],
  plan: DerivedPlan,
  roles: readonly string[],
): TaskDraft[] {
  if (tasks.some(({ phase }) => phase === "DOCS")) return [...tasks];
  const title = clipped(`Document ${plan.title}`);
  const taken = new Set(tasks.map(({ id }) => id));
  const task: TaskDraft = {
    id: freeId(tasks.length + 1, title, taken),
    title,
    text: `Document ${plan.title}: describe for its users what changed and how it is used, in the documentation that the project has.`,
    role: usualRole(roles),
    phase: "DOCS",
    dependsOn: tasks.map(({ id }) => id),
    priority: 5,
    size: "S",
  };
  return [...tasks, task];
}

/** What makes tasks unfit that a check of graph, roles and sizes does not look for. */
export function tasksFaults(tasks: readonly TaskDraft[]): readonly string[] {
  const faults: string[] = [];
  if (tasks.length > TASKS_MAX) {
    faults.push(
      `It has ${tasks.length} tasks, with the one that documents; at most ${TASKS_MAX} fit one story: split it.`,
    );
  }
  const docs = new Set(tasks.filter(({ phase }) => phase === "DOCS").map(({ id }) => id));
  for (const { id, phase, dependsOn } of tasks) {
    const late = phase === "BUILD" ? dependsOn.find((other) => docs.has(other)) : undefined;
    if (late !== undefined)
      faults.push(`${id} is of BUILD and comes after ${late}, which is begun when BUILD is over.`);
  }
  return faults;
}
