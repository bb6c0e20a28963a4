// What a job's backend is asked to run: the executor's command line and environment, from a request. Pure.

import { type JobSpec, WORKSPACE_ARGUMENT, type WorkspaceSource } from "../../tools/index.ts";
import { backendIdOf, type JobRecord } from "./job-record.ts";
import type { RunnerSetup } from "./runner-settings.ts";

/** What was prepared for it. */
export interface Prepared {
  readonly source: WorkspaceSource;
  readonly base: string;
  readonly bundle?: string;
}

export function jobSpecOf(record: JobRecord, prepared: Prepared, setup: RunnerSetup): JobSpec {
  const { jobId, tries, request } = record;
  const { storyId, taskId, attempt, agentId, role, text, context, timeoutMs } = request;
  const { program, natsUrl, prefix, env, secretEnv, resources, timeoutMaxMs, policyRules } = setup;
  const wholeMs = Math.min(timeoutMs, timeoutMaxMs);
  const options: readonly (readonly [string, string | undefined])[] = [
    ["job-id", jobId],
    ["story-id", storyId],
    ["task-id", taskId],
    ["attempt", String(attempt)],
    ["agent-id", agentId],
    ["role", role],
    ["task", "-"],
    ["context", "-"],
    ["workspace", WORKSPACE_ARGUMENT],
    ["nats-url", natsUrl],
    ["prefix", prefix],
    ["base", prepared.base],
    ["bundle", prepared.bundle],
    ["timeout", `${wholeMs}ms`],
    ...modelOptions(request, setup),
  ];
  return {
    jobId: backendIdOf(record),
    labels: { story: storyId, task: taskId, attempt: String(attempt), role, try: String(tries) },
    source: prepared.source,
    // One argument each: a name that begins with a dash is no option then.
    command: [...program, ...options.flatMap(([name, value]) => (value === undefined ? [] : [`--${name}=${value}`]))],
    env: {
      ...{ ...env, FLOTILLA_TASK: text, FLOTILLA_CONTEXT: context },
      ...(policyRules !== undefined && { FLOTILLA_POLICY: JSON.stringify(policyRules) }),
    },
    secretEnv,
    ...(resources !== undefined && { resources }),
    timeoutMs: wholeMs,
  };
}

function modelOptions(
  { model }: JobRecord["request"],
  { modelNode }: RunnerSetup,
): readonly (readonly [string, string | undefined])[] {
  switch (model.kind) {
    case "mock":
      return [["model", `mock:${model.variant ?? "clean"}`]];
    case "node":
      return [
        ["model", model.model],
        ["model-node", modelNode],
      ];
    case "openai":
      return [
        ["model", model.model],
        ["model-url", model.url],
      ];
  }
}
