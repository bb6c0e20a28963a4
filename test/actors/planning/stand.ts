// Planning on memory ports that can fail, with rules whose verdicts a test can see coming. And everything that it has told.

import { readFile } from "node:fs/promises";
import { agileEvents, topicOf } from "../../../actors/events/channels.ts";
import type { By } from "../../../actors/events/envelope.ts";
import { type ChannelEvent, parse } from "../../../actors/events/feed.ts";
import type { PostSystem } from "../../../actors/events/post.ts";
import type { StoryDraft } from "../../../actors/planning/planning-api.ts";
import { PlanningService } from "../../../actors/planning/planning-service.ts";
import type { PlanningRules } from "../../../actors/planning/rules.ts";
import { type Rigor, TASKS_MAX, type TaskDraft } from "../../../actors/planning/story.ts";
import { readStoryTable, type StoryTable } from "../../../actors/planning/story-table.ts";
import {
  type ActorSystem,
  type Clock,
  connect,
  type EventLog,
  FlotillaError,
  type Store,
  seededRandom,
  topicSubject,
} from "../../../runtime/index.ts";

export const po: By = { kind: "human", id: "paula", role: "po" };
export const architect: By = { kind: "human", id: "arno", role: "architect" };
export const qa: By = { kind: "human", id: "quinn", role: "qa" };
export const system: By = { kind: "system", id: "orchestrator" };
export const agent: By = { kind: "agent", id: "agent-dev-001", role: "DEV" };

const THRESHOLDS: Readonly<Record<Rigor, number>> = { L0: 50, L1: 75, L2: 85, L3: 90 };

/** A story scores 80 with a criterion and 40 without one; a report is as good as its build. */
export const rules: PlanningRules = {
  readiness: ({ criteria }, rigor) => ({
    score: criteria.length > 0 ? 80 : 40,
    threshold: THRESHOLDS[rigor],
    findings: criteria.length > 0 ? [] : [{ code: "AC_MISSING", part: "criteria", message: "There are no criteria" }],
  }),
  report: ({ build }) =>
    build?.success
      ? { gate: "pass", score: 100, reasons: [] }
      : { gate: "block", score: 20, reasons: ["The build fails"] },
};

export const passing = { build: { success: true } };
export const failing = { build: { success: false } };

const defaultTable = new URL("../../../actors/planning/story-states.yaml", import.meta.url);
export const tableText = (): Promise<string> => readFile(defaultTable, "utf8");

export const draft = (change: Partial<StoryDraft> = {}): StoryDraft => ({
  ...{ by: po, title: "Log in", description: "As a user I want to log in so that I see my data." },
  criteria: ["Given a user, when she logs in, then she sees her data"],
  ...change,
});

export const task = (id: string, change: Partial<TaskDraft> = {}): TaskDraft => ({
  ...{
    id,
    title: `Do ${id}`,
    text: `Do ${id} well`,
    role: "DEV",
    phase: "BUILD",
    dependsOn: [],
    priority: 5,
    size: "M",
  },
  ...change,
});

export const tooManyTasks = Array.from({ length: TASKS_MAX + 1 }, (_, index) => task(`t${index}`));

export const plan = { id: "plan-1", title: "The plan", text: "- a step" };

/** What a test may do to the ports; each number counts down. */
export interface Faults {
  /** Appends that are done before the next ones fail. */
  logPasses: number;
  /** Appends that are refused. */
  logFails: number;
  /** Writes of the store that are done and whose answer is lost. */
  storeDeaf: number;
  /** Writes of the store that met another one; counts up. */
  conflicts: number;
}

export interface Stand extends AsyncDisposable {
  readonly planning: PlanningService;
  readonly system: ActorSystem;
  readonly faults: Faults;
  readonly table: StoryTable;
  /** Another instance over the same store and log. */
  another(): Promise<PlanningService>;
  events(): Promise<readonly ChannelEvent<typeof agileEvents>[]>;
}

export type EventOf<T extends string> = Extract<ChannelEvent<typeof agileEvents>, { type: T }>;

export const ofType = <T extends string>(events: readonly ChannelEvent<typeof agileEvents>[], type: T) =>
  events.filter((event): event is EventOf<T> => event.type === type);

const unavailable = () => new FlotillaError("Unavailable", "it cannot be reached", { retryable: true });

/** The port with one method replaced. */
const replaced = <Port extends object>(port: Port, name: keyof Port, by: Port[keyof Port]): Port =>
  new Proxy(port, {
    get(target, property) {
      if (property === name) return by;
      const value: unknown = Reflect.get(target, property);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });

function faulty(live: ActorSystem, faults: Faults): PostSystem {
  const { eventLog, store } = live.ports;
  const append: EventLog["append"] = async (...args) => {
    if (faults.logPasses-- <= 0 && faults.logFails-- > 0) throw unavailable();
    return eventLog.append(...args);
  };
  const update: Store["update"] = async (...args) => {
    const written = await store.update(...args);
    if (written.kind === "conflict") faults.conflicts++;
    if (faults.storeDeaf-- > 0) throw unavailable();
    return written;
  };
  const ports = {
    ...live.ports,
    eventLog: replaced(eventLog, "append", append),
    store: replaced(store, "update", update),
  };
  return { ports, clock: live.clock, node: live.node };
}

export async function openStand(options: { readonly clock?: Clock; readonly tableText?: string } = {}): Promise<Stand> {
  const { clock, tableText: text = await tableText() } = options;
  const live = await connect(clock === undefined ? {} : { clock });
  const table = await readStoryTable(text);
  const faults: Faults = { logPasses: 0, logFails: 0, storeDeaf: 0, conflicts: 0 };
  const port = faulty(live, faults);
  const services: PlanningService[] = [];
  const random = seededRandom(7);
  const another = async () => {
    const timers = { after: (ms: number, run: () => unknown) => live.clock.schedule(ms, () => void run()) };
    const service = new PlanningService({ system: port, timers, random, table, rules, log: () => {} });
    await service.start();
    services.push(service);
    return service;
  };
  const planning = await another();
  return {
    ...{ planning, system: live, faults, table, another },
    async events() {
      const logged = await live.ports.eventLog.read(topicSubject(topicOf(agileEvents)), 1, 10_000);
      return logged.map((each) => {
        const fed = parse(agileEvents, each);
        if (fed.kind === "bad") throw new Error(`planning told of something that is no event: ${fed.message}`);
        return fed.event;
      });
    },
    async [Symbol.asyncDispose]() {
      for (const service of services) await service.close();
      await live.close();
    },
  };
}

/** A story in BUILD, by an approved plan with these tasks. */
export async function inBuild(planning: PlanningService, id: string, tasks: readonly TaskDraft[] = [task("t1")]) {
  await planning.createStory(draft({ id }));
  await planning.transition({ by: po, storyId: id, event: "approve_scope" });
  await planning.proposePlan({ by: system, storyId: id, plan });
  await planning.transition({ by: architect, storyId: id, event: "approve_design" });
  return planning.addTasks({ by: system, storyId: id, planId: plan.id, tasks });
}

/** All of its tasks of the phase done, with a report that passes. */
export async function finish(planning: PlanningService, storyId: string, phase: "BUILD" | "DOCS") {
  const { tasks } = await planning.story(storyId);
  for (const { id, status } of tasks.filter((each) => each.phase === phase)) {
    if (status !== "done" && status !== "cancelled")
      await planning.taskChanged({ by: system, storyId, taskId: id, status: "done", attempt: 1 });
  }
  return planning.recordReport({ by: system, storyId, phase, report: passing });
}
