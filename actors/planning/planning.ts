// Planning as an actor, for the name `planning` in the namespace of services. What it does is in planning-service.ts.
// It is not who judges stories and reports: those rules are handed in by whoever puts the services together.

import { readFile } from "node:fs/promises";
import { actorContext, defineActor, type SpawnOptions } from "../../runtime/index.ts";
import type { PlanningApi } from "./planning-api.ts";
import { PlanningService } from "./planning-service.ts";
import type { PlanningRules } from "./rules.ts";
import { readStoryTable } from "./story-table.ts";

export interface PlanningSettings {
  /** YAML text in place of story-states.yaml. */
  readonly table?: string;
}

/** Changes of one story wait for one another, those of different stories do not: so many calls are in hand at once. */
export const PLANNING_SPAWN = { concurrency: 256 } as const satisfies SpawnOptions;

type Answer<M extends keyof PlanningApi> = ReturnType<PlanningApi[M]>;
type Input<M extends keyof PlanningApi> = Parameters<PlanningApi[M]>[0];

class PlanningActor implements PlanningApi {
  readonly #loadRules: () => Promise<PlanningRules>;
  readonly #settings: PlanningSettings;
  #started: PlanningService | undefined;

  constructor(loadRules: () => Promise<PlanningRules>, settings: PlanningSettings) {
    this.#loadRules = loadRules;
    this.#settings = settings;
  }

  async onStart(): Promise<void> {
    const { system, timers, random, log } = actorContext();
    const text = this.#settings.table ?? (await readFile(new URL("story-states.yaml", import.meta.url), "utf8"));
    const [table, rules] = await Promise.all([readStoryTable(text), this.#loadRules()]);
    const trace = () => actorContext().trace?.traceparent;
    this.#started = new PlanningService({ system, timers, random, table, rules, log, trace });
    await this.#started.start();
  }

  async onStop(): Promise<void> {
    await this.#started?.close();
  }

  get #service(): PlanningService {
    if (this.#started === undefined) throw new Error("a message came before onStart was done");
    return this.#started;
  }

  createProject(draft: Input<"createProject">): Answer<"createProject"> {
    return this.#service.createProject(draft);
  }
  createEpic(draft: Input<"createEpic">): Answer<"createEpic"> {
    return this.#service.createEpic(draft);
  }
  projects(): Answer<"projects"> {
    return this.#service.projects();
  }
  epics(projectId?: string): Answer<"epics"> {
    return this.#service.epics(projectId);
  }
  createStory(draft: Input<"createStory">): Answer<"createStory"> {
    return this.#service.createStory(draft);
  }
  editStory(edit: Input<"editStory">): Answer<"editStory"> {
    return this.#service.editStory(edit);
  }
  story(id: string): Answer<"story"> {
    return this.#service.story(id);
  }
  stories(filter?: Input<"stories">): Answer<"stories"> {
    return this.#service.stories(filter);
  }
  available(storyId: string): Answer<"available"> {
    return this.#service.available(storyId);
  }
  transition(change: Input<"transition">): Answer<"transition"> {
    return this.#service.transition(change);
  }
  proposePlan(change: Input<"proposePlan">): Answer<"proposePlan"> {
    return this.#service.proposePlan(change);
  }
  addTasks(change: Input<"addTasks">): Answer<"addTasks"> {
    return this.#service.addTasks(change);
  }
  taskChanged(change: Input<"taskChanged">): Answer<"taskChanged"> {
    return this.#service.taskChanged(change);
  }
  recordReport(change: Input<"recordReport">): Answer<"recordReport"> {
    return this.#service.recordReport(change);
  }
  approvals(filter?: Input<"approvals">): Answer<"approvals"> {
    return this.#service.approvals(filter);
  }
  approval(id: string): Answer<"approval"> {
    return this.#service.approval(id);
  }
  decide(decision: Input<"decide">): Answer<"decide"> {
    return this.#service.decide(decision);
  }
  ask(question: Input<"ask">): Answer<"ask"> {
    return this.#service.ask(question);
  }
}

/**
 * The actor type, made with one PlanningSettings. `loadRules`: how stories and reports are judged, loaded when the actor starts. It does not
 * start with a table that cannot be used (StoryTableInvalid).
 */
export function definePlanning(loadRules: () => Promise<PlanningRules>) {
  class Planning extends PlanningActor {
    constructor(settings: PlanningSettings = {}) {
      super(loadRules, settings);
    }
  }
  return defineActor("planning", Planning, { version: "1" });
}
