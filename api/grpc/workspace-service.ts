// fleet.workspace.v1 over the workspace score and the workspace runner.

import type { ServiceImpl } from "@connectrpc/connect";
import { type JobReport, type Rigor, rigorSchema, type ScoredReport } from "../../actors/index.ts";
import type { ActorSystem } from "../../runtime/index.ts";
import { jobLogs } from "../job-logs.ts";
import { jobStateSchema } from "../job-states.ts";
import type { WorkspaceService } from "../proto/gen/fleet/workspace/v1/workspace_pb.js";
import { type ClientsFor, callOf } from "./call.ts";
import { jobMessage, reportOf } from "./report-messages.ts";
import { checked, count, fieldInvalid, long, present, text } from "./values.ts";

/** What a report is worth at a level of rigor. */
export type ReportScorer = (report: JobReport, rigor: Rigor) => ScoredReport;

export interface WorkspaceParts {
  readonly clients: ClientsFor;
  readonly scorer: ReportScorer;
  readonly system: Pick<ActorSystem, "ports" | "clock">;
}

/** Of a stream of logs without a deadline: jobs may take long. */
const LOGS_MS = 24 * 60 * 60_000;

export const workspaceService = ({
  clients,
  scorer,
  system,
}: WorkspaceParts): ServiceImpl<typeof WorkspaceService> => ({
  scoreWorkspace({ report, rigorLevel }) {
    if (report === undefined) throw fieldInvalid("report", "it is missing");
    const rigor = checked(rigorSchema, rigorLevel || "L1", "rigor_level");
    const { score, gate, reasons } = scorer(reportOf(report), rigor);
    return { score: Math.floor(score), rigor, reasons: [...reasons], gatingDecision: gate };
  },
  async listJobs({ state, storyId, limit }, context) {
    const filter = present({
      state: state === "" ? undefined : checked(jobStateSchema, state, "state"),
      storyId: text(storyId),
      max: count(limit),
    });
    return { jobs: (await clients(callOf(context)).runner.jobs(filter)).map(jobMessage) };
  },
  async getJob({ jobId }, context) {
    return { job: jobMessage(await clients(callOf(context)).runner.job(jobId)) };
  },
  async cancelJob({ jobId }, context) {
    return { job: jobMessage(await clients(callOf(context)).runner.cancel(jobId)) };
  },
  async *streamLogs({ jobId, follow }, context) {
    const call = callOf(context, LOGS_MS);
    const { runner } = clients(call);
    for await (const line of jobLogs({ system, runner, jobId, follow, signal: call.signal })) {
      yield { ...line, atMs: long(line.atMs) };
    }
  },
});
