// What must hold before a story changes its state: named pure functions that the story table refers to. Each answers why it does not hold,
// in one sentence, or undefined when it does.
// It is not which transition needs which (story-states.yaml), nor what a story or a report is worth (the rules that planning is given).
//
// GU1  A guard looks at the story and at nothing else: what it needs to know was recorded there by a change of its own.

import type { By } from "../events/envelope.ts";
import type { Blocked } from "./planning-api.ts";
import type { Story, Task } from "./story.ts";

export type Guard = (story: Story) => string | undefined;

/** Markdown's list items: what a deriver by rules makes tasks of. */
const LIST_ITEM = /^\s*(?:[-*+]|\d{1,9}[.)])\s+\S/m;

/** A task that neither is done nor was given up. */
export const isOpen = ({ status }: Task): boolean => status !== "done" && status !== "cancelled";

const openOf = (tasks: readonly Task[]): string | undefined => {
  const open = tasks.filter(isOpen);
  if (open.length === 0) return undefined;
  return `Not done: ${open.map(({ id, status }) => `${id} (${status})`).join(", ")}.`;
};

function readiness({ readiness: { score, threshold, findings }, rigor }: Story): string | undefined {
  if (score >= threshold) return undefined;
  const found = findings.map(({ code, message }) => `${code}: ${message}`).join(" ");
  return `The story scores ${score}, and ${rigor} needs ${threshold}${found === "" ? "" : `. ${found}`}`;
}

function planValid({ plan }: Story): string | undefined {
  if (plan === undefined) return "No plan was proposed.";
  if (plan.status !== "proposed") return `Plan ${plan.id} is ${plan.status}; a new one must be proposed.`;
  if (plan.steps.length > 0 || LIST_ITEM.test(plan.text)) return undefined;
  return `Plan ${plan.id} has no steps, and its text has no list that they could be taken from.`;
}

/** Tasks of an earlier plan do not stand for those of the approved one, which may not have been derived yet. */
function allTasksDone({ tasks, plan }: Story): string | undefined {
  const build = tasks.filter(({ phase }) => phase === "BUILD");
  const ofPlan = build.filter((task) => task.planId === plan?.id && task.status !== "cancelled");
  return ofPlan.length === 0 ? "The approved plan has no tasks to build yet." : openOf(build);
}

const report =
  (phase: string): Guard =>
  ({ reports }) => {
    const scored = Object.hasOwn(reports, phase) ? reports[phase] : undefined;
    if (scored === undefined) return `No report of ${phase} was recorded.`;
    if (scored.gate !== "block") return undefined;
    return `The report of ${phase} blocks with a score of ${scored.score}: ${scored.reasons.join("; ")}`;
  };

function docsDone({ tasks, rigor }: Story): string | undefined {
  const docs = tasks.filter(({ phase, status }) => phase === "DOCS" && status !== "cancelled");
  if (docs.length === 0 && rigor !== "L0") return `The story has no tasks of DOCS, and ${rigor} needs one.`;
  return openOf(docs);
}

/** By their names in the story table. */
export const GUARDS: Readonly<Record<string, Guard>> = {
  readiness,
  plan_valid: planValid,
  all_tasks_done: allTasksDone,
  build_report: report("BUILD"),
  test_report: report("TEST"),
  docs_done: docsDone,
};

/** Whether a person with one of these roles (none named: any person) makes the change; a role's name alone makes nobody a person. */
export function humanGuard(roles: readonly string[], { kind, id, role }: By): Blocked | undefined {
  const who = roles.length === 0 ? "a person" : `a person with the role ${roles.join(" or ")}`;
  if (kind !== "human") return { guard: "human", reason: `Only ${who} may do this; ${id} is of kind ${kind}.` };
  if (roles.length === 0 || (role !== undefined && roles.includes(role.toLowerCase()))) return undefined;
  return { guard: "human", reason: `Only ${who} may do this; ${id} has ${role ?? "no role"}.` };
}

/** Whoever sends a story back says why, in at least `min` characters. */
export function feedbackGuard(min: number, feedback = ""): Blocked | undefined {
  if (feedback.trim().length >= min) return undefined;
  return { guard: "feedback", reason: `Say why, in at least ${min} characters.` };
}
