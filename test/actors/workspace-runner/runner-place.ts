// A runner for tests: one system on memory ports, a real depot on a real repository, a scripted place for its jobs, and as many lives of the
// service as a test wants.

import {
  agentRequests,
  agentResults,
  type Channel,
  type DataOf,
  patternOf,
  workspaceJobs,
} from "../../../actors/events/channels.ts";
import { type ChannelEvent, parse } from "../../../actors/events/feed.ts";
import { envelopeOf, postEvent } from "../../../actors/events/post.ts";
import { sendResult } from "../../../actors/result-post.ts";
import { jobIdOf } from "../../../actors/workspace-runner/job-record.ts";
import { type RunnerSettings, runnerSetup } from "../../../actors/workspace-runner/runner-settings.ts";
import { WorkspaceRunnerService } from "../../../actors/workspace-runner/workspace-runner-service.ts";
import {
  type ActorSystem,
  type Clock,
  connect,
  seededRandom,
  systemClock,
  topicFilter,
  topicSubject,
} from "../../../runtime/index.ts";
import { Depot, type WorkspaceBackend } from "../../../tools/index.ts";
import { agentResult } from "../../support/agent-result.ts";
import { makeFolder, makeRepository, type TestRepository } from "../../support/git-repository.ts";
import { SMALL_PROJECT } from "../../support/small-project.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { ScriptedPlace } from "./scripted-backend.ts";

export type Requested = DataOf<typeof agentRequests, "agent.requested">;

/** Pauses pass fifty times as fast; the time of day does not. */
const hurried: Clock = {
  ...systemClock,
  schedule: (delayMs, run, keepAlive) => systemClock.schedule(delayMs / 50, run, keepAlive),
};

/** A project's repository, and a folder for the runner. */
export interface RunnerGround extends AsyncDisposable {
  readonly repository: TestRepository;
  readonly folder: string;
}

export async function makeGround(): Promise<RunnerGround> {
  const repository = await makeRepository({ files: SMALL_PROJECT });
  const folder = await makeFolder("flotilla-runner-");
  return {
    repository,
    folder: folder.path,
    async [Symbol.asyncDispose]() {
      await repository[Symbol.asyncDispose]();
      await folder[Symbol.asyncDispose]();
    },
  };
}

export class RunnerPlace implements AsyncDisposable {
  readonly jobs = new ScriptedPlace();
  readonly system: ActorSystem;
  readonly repository: TestRepository;
  readonly folder: string;
  readonly logged: string[] = [];
  readonly #settings: RunnerSettings;
  readonly #stack: AsyncDisposableStack;
  readonly #lives: WorkspaceRunnerService[] = [];

  /** `on`: what several places share, for those that only look at it. Default: a repository and a folder of its own. */
  static async open(settings: RunnerSettings = {}, on?: RunnerGround): Promise<RunnerPlace> {
    const stack = new AsyncDisposableStack();
    const { repository, folder } = on ?? stack.use(await makeGround());
    const system = stack.use(await connect({ node: "here", clock: hurried, random: seededRandom(1) }));
    return new RunnerPlace({ settings, stack, repository, folder, system });
  }

  private constructor(parts: {
    readonly settings: RunnerSettings;
    readonly stack: AsyncDisposableStack;
    readonly repository: TestRepository;
    readonly folder: string;
    readonly system: ActorSystem;
  }) {
    this.#settings = parts.settings;
    this.#stack = parts.stack;
    this.repository = parts.repository;
    this.folder = parts.folder;
    this.system = parts.system;
  }

  /** The next life of the runner. */
  async life(backend: WorkspaceBackend = this.jobs.open()): Promise<WorkspaceRunnerService> {
    const host = { folder: this.folder, natsUrl: "nats://fleet:4222", prefix: undefined, env: {} };
    const setup = runnerSetup(
      { backend: backend.kind, program: ["executor"], ...this.#settings },
      { ...host, secretEnv: { FLOTILLA_API_KEY: "key-of-the-model" } },
    );
    const service = new WorkspaceRunnerService({
      ...{ system: this.system, backend, depot: new Depot(this.folder), setup, random: seededRandom(2) },
      log: (level, message, data) => void this.logged.push(`${level} ${message} ${JSON.stringify(data)}`),
    });
    this.#lives.push(service);
    await service.start();
    return service;
  }

  request(more: Partial<Requested> = {}): Requested {
    return {
      ...{ storyId: "s1", taskId: "t1", attempt: 1, agentId: "agent-dev-001", role: "DEV", title: "Greet" },
      ...{ text: "Add hello() function to src/utils.js", priority: 5, repository: { url: this.repository.path } },
      ...{ context: "", model: { kind: "mock" }, timeoutMs: 60_000, by: { kind: "system", id: "orchestrator" } },
      ...more,
    };
  }

  /** Posts a request and answers with its job's id. */
  async ask(more: Partial<Requested> = {}): Promise<string> {
    const data = this.request(more);
    const key = `${data.storyId} ${data.taskId} ${data.attempt}`;
    await postEvent(this.system, "orchestrator", agentRequests, {
      ...{ type: "agent.requested", data, key, correlationId: data.storyId },
    });
    return jobIdOf(data);
  }

  /** The same request once more, past the log's own memory of it. */
  async redeliver(times: number): Promise<void> {
    const data = this.request();
    const posting = { type: "agent.requested", data, key: jobIdOf(data), correlationId: "s1" } as const;
    const bytes = new TextEncoder().encode(
      JSON.stringify(envelopeOf(this.system, "orchestrator", agentRequests, posting)),
    );
    for (let time = 0; time < times; time++)
      await this.system.ports.eventLog.append(topicSubject("agent.requests"), bytes);
  }

  /** What an executor posts at its end. */
  async answer(more: Partial<Requested> = {}): Promise<void> {
    const { storyId, taskId, agentId, attempt } = this.request(more);
    const result = agentResult({ taskId: `${storyId}-${taskId}`, agentId });
    await sendResult(this.system, { ...result, place: { node: "there", attempt } });
  }

  async events<C extends Channel>(channel: C): Promise<readonly ChannelEvent<C>[]> {
    const logged = await this.system.ports.eventLog.read(topicFilter(patternOf(channel)), 1, 10_000);
    return logged.map((each) => parse(channel, each)).flatMap((fed) => (fed.kind === "event" ? [fed.event] : []));
  }

  /** States that were told of a job, in order. */
  async states(jobId: string): Promise<readonly string[]> {
    const events = await this.events(workspaceJobs);
    return events.filter(({ data }) => data.jobId === jobId).map(({ data }) => data.state);
  }

  async missing(): Promise<readonly { readonly jobId: string; readonly code: string; readonly message: string }[]> {
    const events = await this.events(agentResults);
    return events.flatMap((event) =>
      event.type === "agent.result.missing" ? [{ jobId: event.data.jobId, ...event.data.error }] : [],
    );
  }

  /** Waits until the try's job has begun, and answers with it. */
  async begun(id: string) {
    await waitUntil(`the job ${id} begins`, () => this.jobs.has(id));
    return this.jobs.at(id);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const life of this.#lives) await life.stop();
    await this.#stack.disposeAsync();
  }
}

/** Waits until a job has ended, and answers with it. */
export const endOf = (runner: WorkspaceRunnerService, jobId: string) =>
  waitUntil(`the job ${jobId} ends`, async () => {
    const job = await runner.job(jobId).catch(() => undefined);
    return job?.endedAtMs === undefined ? undefined : job;
  });
