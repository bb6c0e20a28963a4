// The workspace runner as far as the story flow speaks to it, with agents that do what a script says: takes requests from the channel, each
// attempt once, and answers with results on the topics of their tasks.

import { agentRequests, agentResults, type DataOf } from "../../../actors/events/channels.ts";
import { feed } from "../../../actors/events/feed.ts";
import { postEvent } from "../../../actors/events/post.ts";
import { sendResult } from "../../../actors/result-post.ts";
import type { Client } from "../../../actors/service-handles.ts";
import type { Integrated, Job, WorkspaceRunnerApi } from "../../../actors/workspace-runner/workspace-runner-api.ts";
import type { JobReport } from "../../../actors/workspace-score/job-report.ts";
import { type ActorSystem, FlotillaError } from "../../../runtime/index.ts";
import { agentResult } from "../../support/agent-result.ts";

export type StageRequest = DataOf<typeof agentRequests, "agent.requested">;
/** `silent`: the job ends and nothing is told. `held`: it never ends. */
export type StageOutcome =
  | "done"
  | "failed"
  | "missing"
  | "conflict"
  | "unbundled"
  | "silent"
  | "held"
  | { readonly code: string };

const PASSES: JobReport = { build: { success: true }, unit: { passed: 3, failed: 0, skipped: 0 } };

export class StageRunner {
  /** Every request in the log, repeated ones as well. */
  readonly posted: string[] = [];
  readonly requests = new Map<string, StageRequest>();
  readonly cancelled: string[] = [];
  readonly merged: string[] = [];
  readonly delivered: string[] = [];
  readonly conflicts = new Set<string>();
  /** Answers of `verify`, in order; then it passes. */
  readonly reports: (JobReport | Error)[] = [];
  verified = 0;
  /** Whether `verify` is answered: a test that holds it. */
  verifying: Promise<void> = Promise.resolve();
  readonly #system: ActorSystem;
  readonly #script: (request: StageRequest) => StageOutcome;
  readonly #answers = new Map<string, Integrated>();

  constructor(system: ActorSystem, script: (request: StageRequest) => StageOutcome = () => "done") {
    this.#system = system;
    this.#script = script;
  }

  get client(): Client<WorkspaceRunnerApi> {
    return this as unknown as Client<WorkspaceRunnerApi>;
  }

  /** Until the signal aborts. */
  async run(signal: AbortSignal): Promise<void> {
    for await (const fed of feed(this.#system, agentRequests, { from: 1, signal })) {
      if (fed.kind !== "event") throw new Error(`no request: ${fed.message}`);
      const { event } = fed;
      const { storyId, taskId, attempt } = event.data;
      const jobId = `${storyId}-${taskId}-${attempt}`;
      if (event.type === "agent.request.cancelled") {
        this.cancelled.push(jobId);
        continue;
      }
      this.posted.push(jobId);
      if (this.requests.has(jobId)) continue;
      this.requests.set(jobId, event.data);
      await this.#answer(jobId, event.data);
    }
  }

  async #answer(jobId: string, request: StageRequest): Promise<void> {
    const outcome = this.#script(request);
    if (outcome === "silent" || outcome === "held") return;
    if (outcome === "conflict") this.conflicts.add(jobId);
    if (outcome === "missing" || typeof outcome === "object") {
      await this.miss(request, typeof outcome === "object" ? outcome.code : "JobLost");
      return;
    }
    await this.result(request, outcome);
  }

  async miss({ storyId, taskId, attempt, agentId }: StageRequest, code = "JobLost"): Promise<void> {
    const jobId = `${storyId}-${taskId}-${attempt}`;
    await postEvent(this.#system, "workspace-runner", agentResults, {
      ...{ type: "agent.result.missing", key: jobId, correlationId: storyId, topic: [`${storyId}-${taskId}`] },
      data: { storyId, taskId, attempt, agentId, jobId, error: { code, message: "It is gone." } },
    });
  }

  async result(
    { storyId, taskId, attempt, agentId, role }: StageRequest,
    outcome: StageOutcome = "done",
  ): Promise<void> {
    const taskName = `${storyId}-${taskId}`;
    const bundle = outcome === "unbundled" ? {} : { bundle: "b".repeat(64) };
    const result = agentResult({ taskId: taskName, agentId, verified: outcome !== "failed" });
    await sendResult(this.#system, { ...result, role, place: { node: "n", attempt, ...bundle } });
  }

  async integrate({ jobId }: { readonly jobId: string }): Promise<Integrated> {
    const known = this.#answers.get(jobId);
    if (known !== undefined) return known;
    const isConflict = this.conflicts.has(jobId);
    if (!isConflict) this.merged.push(jobId);
    const answer: Integrated = isConflict
      ? { kind: "conflict", files: ["src/a.ts", "src/b.ts"] }
      : { kind: "merged", commit: String(this.merged.length).padStart(40, "0"), branch: "story" };
    this.#answers.set(jobId, answer);
    return answer;
  }

  async verify(): Promise<{ report: JobReport; commit: string; output: string }> {
    await this.verifying;
    this.verified++;
    const report = this.reports.shift() ?? PASSES;
    if (report instanceof Error) throw report;
    return { report, commit: String(this.merged.length).padStart(40, "0"), output: "1 test failed: adds" };
  }

  async deliver({ storyId }: { readonly storyId: string }): Promise<{ branch: string; commit: string }> {
    this.delivered.push(storyId);
    return { branch: `flotilla/${storyId}`, commit: "c" };
  }

  async job(jobId: string): Promise<Pick<Job, "state" | "endedAtMs">> {
    const request = this.requests.get(jobId);
    if (request === undefined) throw new FlotillaError("JobUnknown", `There is no job ${jobId}.`);
    return this.#script(request) === "held" ? { state: "running" } : { state: "succeeded", endedAtMs: 0 };
  }
}
