// What judges stories and reports for the doors: the coach, and the scorer of reports, with the tables and the model that services have.

import type { ActorSystem } from "../runtime/index.ts";
import type { Model } from "./agent/model.ts";
import type { ModelSpec } from "./agent-actor.ts";
import { modelOf } from "./model-of.ts";
import { serviceHostOptions } from "./options.ts";
import type { Rigor, ScoredReport } from "./planning/story.ts";
import { StoryCoach } from "./story-coach/story-coach.ts";
import type { JobReport } from "./workspace-score/job-report.ts";
import { loadRigor } from "./workspace-score/rigor-table.ts";
import { scoreReport } from "./workspace-score/workspace-score.ts";

export interface ServiceRules {
  readonly coach: StoryCoach;
  readonly scorer: (report: JobReport, rigor: Rigor) => ScoredReport;
}

/** Throws RigorInvalid for a text that is no table. The mock has no opinions of stories. */
export async function openRules(
  system: ActorSystem,
  { rigor, model }: { readonly rigor?: string; readonly model?: ModelSpec },
): Promise<ServiceRules> {
  const table = await loadRigor(rigor);
  const asked = model === undefined || model.kind === "mock" ? undefined : opinionModel(system, model);
  return {
    coach: new StoryCoach({ table, ...(asked !== undefined && { model: asked }) }),
    scorer: (report, level) => scoreReport(report, level, table),
  };
}

function opinionModel(system: ActorSystem, model: Exclude<ModelSpec, { kind: "mock" }>): Model {
  const { apiKey } = serviceHostOptions();
  const mock = () => {
    throw new Error("the mock was passed over before");
  };
  return modelOf(model, {
    taskId: "stories",
    agentId: "story-coach",
    system,
    mock,
    ...(apiKey !== undefined && { apiKey }),
  });
}
