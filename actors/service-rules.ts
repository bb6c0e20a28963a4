// What judges stories and reports for the doors: the coach, and the scorer of reports, with the tables and the model that services have.

import type { ActorSystem } from "../runtime/index.ts";
import type { Model } from "./agent/model.ts";
import type { ModelSpec } from "./agent-actor.ts";
import { modelOf } from "./model-of.ts";
import { serviceHostOptions } from "./options.ts";
import type { Finding, Rigor, ScoredReport, Story } from "./planning/story.ts";
import { type Coached, StoryCoach } from "./story-coach/story-coach.ts";
import type { JobReport } from "./workspace-score/job-report.ts";
import { loadRigor } from "./workspace-score/rigor-table.ts";
import { scoreReport } from "./workspace-score/workspace-score.ts";

type Words = Pick<Story, "title" | "description" | "criteria">;

export interface ServiceRules {
  /** As doors ask it. A model's opinion that failed is a finding, OPINION_FAILED. */
  readonly coach: {
    score(
      story: Words,
      rigor: Rigor,
      signal: AbortSignal,
    ): Promise<{
      readonly score: number;
      readonly threshold: number;
      readonly findings: readonly Finding[];
      readonly parts: Readonly<Record<string, number>>;
      readonly opinion?: { readonly score: number; readonly findings: readonly string[] };
    }>;
    refine(story: Words, signal: AbortSignal): Promise<Words>;
    suggest(goal: string, signal: AbortSignal): Promise<Words>;
  };
  readonly scorer: (report: JobReport, rigor: Rigor) => ScoredReport;
}

/** Throws RigorInvalid for a text that is no table. The mock has no opinions of stories. */
export async function openRules(
  system: ActorSystem,
  { rigor, model }: { readonly rigor?: string; readonly model?: ModelSpec },
): Promise<ServiceRules> {
  const table = await loadRigor(rigor);
  const asked = model === undefined || model.kind === "mock" ? undefined : opinionModel(system, model);
  const coach = new StoryCoach({ table, ...(asked !== undefined && { model: asked }) });
  return {
    coach: {
      score: async (story, level, signal) => asDoor(await coach.score(story, level, { signal })),
      refine: async (story, signal) => (await coach.refine(story, "L1", { signal })).story,
      async suggest(goal) {
        const [story] = coach.suggest(goal, 1);
        if (story === undefined) throw new Error("a goal of at least one word has a suggestion");
        return story;
      },
    },
    scorer: (report, level) => scoreReport(report, level, table),
  };
}

function asDoor({ score, threshold, findings, parts, opinion }: Coached) {
  const failed: readonly Finding[] =
    opinion !== undefined && "error" in opinion
      ? [{ code: "OPINION_FAILED", part: "opinion", message: `${opinion.model} gave none: ${opinion.error.message}` }]
      : [];
  return {
    ...{ score, threshold, findings: [...findings, ...failed] },
    parts: Object.fromEntries(parts.map(({ part, points }) => [part, points])),
    ...(opinion !== undefined && "score" in opinion && { opinion }),
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
