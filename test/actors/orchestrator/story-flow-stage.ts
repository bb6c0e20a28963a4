// One process with a story flow between a Planning and a runner that are played: what each test of the flow begins with.

import { afterEach } from "vitest";
import { deadEvents } from "../../../actors/events/channels.ts";
import { StoryFlow, type StoryFlowOptions } from "../../../actors/orchestrator/story-flow.ts";
import type { Approval, TaskDraft } from "../../../actors/planning/story.ts";
import { type ActorSystem, type Clock, connect, systemClock, topicSubject } from "../../../runtime/index.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { StagePlanning } from "./story-flow-planning.ts";
import { type StageOutcome, type StageRequest, StageRunner } from "./story-flow-runner.ts";

export const draft = (id: string, more: Partial<TaskDraft> = {}): TaskDraft => ({
  ...{ id, title: `Task ${id}`, text: `Do ${id}.`, role: "DEV", phase: "BUILD", dependsOn: [] },
  ...{ priority: 5, size: "S", ...more },
});

export interface StagePlan {
  /** What an agent makes of a request. Default: done at once. */
  readonly script?: (request: StageRequest) => StageOutcome;
  /** Tasks of every plan. Default: one for each list item of its text. */
  readonly tasks?: readonly TaskDraft[];
  readonly flow?: Partial<StoryFlowOptions>;
}

/** Pauses last a hundredth: consumers try again and save their places within a life of some milliseconds. */
const HASTY: Clock = {
  ...systemClock,
  schedule: (delayMs, run, keepAlive) => systemClock.schedule(delayMs / 100, run, keepAlive),
};
const SETTINGS = { lostAfterMs: 3_600_000 };

export class Stage {
  readonly system: ActorSystem;
  /** The same, for the flow. */
  readonly hasty: ActorSystem;
  readonly planning: StagePlanning;
  readonly runner: StageRunner;
  readonly logged: string[] = [];
  readonly #plan: StagePlan;
  readonly #end = new AbortController();
  readonly #running: Promise<void>;
  readonly flows: StoryFlow[] = [];

  constructor(system: ActorSystem, plan: StagePlan) {
    this.system = system;
    this.hasty = new Proxy(system, {
      get: (target, name) => (name === "clock" ? HASTY : Reflect.get(target, name, target)),
    });
    this.#plan = plan;
    this.planning = new StagePlanning(system);
    this.runner = new StageRunner(system, plan.script);
    this.#running = this.runner.run(this.#end.signal).catch(() => {});
  }

  static async open(plan: StagePlan = {}): Promise<Stage> {
    return new Stage(await connect(), plan);
  }

  /** Begins a life of the flow. */
  begin(more: Partial<StoryFlowOptions> = {}): StoryFlow {
    const { tasks, flow: given } = this.#plan;
    const flow = new StoryFlow({
      ...{ system: this.hasty, planning: this.planning.client, runner: this.runner.client, context: undefined },
      ...{ model: { kind: "mock" }, log: (level, message) => this.logged.push(`${level} ${message}`) },
      derive: async ({ text }) => tasks ?? text.split("\n").map((line, at) => draft(`t${at}`, { text: line.slice(2) })),
      ...{ ...given, ...more, settings: { ...SETTINGS, ...given?.settings, ...more.settings } },
    });
    this.flows.push(flow);
    flow.start();
    return flow;
  }

  async close(): Promise<void> {
    this.#end.abort();
    await Promise.all([this.#running, ...this.flows.map((flow) => flow.stop())]);
    await this.system.close();
  }

  reaches(storyId: string, state: string): Promise<unknown> {
    return waitUntil(`${storyId} reached ${state}`, () => this.planning.now(storyId).state === state);
  }

  /** With people who let it pass everywhere. */
  finishes(storyId: string): Promise<unknown> {
    return waitUntil(`${storyId} is done and delivered`, async () => {
      await this.planning.moveOn(storyId);
      return this.planning.now(storyId).state === "DONE" && this.runner.delivered.includes(storyId);
    });
  }

  task(storyId: string, taskId: string) {
    return this.planning.now(storyId).tasks.find(({ id }) => id === taskId);
  }

  becomes(storyId: string, taskId: string, status: string): Promise<unknown> {
    return waitUntil(`${taskId} is ${status}`, () => this.task(storyId, taskId)?.status === status);
  }

  /** The first question about a story that waits for a person. */
  asks(storyId: string): Promise<Approval> {
    return waitUntil("a person was asked", async () => (await this.planning.approvals({ storyId }))[0]);
  }

  request(jobId: string): Promise<StageRequest> {
    return waitUntil(`${jobId} was asked for`, () => this.runner.requests.get(jobId));
  }

  /** What is on a topic again, `times` over, past the log's own window for repetitions. */
  async redeliver(topic: string, times: number): Promise<void> {
    const { eventLog } = this.system.ports;
    for (const { subject, data } of await eventLog.read(topicSubject(topic), 1, 1_000))
      for (let time = 0; time < times; time++) await eventLog.append(subject, data);
  }

  /** Resolves when the flow has taken in every event that is there now. */
  async settled(): Promise<void> {
    const last = await this.system.ports.eventLog.lastSequence();
    for (const name of ["orchestrator-agile", "orchestrator-results"]) {
      const channel = name === "orchestrator-agile" ? "topic.agile.events" : "topic.agent.results.*";
      const ours = (await this.system.ports.eventLog.read(channel, 1, 10_000)).findLast(
        ({ sequence }) => sequence <= last,
      );
      if (ours === undefined) continue;
      await waitUntil(`${name} took in what is there`, async () => {
        const entry = await this.system.ports.store.get(`consumer.${name}`);
        return entry !== undefined && Number(new TextDecoder().decode(entry.value)) > ours.sequence;
      });
    }
  }

  async dead(): Promise<readonly string[]> {
    const codes: string[] = [];
    for (const logged of await this.system.ports.eventLog.read(topicSubject(deadEvents.address), 1, 1_000))
      codes.push(
        (JSON.parse(new TextDecoder().decode(logged.data)) as { data: { reason: { code: string } } }).data.reason.code,
      );
    return codes;
  }
}

/** For a file of tests: stages that are closed after each. `building`: with a story "s" in BUILD, and a flow at work. */
export function stages() {
  const open: Stage[] = [];
  afterEach(() => Promise.all(open.splice(0).map((stage) => stage.close())));
  const stageOf = async (plan: StagePlan = {}): Promise<Stage> => {
    const stage = await Stage.open(plan);
    open.push(stage);
    return stage;
  };
  const building = async (plan: StagePlan): Promise<Stage> => {
    const stage = await stageOf(plan);
    stage.planning.put("s");
    await stage.planning.approve("s");
    stage.begin();
    return stage;
  };
  return { stageOf, building };
}
