// A small stand-in for the check of tasks: ids, roles, dependencies, circles.

import type { TaskCheck } from "../../../actors/orchestrator/derive-tasks.ts";
import { taskDraftSchema } from "../../../actors/planning/story.ts";

export const ROLES = ["DEV", "QA", "ARCHITECT", "DEVOPS", "DATA"] as const;

export const checkTasks: TaskCheck = (tasks, roles) => {
  const faults: string[] = [];
  const waiting = new Map(tasks.map(({ id, dependsOn }) => [id, dependsOn]));
  if (waiting.size < tasks.length) faults.push("Two tasks have one id.");
  for (const task of tasks) {
    if (!taskDraftSchema.safeParse(task).success) faults.push(`${task.id} has not the form of a task.`);
    if (!roles.includes(task.role)) faults.push(`${task.id} has the unknown role ${task.role}.`);
    for (const id of task.dependsOn)
      if (!waiting.has(id)) faults.push(`${task.id} depends on ${id}, which is no task.`);
  }
  for (let found = true; found; ) {
    const free = [...waiting].filter(([, ids]) => !ids.some((id) => waiting.has(id)));
    found = free.length > 0;
    for (const [id] of free) waiting.delete(id);
  }
  if (waiting.size > 0) faults.push(`A circle of tasks: ${[...waiting.keys()].join(", ")}.`);
  return faults;
};
