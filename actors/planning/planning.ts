// Planning as an actor, for the name `planning` in the namespace of services. What it does is in planning-service.ts.
// It is not who judges stories and reports: those rules are story-coach/'s and workspace-score/'s.

import { readFile } from "node:fs/promises";
import { actorContext, defineActor } from "../../runtime/index.ts";
import { stopWithLife } from "../service-life.ts";
import type { PlanningApi } from "./planning-api.ts";
import { PlanningService } from "./planning-service.ts";
import type { PlanningRules } from "./rules.ts";
import { readStoryTable } from "./story-table.ts";

export interface PlanningSettings {
  /** YAML text in place of story-states.yaml. */
  readonly table?: string;
  /** YAML text in place of the built-in rigor table (workspace-score/rigor.yaml). */
  readonly rigor?: string;
}

/** How stories and reports are judged; loaded when the actor starts. */
async function loadRules(rigor: string | undefined): Promise<PlanningRules> {
  const [{ loadRigor }, { readiness }, { scoreReport }] = await Promise.all([
    import("../workspace-score/rigor-table.ts"),
    import("../story-coach/story-score.ts"),
    import("../workspace-score/workspace-score.ts"),
  ]);
  const table = await loadRigor(rigor);
  return {
    readiness: (draft, level) => readiness(draft, level, table),
    report: (report, level) => {
      const { gate, score, reasons } = scoreReport(report, level, table);
      return { gate, score, reasons };
    },
  };
}

type Answer<M extends keyof PlanningApi> = ReturnType<PlanningApi[M]>;
type Input<M extends keyof PlanningApi> = Parameters<PlanningApi[M]>[0];

class PlanningActor implements PlanningApi {
  readonly #settings: PlanningSettings;
  #started: PlanningService | undefined;

  constructor(settings: PlanningSettings = {}) {
    this.#settings = settings;
  }

  async onStart(): Promise<void> {
    const { system, timers, random, log } = actorContext();
    const text = this.#settings.table ?? (await readFile(new URL("story-states.yaml", import.meta.url), "utf8"));
    const [table, rules] = await Promise.all([readStoryTable(text), loadRules(this.#settings.rigor)]);
    const trace = () => actorContext().trace?.traceparent;
    this.#started = new PlanningService({ system, timers, random, table, rules, log, trace });
    stopWithLife(() => this.onStop());
    await this.#started.start();
  }

  async onStop(): Promise<void> {
    await this.#started?.close();
  }

  get #service(): PlanningService {
    if (this.#started === undefined) throw new Error("a message came before onStart was done");
    return this.#started;
  }

  async createProject(draft: Input<"createProject">): Answer<"createProject"> {
    return this.#service.createProject(draft);
  }
  async createEpic(draft: Input<"createEpic">): Answer<"createEpic"> {
    return this.#service.createEpic(draft);
  }
  async projects(): Answer<"projects"> {
    return this.#service.projects();
  }
  async epics(projectId?: string): Answer<"epics"> {
    return this.#service.epics(projectId);
  }
  async createStory(draft: Input<"createStory">): Answer<"createStory"> {
    return this.#service.createStory(draft);
  }
  async editStory(edit: Input<"editStory">): Answer<"editStory"> {
    return this.#service.editStory(edit);
  }
  async story(id: string): Answer<"story"> {
    return this.#service.story(id);
  }
  async stories(filter?: Input<"stories">): Answer<"stories"> {
    return this.#service.stories(filter);
  }
  async available(storyId: string): Answer<"available"> {
    return this.#service.available(storyId);
  }
  async transition(change: Input<"transition">): Answer<"transition"> {
    return this.#service.transition(change);
  }
  async proposePlan(change: Input<"proposePlan">): Answer<"proposePlan"> {
    return this.#service.proposePlan(change);
  }
  async addTasks(change: Input<"addTasks">): Answer<"addTasks"> {
    return this.#service.addTasks(change);
  }
  async taskChanged(change: Input<"taskChanged">): Answer<"taskChanged"> {
    return this.#service.taskChanged(change);
  }
  async recordReport(change: Input<"recordReport">): Answer<"recordReport"> {
    return this.#service.recordReport(change);
  }
  async approvals(filter?: Input<"approvals">): Answer<"approvals"> {
    return this.#service.approvals(filter);
  }
  async approval(id: string): Answer<"approval"> {
    return this.#service.approval(id);
  }
  async decide(decision: Input<"decide">): Answer<"decide"> {
    return this.#service.decide(decision);
  }
  async ask(question: Input<"ask">): Answer<"ask"> {
    return this.#service.ask(question);
  }
}

/**
 * Spawned with one PlanningSettings. It does not start with a table that cannot be used (StoryTableInvalid, RigorInvalid, as ActorStartFailed).
 */
export const Planning = defineActor("planning", PlanningActor, { version: "1" });
