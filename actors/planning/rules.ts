// The judgements that planning is given and does not make itself: how ready a story is, and what a report on its code is worth.
// Both are pure: the same story or report gets the same score.

import type { JobReport } from "../workspace-score/job-report.ts";
import type { Rigor, ScoredReport, Story } from "./story.ts";

export interface PlanningRules {
  readiness(draft: Pick<Story, "title" | "description" | "criteria">, rigor: Rigor): Story["readiness"];
  report(report: JobReport, rigor: Rigor): ScoredReport;
}
