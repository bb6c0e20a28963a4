// Puts an orchestrator together for an actor of a fleet: its councils, the deriver of tasks, and the flow of stories over the other services.

import type { ActorContext } from "../../runtime/index.ts";
import { serviceHostOptions } from "../options.ts";
import { checkTasks } from "../planning/task-check.ts";
import { contextOf, planningOf, runnerOf } from "../service-handles.ts";
import { deriveByModel } from "./derive-by-model.ts";
import { deriveByRules } from "./derive-tasks.ts";
import { type Derive, OrchestratorService, type OrchestratorSettings } from "./orchestrator-service.ts";
import { StoryFlow } from "./story-flow.ts";

/** Of one request to a model for the tasks of a plan. */
const DERIVE_MS = 120_000;
/** A project's tests run within a call of the runner. */
const RUNNER_MS = 30 * 60_000;

interface Place extends Pick<ActorContext, "system" | "random" | "log"> {
  readonly settings: OrchestratorSettings;
}

/** Throws RequestInvalid for settings that name no model. */
export function openOrchestrator({ system, random, settings, log }: Place): OrchestratorService {
  const derive: Derive = async ({ plan, roles }, { model, signal, deadlineMs }) =>
    model === undefined || plan.steps.length > 0
      ? deriveByRules(plan, { roles, check: checkTasks })
      : deriveByModel(model, plan, {
          ...{ roles, check: checkTasks, signal },
          timeoutMs: Math.min(DERIVE_MS, deadlineMs - system.clock.now()),
        });
  const flow = new StoryFlow({
    ...{ system, log, planning: planningOf(system), context: contextOf(system) },
    runner: runnerOf(system, { timeoutMs: RUNNER_MS }),
    model: settings.model,
    derive: (plan, story, signal) =>
      service.deriveSubtasks({ plan, storyId: story.id }, { signal, deadlineMs: Number.POSITIVE_INFINITY }),
    ...(settings.flow !== undefined && { settings: settings.flow }),
  });
  const { apiKey } = serviceHostOptions();
  const service: OrchestratorService = new OrchestratorService({
    ...{ system, random, settings, apiKey, log, derive, flow },
    services: (call) => ({ planning: planningOf(system, call), context: contextOf(system, call) }),
  });
  return service;
}
