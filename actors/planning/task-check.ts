// Whether tasks fit together: what is wrong with them, one sentence for each fault.
// It is not how they come about (the orchestrator derives them) nor the shape of each (taskDraftSchema).
//
// TC1  Tasks without a fault can all be done: in some order, each after what it depends on, by roles that exist.

import { TASKS_MAX, type TaskDraft } from "./story.ts";

/** `roles`: names of the roles there are. No faults: an empty list. */
export function checkTasks(tasks: readonly TaskDraft[], roles: readonly string[]): readonly string[] {
  if (tasks.length > TASKS_MAX) return [`There are ${tasks.length} tasks; a story has at most ${TASKS_MAX}.`];
  const faults: string[] = [];
  const byId = new Map<string, TaskDraft>();
  for (const task of tasks) {
    if (byId.has(task.id)) faults.push(`Two tasks have the id ${task.id}.`);
    byId.set(task.id, task);
  }
  for (const { id, role, phase, dependsOn } of tasks) {
    if (!roles.includes(role)) faults.push(`Task ${id} is for role ${role}; there are ${roles.join(", ")}.`);
    for (const other of dependsOn) {
      const needed = byId.get(other);
      if (needed === undefined) faults.push(`Task ${id} depends on ${other}, which is no task of the story.`);
      else if (phase === "BUILD" && needed.phase === "DOCS")
        faults.push(`Task ${id} of BUILD depends on ${other} of DOCS, which begins only when BUILD is over.`);
    }
  }
  const ring = ringAmong(byId);
  if (ring !== undefined) faults.push(`Tasks depend on one another in a ring: ${ring.join(" → ")}.`);
  return faults;
}

/** Ids of one ring of dependencies, the first of them repeated at the end. */
function ringAmong(byId: ReadonlyMap<string, TaskDraft>): readonly string[] | undefined {
  const done = new Set<string>();
  const trail: string[] = [];
  const visit = (id: string): readonly string[] | undefined => {
    const start = trail.indexOf(id);
    if (start >= 0) return [...trail.slice(start), id];
    if (done.has(id)) return undefined;
    trail.push(id);
    for (const other of byId.get(id)?.dependsOn ?? []) {
      const ring = visit(other);
      if (ring !== undefined) return ring;
    }
    trail.pop();
    done.add(id);
    return undefined;
  };
  for (const id of byId.keys()) {
    const ring = visit(id);
    if (ring !== undefined) return ring;
  }
  return undefined;
}
