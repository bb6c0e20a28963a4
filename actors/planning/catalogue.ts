// Projects and epics: made once, listed, never changed. Stories refer to them.

import type { Random } from "../../runtime/index.ts";
import { agileEvents } from "../events/channels.ts";
import { envelopeOf } from "../events/post.ts";
import { planningError } from "./errors.ts";
import { newId } from "./ids.ts";
import { OutboxDocuments, type OutboxOptions } from "./outbox-documents.ts";
import type { PlanningApi } from "./planning-api.ts";
import { type Epic, epicSchema, type Project, projectSchema } from "./story.ts";
import type { Notice } from "./story-record.ts";

export interface CatalogueOptions extends Pick<OutboxOptions<unknown>, "system" | "timers" | "log"> {
  readonly random: Random;
  readonly trace: () => string | undefined;
}

export class Catalogue {
  readonly #options: CatalogueOptions;
  readonly #projects: OutboxDocuments<Project>;
  readonly #epics: OutboxDocuments<Epic>;

  constructor(options: CatalogueOptions) {
    const { system, timers, log } = options;
    this.#options = options;
    this.#projects = new OutboxDocuments({ system, timers, log, prefix: "planning.project", schema: projectSchema });
    this.#epics = new OutboxDocuments({ system, timers, log, prefix: "planning.epic", schema: epicSchema });
  }

  async load(): Promise<void> {
    await Promise.all([this.#projects.load(), this.#epics.load()]);
  }

  async close(): Promise<void> {
    await Promise.all([this.#projects.close(), this.#epics.close()]);
  }

  /** Throws IdTaken, Unavailable. */
  async createProject(draft: Parameters<PlanningApi["createProject"]>[0]): Promise<Project> {
    const { key, title, description } = draft;
    const id = draft.id ?? newId("project", key, this.#options.random);
    const project: Project = { id, title, description, createdAtMs: this.#options.system.clock.now() };
    const notice: Notice = { type: "project.created", key: id, data: { projectId: id, title } };
    return this.#made(id, await this.#projects.create(id, key, () => this.#change(project, id, notice)));
  }

  /** Throws ProjectUnknown, IdTaken, Unavailable. */
  async createEpic(draft: Parameters<PlanningApi["createEpic"]>[0]): Promise<Epic> {
    const { key, title, description, projectId } = draft;
    if ((await this.#projects.get(projectId)) === undefined)
      throw planningError("ProjectUnknown", `There is no project ${projectId}.`, { data: { projectId } });
    const id = draft.id ?? newId("epic", key, this.#options.random);
    const epic: Epic = { id, title, description, projectId, createdAtMs: this.#options.system.clock.now() };
    const notice: Notice = { type: "epic.created", key: id, data: { epicId: id, projectId, title } };
    return this.#made(id, await this.#epics.create(id, key, () => this.#change(epic, id, notice)));
  }

  /** Throws EpicUnknown, Unavailable. */
  async epic(epicId: string): Promise<Epic> {
    const epic = await this.#epics.get(epicId);
    if (epic === undefined) throw planningError("EpicUnknown", `There is no epic ${epicId}.`, { data: { epicId } });
    return epic;
  }

  projects(): readonly Project[] {
    return sorted([...this.#projects.bodies()]);
  }

  epics(projectId?: string): readonly Epic[] {
    return sorted([...this.#epics.bodies()].filter((epic) => projectId === undefined || epic.projectId === projectId));
  }

  #change<T>(body: T, correlationId: string, notice: Notice) {
    const traceparent = this.#options.trace();
    const trace = traceparent === undefined ? {} : { traceparent };
    const letter = envelopeOf(this.#options.system, "planning", agileEvents, { ...notice, correlationId, ...trace });
    return { body, letters: [letter], field: "description" };
  }

  #made<T>(id: string, made: T | undefined): T {
    if (made === undefined) throw planningError("IdTaken", `The id ${id} is taken.`, { data: { id } });
    return made;
  }
}

const sorted = <T extends { readonly id: string }>(all: readonly T[]): readonly T[] =>
  all.toSorted((one, other) => (one.id < other.id ? -1 : 1));
