// How stories, their plans and what waits for a person look in a terminal. It asks nobody.

import type { Approval, Available, Blocked, Plan, Story, Task } from "../actors/index.ts";
import { since } from "./fleet-text.ts";
import { clip, type Paper, plain, table, wrap } from "./paper.ts";

const ID_WIDTH = 24;
const TITLE_MIN = 24;

/** The line as it is, its columns where they are, as far as it fits. */
const cut = (line: string, width: number): string => (line.length <= width ? line : `${line.slice(0, width - 1)}…`);

/** A table of a bold head and rows that are no wider than the paper. */
export function tableText(rows: readonly (readonly string[])[], right: readonly number[], paper: Paper): string[] {
  const [head = "", ...body] = table(rows, right);
  return [paper.colour.bold(head), ...body.map((line) => cut(line, Math.max(paper.columns, head.length)))];
}

/** Of those that are still wanted: tasks of a plan that was sent back stay with their story. */
function doneOf(tasks: readonly Task[]): string {
  const wanted = tasks.filter(({ status }) => status !== "cancelled");
  return wanted.length === 0 ? "-" : `${wanted.filter(({ status }) => status === "done").length}/${wanted.length}`;
}

export function storiesText(stories: readonly Story[], paper: Paper): string {
  if (stories.length === 0) return 'No stories. Create one with: flotilla story create --title "…"\n';
  const rows = stories.map(({ id, state, rigor, readiness, tasks, title }) => [
    plain(id),
    clip(state, ID_WIDTH),
    rigor,
    `${Math.round(readiness.score)}`,
    doneOf(tasks),
    clip(title, paper.columns),
  ]);
  return `${tableText([["id", "state", "rigor", "ready", "tasks", "title"], ...rows], [3, 4], paper).join("\n")}\n`;
}

const blockedLines = (blocked: readonly Blocked[], indent: string, columns: number): string[] =>
  blocked.flatMap(({ guard, reason }) =>
    wrap(`${guard}: ${reason}`, columns - indent.length).map((line) => `${indent}${line}`),
  );

/** What keeps a transition from happening, a line for each guard. */
export const blockedText = (blocked: readonly Blocked[], { columns }: Paper): string =>
  blockedLines(blocked, "  ", columns).join("\n");

function nextLines(events: readonly Available[], { colour, columns }: Paper): string[] {
  return events.flatMap(({ event, to, human, blocked }) => {
    const who = human === null ? "" : `, by ${human.length > 0 ? human.map(plain).join(" or ") : "a person"}`;
    const is = blocked.length > 0 ? colour.yellow(" (blocked)") : "";
    return [`  ${plain(event)} → ${plain(to)}${who}${is}`, ...blockedLines(blocked, "      ", columns)];
  });
}

const indented = (text: string, columns: number): string[] =>
  plain(text)
    .trimEnd()
    .split("\n")
    .flatMap((line) => (line.trim() === "" ? [""] : wrap(line, columns - 2).map((part) => `  ${part}`)));

function tasksLines(storyId: string, tasks: readonly Task[], paper: Paper): string[] {
  const rows = tasks.map(({ id, status, attempt, role, phase, dependsOn, title }) => [
    plain(id),
    status,
    String(attempt),
    clip(role, ID_WIDTH),
    phase,
    clip(dependsOn.join(","), ID_WIDTH) || "-",
    clip(title, Math.max(TITLE_MIN, paper.columns)),
  ]);
  const errors = tasks.flatMap(({ id, error }) =>
    error === undefined ? [] : indented(`${id}: ${error.code}: ${error.message}`, paper.columns),
  );
  const again = tasks.some(({ status }) => status === "failed")
    ? [`Try again: flotilla story retry ${plain(storyId)}`]
    : [];
  const table = tableText([["task", "status", "try", "role", "phase", "after", "title"], ...rows], [2], paper);
  return [...table, ...errors, ...again];
}

export function planLines({ title, status, proposedBy, text, steps }: Plan, { colour, columns }: Paper): string[] {
  return [
    `${colour.bold("Plan")}  ${plain(title)} ${colour.dim(`(${status}, by ${plain(proposedBy.id)})`)}`,
    ...(text === "" ? [] : indented(text, columns)),
    ...steps.map(({ id, title: step }) => `  - ${id === undefined ? "" : `${plain(id)}: `}${plain(step)}`),
  ];
}

/** Everything that is known of a story, and what may happen next. */
export function storyText(story: Story, events: readonly Available[], paper: Paper): string {
  const { colour, columns } = paper;
  const { id, title, state, rigor, version, readiness, criteria, description, plan, tasks, reports, history } = story;
  const { score, threshold, findings } = readiness;
  const repository =
    story.repository && `${story.repository.url}${story.repository.branch ? ` (${story.repository.branch})` : ""}`;
  const lines = [
    `${colour.bold(plain(id))}  ${plain(title)}`,
    `State      ${plain(state)}, version ${version}, rigor ${rigor}`,
    `Ready      ${Math.round(score)} of ${Math.round(threshold)} that it needs`,
    ...findings.flatMap(({ code, message }) =>
      wrap(`${code}: ${message}`, columns - 11).map((line) => `           ${line}`),
    ),
    ...(story.epicId === undefined ? [] : [`Epic       ${plain(story.epicId)}`]),
    ...(repository === undefined ? [] : [`Repository ${plain(repository)}`]),
    ...(description === "" ? [] : ["", ...indented(description, columns)]),
    ...(criteria.length === 0 ? [] : ["", ...criteria.flatMap((each) => indented(each, columns))]),
    ...(plan === undefined ? [] : ["", ...planLines(plan, paper)]),
    ...(tasks.length === 0 ? [] : ["", ...tasksLines(id, tasks, paper)]),
    ...Object.entries(reports).flatMap(([phase, { gate, score: points, reasons }]) => [
      "",
      `${colour.bold(`Report of ${plain(phase)}`)}  ${gate}, ${points} of 100`,
      ...reasons.flatMap((reason) => indented(reason, columns)),
    ]),
    "",
    colour.bold(events.length === 0 ? "Nothing can happen to it any more." : "What may happen next"),
    ...nextLines(events, paper),
    ...(history.length === 0 ? [] : ["", ...historyLines(history, paper)]),
  ];
  return `${lines.join("\n")}\n`;
}

function historyLines(history: Story["history"], { colour, columns }: Paper): string[] {
  return history.flatMap(({ event, from, to, by, feedback, atMs }) => {
    const who = `${by.kind === "human" ? "" : `${by.kind} `}${plain(by.id)}${by.role === undefined ? "" : ` (${plain(by.role)})`}`;
    const line = `${since(atMs)}  ${plain(from)} → ${plain(to)}  ${plain(event)} by ${who}`;
    return [colour.dim(cut(line, columns)), ...(feedback === undefined ? [] : indented(feedback, columns))];
  });
}

export function approvalsText(approvals: readonly Approval[], paper: Paper): string {
  if (approvals.length === 0) return "Nothing waits for a person.\n";
  const rows = approvals.map(({ id, subject, storyId, roles, sinceMs, question }) => [
    plain(id),
    clip(subject, ID_WIDTH),
    clip(storyId ?? "-", ID_WIDTH),
    clip(roles.join(","), ID_WIDTH) || "anybody",
    since(sinceMs).slice(5, 16),
    clip(question, paper.columns),
  ]);
  const head = ["id", "what", "story", "for", "since (UTC)", "question"];
  const lines = tableText([head, ...rows], [], paper);
  return `${lines.join("\n")}\n\nflotilla approvals approve ID --role ROLE, or: flotilla approvals reject ID --role ROLE --feedback "…"\n`;
}

export function approvalText(approval: Approval, { colour, columns }: Paper): string {
  const { id, kind, subject, storyId, taskId, question, roles, status, decidedBy, feedback, sinceMs } = approval;
  const lines = [
    `${colour.bold(plain(id))}  ${status}`,
    `What       ${plain(subject)} (${kind === "gate" ? "a gate of the story" : "a question"})`,
    ...(storyId === undefined
      ? []
      : [`Story      ${plain(storyId)}${taskId === undefined ? "" : `, task ${plain(taskId)}`}`]),
    `For        ${roles.length > 0 ? roles.map(plain).join(" or ") : "anybody"}`,
    `Since      ${since(sinceMs)} (UTC)`,
    ...(decidedBy === undefined
      ? []
      : [`Decided by ${plain(decidedBy.id)}${decidedBy.role ? ` (${plain(decidedBy.role)})` : ""}`]),
    "",
    ...indented(question, columns),
    ...(feedback === undefined ? [] : ["", ...indented(feedback, columns)]),
  ];
  return `${lines.join("\n")}\n`;
}
