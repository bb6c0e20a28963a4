// What the context service answers and changes; the actor around it is context.ts. It takes everything it needs in its constructor.
//
// CO1  A question is answered from the graph and nothing else. What planning has said a moment ago may still be on its way.
// CO2  A change is written to the log before it is applied (context.changes): what was answered is in a graph that is rebuilt, too.
// CO3  Updates are taken one after the other, so what was found valid is so when it is applied.

import { createHash } from "node:crypto";
import { type ActorSystem, type Random, topicFilter } from "../../runtime/index.ts";
import { decide, describeTools, standardPolicy, standardTools, type Tool } from "../../tools/index.ts";
import { roleNamed, roleNames } from "../council/roles.ts";
import { fail } from "../errors.ts";
import { contextChanges } from "../events/channels.ts";
import { bySchema } from "../events/envelope.ts";
import { type ChannelEvent, parse } from "../events/feed.ts";
import { envelopeOf, postEnvelope } from "../events/post.ts";
import { atOf } from "./agile-changes.ts";
import type { ContextApi, ContextBlocks, RolePack } from "./context-api.ts";
import { fitted } from "./context-text.ts";
import { failContext } from "./errors.ts";
import type { Graph } from "./graph.ts";
import { eventKey, type Intake, type Place } from "./intake.ts";
import type { Ledger } from "./ledger.ts";
import { impact, relationships, shown, why } from "./neighbourhood.ts";
import { localId, nodeId, typeOfId } from "./schema.ts";
import { type Grant, SCOPES, type Scope, type ScopePolicy } from "./scopes.ts";
import { sectionOf } from "./sections.ts";
import { StoryReads } from "./story-reads.ts";
import { readStory, relevantDecisions, type StoryView, type Wanted } from "./story-view.ts";
import type { TokenCounter } from "./token-counter.ts";
import { checkedChanges, invalid, keyOf, type Needed, updateChanges } from "./update-changes.ts";

export interface ContextServiceParts {
  readonly system: ActorSystem;
  readonly graph: Graph;
  readonly ledger: Ledger;
  readonly intake: Intake;
  readonly policy: ScopePolicy;
  readonly counter: TokenCounter;
  readonly random: Random;
}

type Asked<Method extends keyof ContextApi> = Parameters<ContextApi[Method]>[0];

/** Longer would hold up the end of the service. */
const WAIT_MAX_MS = 1_000;
const MILESTONES_IN_TEXT = 10;
const TIMELINE = 50;
const TIMELINE_MAX = 500;
const KEY_MAX = 100;
const EVERYTHING: Wanted = { tasks: true, decisions: true, relations: true, milestones: TIMELINE };

export class ContextService implements ContextApi {
  readonly #parts: ContextServiceParts;
  /** By role: describing them takes as long as a query. */
  readonly #tools = new Map<string, string>();
  readonly #reads: StoryReads;
  #updating: Promise<unknown> = Promise.resolve();

  constructor(parts: ContextServiceParts) {
    this.#parts = parts;
    this.#reads = new StoryReads(parts.graph);
  }

  async getContext({ storyId, role, phase, taskId, tokenBudget, waitMs = 0 }: Asked<"getContext">) {
    const { policy, counter } = this.#parts;
    const grant = policy.grant(role, phase);
    const scopes = SCOPES.filter((scope) => grant.required.includes(scope) || grant.allowed.includes(scope));
    if (taskId !== undefined) await this.#expectTask(storyId, taskId, waitMs);
    const view = await this.#reads.read(storyId, wantedBy(scopes));
    const task = taskId === undefined ? undefined : taskIn(view, storyId, taskId);
    const budget = tokenBudget ?? policy.budget(grant.role, view.tasks.length, view.decisions.length);
    if (!Number.isInteger(budget) || budget < 1)
      throw fail("FieldInvalid", `tokenBudget: a whole number from 1, not ${budget}.`, {
        data: { field: "tokenBudget" },
      });
    const sections = scopes.map((scope) => sectionOf(scope, view, { role: grant.role, task }));
    const { text, ...rest } = fitted(sections, grant.required, budget, counter);
    return { context: text, ...rest, version: view.version, hash: sha256(text), blocks: this.#blocks(grant, text) };
  }

  /** Beside the context: who the reader is, and what it may do. */
  #blocks({ role, phase, about }: Grant, context: string): ContextBlocks {
    const words = roleNames().includes(role) ? roleNamed(role).prompt : `You work as ${role}.`;
    const tools = this.#tools.get(role) ?? toolsOf(role);
    this.#tools.set(role, tools);
    return { system: `${words}\n\nThe story is in phase ${phase}. ${about}`, context, tools };
  }

  /**
   * Throws TaskUnknown where the graph has the story and not the task, after `waitMs`. A story that it does not have is its reader's to tell.
   */
  async #expectTask(storyId: string, taskId: string, waitMs: number): Promise<void> {
    const { ledger, system } = this.#parts;
    const id = keyOf("Task", storyId, taskId);
    const ending = new AbortController();
    // Before the graph is asked: what is written in between is not missed.
    const entitled = ledger.entitled(id, ending.signal);
    const timer = system.clock.schedule(Math.min(WAIT_MAX_MS, waitMs), () => ending.abort());
    try {
      if (await this.#isTitled("Task", id)) return;
      await entitled;
      if (await this.#isTitled("Task", id)) return;
    } finally {
      timer.cancel();
      ending.abort();
    }
    if (await this.#isTitled("Story", nodeId("Story", storyId))) throw taskUnknown(storyId, taskId);
  }

  async #isTitled(type: "Story" | "Task", id: string): Promise<boolean> {
    const [row] = await this.#parts.graph.run(`MATCH (n:${type} {id: $id}) RETURN n.title AS title`, { id });
    return (row?.title ?? null) !== null;
  }

  updateContext(request: Asked<"updateContext">) {
    const done = this.#updating.then(() => this.#update(request));
    this.#updating = done.catch(() => {});
    return done;
  }

  async #update(request: Asked<"updateContext">) {
    const { system, ledger, random } = this.#parts;
    const { storyId, changes, key = random.id(), expectedVersion } = request;
    const by = checkedBy(request);
    if (key.length === 0 || key.length > KEY_MAX)
      throw fail("FieldInvalid", `key: 1 to ${KEY_MAX} characters.`, { data: { field: "key" } });
    const needed = checkedChanges(storyId, changes);
    const idempotencyKey = `${storyId} ${key}`;
    const before = await ledger.applied(eventKey(contextChanges.address, { type: "context.changed", idempotencyKey }));
    if (before !== undefined) return { version: before.version, hash: before.hash };
    const version = await this.#storyVersion(storyId);
    if (expectedVersion !== undefined && expectedVersion !== version)
      throw fail("VersionStale", `Story ${storyId} changed last in version ${version}, not ${expectedVersion}.`, {
        data: { version },
      });
    const known = await this.#known(needed, request.taskId);
    const stated = needed.map((each) => ({ ...each.change, taskIds: concerned(each, known) }));
    const envelope = envelopeOf(system, "context", contextChanges, {
      ...{ type: "context.changed", key: idempotencyKey, correlationId: storyId },
      data: { storyId, by, changes: stated },
    });
    // CO2. When the same key is in the log already, what is there is what was asked.
    const { sequence, duplicate } = await postEnvelope(system, contextChanges, envelope);
    const event = duplicate ? await this.#logged(sequence) : (envelope as ChannelEvent<typeof contextChanges>);
    const applied = await this.takeChange(event, { topic: contextChanges.address });
    return { version: applied.version, hash: applied.hash };
  }

  /** An event of context.changes, from the log or just posted. */
  takeChange(event: ChannelEvent<typeof contextChanges>, place: Pick<Place, "topic">) {
    return this.#parts.intake.take(event, place, updateChanges(event.data, atOf(event)));
  }

  async #logged(sequence: number): Promise<ChannelEvent<typeof contextChanges>> {
    const { eventLog } = this.#parts.system.ports;
    const [logged] = await eventLog.read(topicFilter(contextChanges.address), sequence, 1);
    const fed = logged === undefined ? undefined : parse(contextChanges, logged);
    if (fed?.kind === "event") return fed.event;
    throw failContext("GraphUnavailable", "The change was posted before and is not in the log yet; ask again.");
  }

  /** Version of the story's last change. Throws StoryUnknown. */
  async #storyVersion(storyId: string): Promise<number> {
    const view = await readStory(this.#parts.graph, storyId, {
      ...{ tasks: false, decisions: false, relations: false, milestones: 0 },
    });
    return view.version;
  }

  /** Which nodes there are, with the tasks that decisions affect now. Throws ChangeInvalid, TaskUnknown. */
  async #known(needed: readonly Needed[], taskId: string | undefined): Promise<ReadonlyMap<string, readonly string[]>> {
    const { graph } = this.#parts;
    const storyId = needed[0]?.storyId ?? "";
    const inHand = taskId === undefined ? [] : [keyOf("Task", storyId, taskId)];
    const ids = [...new Set([...inHand, ...needed.flatMap(({ id, links }) => [id, ...links])])];
    const types = [...new Set(ids.map(typeOfId))].filter((type) => type !== undefined);
    const found = await Promise.all(
      types.map((type) => {
        const of = ids.filter((id) => typeOfId(id) === type);
        return graph.run(`MATCH (n:\`${type}\`) WHERE n.id IN $ids RETURN n.id AS id, n.title AS title`, { ids: of });
      }),
    );
    const known = new Map<string, string[]>();
    for (const { id, title } of found.flat()) if (title !== null) known.set(String(id), []);
    const affected = "MATCH (d:Decision)-[:AFFECTS]->(t:Task) WHERE d.id IN $ids RETURN d.id AS id, t.id AS task";
    for (const { id, task } of await graph.run(affected, { ids })) known.get(String(id))?.push(localId(String(task)));
    checkKnown(needed, known);
    if (taskId !== undefined && !known.has(inHand[0] ?? "")) throw taskUnknown(storyId, taskId);
    return known;
  }

  async rehydrateSession({
    storyId,
    roles,
    timelineEvents = TIMELINE,
    includeSummaries = true,
  }: Asked<"rehydrateSession">) {
    const { policy, graph } = this.#parts;
    if (!Number.isInteger(timelineEvents) || timelineEvents < 0 || timelineEvents > TIMELINE_MAX)
      throw fail("FieldInvalid", `timelineEvents: a whole number from 0 to ${TIMELINE_MAX}.`, {
        data: { field: "timelineEvents" },
      });
    const named = [...new Set(roles.map((role) => policy.role(role)))];
    const view = await readStory(graph, storyId, { ...EVERYTHING, milestones: timelineEvents });
    const packs = named.map((role) => this.#pack(view, role, includeSummaries));
    const edges = [...view.tasks.map(({ needs }) => needs), ...view.decisions.map(({ affects }) => affects)].flat();
    return {
      ...{ storyId, version: view.version, packs },
      stats: {
        ...{ tasks: view.tasks.length, decisions: view.decisions.length },
        ...{ edges: edges.length + view.relations.length, events: view.milestones.length },
      },
    };
  }

  #pack(view: StoryView, role: string, includeSummaries: boolean): RolePack {
    const { policy } = this.#parts;
    const seesAll = policy.seesAll(role);
    const tasks = seesAll ? view.tasks : view.tasks.filter(({ properties }) => properties.role === role);
    const decisions = seesAll ? view.decisions : relevantDecisions(view, role, undefined);
    const node = (type: string) => (of: { readonly properties: StoryView["story"] }) =>
      shown({ type, properties: of.properties });
    return {
      role,
      story: shown({ type: "Story", properties: view.story }),
      tasks: tasks.map(node("Task")),
      decisions: decisions.map(node("Decision")),
      impacted: decisions.flatMap(({ id, affects }) => affects.map((taskId) => ({ decisionId: id, taskId }))),
      milestones: view.milestones.map(shown),
      lastSummary: includeSummaries ? String(view.story.summary ?? "") : "",
      tokenBudget: policy.budget(role, view.tasks.length, view.decisions.length),
    };
  }

  async validateScope({ role, phase, scopes }: Asked<"validateScope">) {
    return this.#parts.policy.validate(role, phase, scopes);
  }

  relationships({ nodeId: id, depth = 1 }: Asked<"relationships">) {
    return relationships(this.#parts.graph, id, depth);
  }

  impact(decisionId: string) {
    return impact(this.#parts.graph, decisionId);
  }

  why(commit: string) {
    return why(this.#parts.graph, commit);
  }
}

const wantedBy = (scopes: readonly Scope[]): Wanted => ({
  tasks: true,
  decisions: scopes.some((scope) => scope.startsWith("DECISIONS_")),
  relations: scopes.includes("DEPS_DECISIONS"),
  milestones: scopes.includes("MILESTONES") ? MILESTONES_IN_TEXT : 0,
});

function taskIn(view: StoryView, storyId: string, taskId: string): string {
  const id = keyOf("Task", storyId, taskId);
  if (view.tasks.some((task) => task.id === id)) return id;
  throw taskUnknown(storyId, taskId);
}

const taskUnknown = (storyId: string, taskId: string) =>
  fail("TaskUnknown", `Story ${storyId} has no task ${taskId} in the graph.`, { data: { storyId, taskId } });

const sha256 = (text: string): string => createHash("sha256").update(text).digest("hex");

/** What the role may do, from the tools and the policy as they are. */
function toolsOf(role: string): string {
  const mayUse = ({ name, risk }: Tool) => decide({ role, tool: name, risk }, standardPolicy).kind !== "deny";
  return describeTools(standardTools().filter(mayUse));
}

function checkedBy({ by, role }: Asked<"updateContext">) {
  const parsed = bySchema.safeParse(role === undefined || by?.role !== undefined ? by : { ...by, role });
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  throw fail("FieldInvalid", `by: ${issue?.path.join(".")}: ${issue?.message}.`, { data: { field: "by" } });
}

/** Throws ChangeInvalid for the first change whose own node, or one that it names, is not as it needs it. */
function checkKnown(needed: readonly Needed[], known: ReadonlyMap<string, unknown>): void {
  const made = new Set(needed.filter(({ mustExist }) => !mustExist).map(({ id }) => id));
  for (const { index, change, id, mustExist, links } of needed) {
    if (mustExist && !known.has(id)) throw invalid(index, change, "there is no such entity to change");
    if (!mustExist && known.has(id)) throw invalid(index, change, "there is one already; update it");
    const missing = links.find((link) => !known.has(link) && !made.has(link));
    if (missing !== undefined) throw invalid(index, change, `the graph has no ${missing}`);
  }
}

/** Ids of the tasks that a change concerns; none: the whole story. */
function concerned({ id, links }: Needed, known: ReadonlyMap<string, readonly string[]>): readonly string[] {
  const named = [id, ...links].filter((each) => typeOfId(each) === "Task").map(localId);
  return [...new Set([...named, ...(known.get(id) ?? [])])].sort();
}
