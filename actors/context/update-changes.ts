// What UpdateContext may change, by type of entity: which operations, which fields, which edges. And the change set it becomes. Pure.
//
// UC1  Every change is looked at before any is applied; the first that is wrong is named by its place, its entity and its field.
// UC2  What planning says of its own entities is not changed here (SC3): they take a summary.
// UC3  Edges of a kind that a change names are from then on exactly those; kinds that it does not name stay.

import { z } from "zod";
import type { contextChanges, DataOf } from "../events/channels.ts";
import { idSchema, TEXT_MAX, TITLE_MAX } from "../planning/story.ts";
import { nameOf } from "./agile-changes.ts";
import { type ChangeSet, edge, known, type Told } from "./change-set.ts";
import type { ContextChange, EntityType } from "./context-api.ts";
import { failContext } from "./errors.ts";
import type { Value } from "./graph.ts";
import { type EdgeType, ENTITY_TYPES, fieldsOf, nodeId, ownId, typeOfId } from "./schema.ts";

export const CHANGES_MAX = 100;
/** Of all changes of one call, as JSON: one event must hold them. */
export const CHANGES_MAX_BYTES = 256 * 1_024;
const LINKS_MAX = 200;

const title = z.string().min(1).max(TITLE_MAX);
const text = z.string().max(TEXT_MAX);
const links = z.array(z.string().min(1)).max(LINKS_MAX);
const summaryOnly = z.strictObject({ summary: text.min(1) });

const decision = z.strictObject({
  title,
  text: text.exactOptional(),
  status: z.enum(["proposed", "accepted", "rejected", "superseded"]).exactOptional(),
  roles: z.array(z.string().min(1).max(40)).exactOptional(),
  affects: links.exactOptional(),
  dependsOn: links.exactOptional(),
  supersedes: links.exactOptional(),
  relatesTo: links.exactOptional(),
});
const milestone = z.strictObject({ title, detail: text.exactOptional(), concerns: links.exactOptional() });
const commit = z.strictObject({
  title: title.exactOptional(),
  files: z.array(z.string()).max(LINKS_MAX).exactOptional(),
  task: z.string().exactOptional(),
  mergedAs: z.string().exactOptional(),
});
const execution = z.strictObject({
  task: z.string(),
  tool: z.string().min(1).max(TITLE_MAX),
  outcome: z.string().min(1).max(40),
  params: text.exactOptional(),
  error: text.exactOptional(),
});

interface Changeable {
  readonly create?: z.ZodType;
  readonly update?: z.ZodType;
  readonly canDelete?: boolean;
  readonly id: z.ZodType<string>;
}

const planned: Changeable = { update: summaryOnly, id: idSchema };
const hash = z.string().regex(/^[0-9a-f]{7,64}$/, "a commit's hash: 7 to 64 hexadecimal digits");

const CHANGEABLE: Readonly<Record<EntityType, Changeable>> = {
  ...{ Project: planned, Epic: planned, Story: planned, Plan: planned, Task: planned },
  Decision: { create: decision, update: decision.partial(), canDelete: true, id: idSchema },
  Milestone: { create: milestone, update: milestone.partial(), canDelete: true, id: idSchema },
  Commit: { create: commit, update: commit, id: hash },
  ToolExecution: { create: execution, id: idSchema },
};

/** Fields of a payload that are edges: their type and what is at their other end. */
const LINKS: Readonly<Record<string, { readonly type: EdgeType; readonly to: EntityType }>> = {
  affects: { type: "AFFECTS", to: "Task" },
  dependsOn: { type: "DEPENDS_ON", to: "Decision" },
  supersedes: { type: "SUPERSEDES", to: "Decision" },
  relatesTo: { type: "RELATES_TO", to: "Decision" },
  concerns: { type: "CONCERNS", to: "Task" },
  mergedAs: { type: "MERGED_AS", to: "Commit" },
};
const TASK_EDGE: Readonly<Partial<Record<EntityType, EdgeType>>> = { Commit: "PRODUCED", ToolExecution: "EXECUTED" };
/** Types whose keys do not lie within a story's. */
const GLOBAL: readonly EntityType[] = ["Project", "Epic", "Story", "Commit"];

type Changed = DataOf<typeof contextChanges, "context.changed">;
type Change = Changed["changes"][number];

/** The key of what somebody names: as it is when it is one, else that of the story's own. */
export function keyOf(type: EntityType, storyId: string, given: string): string {
  if (typeOfId(given) === type) return given;
  return GLOBAL.includes(type) ? nodeId(type, given) : nodeId(type, storyId, given);
}

/** What must be so before a change is applied: nodes that it needs, and whether its own is there. */
export interface Needed {
  readonly storyId: string;
  readonly index: number;
  readonly change: ContextChange;
  readonly id: string;
  readonly mustExist: boolean;
  readonly links: readonly string[];
}

/** Looks at the shape of all changes (UC1). Throws ChangeInvalid. */
export function checkedChanges(storyId: string, changes: readonly ContextChange[]): readonly Needed[] {
  const say = (message: string) => failContext("ChangeInvalid", message);
  if (changes.length === 0 || changes.length > CHANGES_MAX)
    throw say(`A call takes 1 to ${CHANGES_MAX} changes, not ${changes.length}.`);
  const bytes = Buffer.byteLength(JSON.stringify(changes));
  if (bytes > CHANGES_MAX_BYTES) throw say(`The changes are ${bytes} bytes in all, at most ${CHANGES_MAX_BYTES} go.`);
  const seen = new Set<string>();
  return changes.map((change, index) => {
    const needed = checkedChange(storyId, change, index);
    if (seen.has(needed.id)) throw invalid(index, change, "the same entity is changed twice in one call");
    seen.add(needed.id);
    return needed;
  });
}

function checkedChange(storyId: string, change: ContextChange, index: number): Needed {
  const { entityType, operation, entityId, payload, reason } = change;
  const type = ENTITY_TYPES.find((each) => each === entityType);
  if (type === undefined)
    throw invalid(index, change, `there is no type ${String(entityType)}; there are ${ENTITY_TYPES.join(", ")}`);
  const changeable = CHANGEABLE[type];
  const schema = operation === "delete" ? changeable.canDelete && z.strictObject({}) : changeable[operation];
  if (!schema)
    throw invalid(
      index,
      change,
      `a ${type} is not ${String(operation)}d here${planned === changeable ? "; planning does that" : ""}`,
    );
  const parsed = z.object({ payload: schema, reason: text }).safeParse({ payload, reason });
  if (!parsed.success) throw invalid(index, change, issueOf(parsed.error));
  const id = keyOf(type, storyId, entityId);
  const own = GLOBAL.includes(type) ? ownId(id) : ownId(id).slice(storyId.length + 1);
  const isOfStory = GLOBAL.includes(type) || ownId(id).startsWith(`${storyId}/`);
  const named = changeable.id.safeParse(own);
  if (!isOfStory) throw invalid(index, change, `it is not of story ${storyId}`);
  // What events made has a dot in its id and can be changed, but nobody else makes such ids.
  if (operation === "create" && !named.success) throw invalid(index, change, `entityId: ${issueOf(named.error)}`);
  const mustExist = operation !== "create";
  return { storyId, index, change, id, mustExist, links: linksOf(storyId, payload).map(({ to }) => to) };
}

function linksOf(storyId: string, payload: Change["payload"]) {
  const entries = Object.entries(LINKS).flatMap(([field, { type, to }]) => {
    const given = payload[field];
    return given === undefined ? [] : [given].flat().map((id) => ({ type, to: keyOf(to, storyId, String(id)) }));
  });
  const task =
    payload.task === undefined ? [] : [{ type: undefined, to: keyOf("Task", storyId, String(payload.task)) }];
  return [...entries, ...task];
}

/** An error that names the change (UC1). */
export const invalid = (index: number, { operation, entityType, entityId }: ContextChange, why: string) =>
  failContext("ChangeInvalid", `Change ${index + 1} (${operation} ${entityType} ${entityId}): ${why}.`, {
    data: { index, operation, entityType, entityId },
  });

const issueOf = ({ issues }: z.ZodError): string =>
  issues.map(({ path, message }) => `${path.join(".") || "payload"}: ${message}`).join("; ");

/** The change set of an event whose changes were found valid when it was posted. */
export function updateChanges({ storyId, by, changes }: Changed, at: number): ChangeSet {
  const why = { decidedBy: nameOf(by), at };
  const sets = changes.map((change) => oneChange(storyId, change, why));
  return {
    storyId,
    nodes: sets.flatMap(({ nodes }) => nodes),
    edges: sets.flatMap(({ edges }) => edges),
    removed: sets.flatMap(({ removed = [] }) => removed),
    cleared: sets.flatMap(({ cleared = [] }) => cleared),
    told: changes.map((change) => toldOf(storyId, change)),
  };
}

function oneChange(
  storyId: string,
  change: Change,
  by: { readonly decidedBy: string; readonly at: number },
): ChangeSet {
  const { operation, payload, reason } = change;
  const type = change.entityType as EntityType;
  const id = keyOf(type, storyId, change.entityId);
  if (operation === "delete") return { nodes: [], edges: [], removed: [id], told: [] };
  const why = { ...by, reason };
  const set = fieldsIn(type, {
    ...(operation === "create" && first(type, payload)),
    ...payload,
    ...(operation === "create" && by),
  });
  const links = linksOf(storyId, payload);
  const edges = links.flatMap(({ type: linked, to }) => {
    const taken = linked ?? TASK_EDGE[type];
    if (taken === undefined) return [];
    return linked === undefined ? [edge(taken, to, id, why)] : [edge(taken, id, to, why)];
  });
  const inStory =
    type === "Decision" || type === "Milestone" ? [edge("CONTAINS", nodeId("Story", storyId), id, why)] : [];
  const named = Object.entries(LINKS).filter(([field]) => operation === "update" && payload[field] !== undefined);
  return {
    nodes: [{ id, set }],
    edges: [...inStory, ...edges],
    cleared: named.map(([, { type: linked }]) => ({ type: linked, from: id })),
    told: [],
  };
}

/** What a new entity has that its payload need not say. */
function first(type: EntityType, payload: Change["payload"]): Readonly<Record<string, Value>> {
  if (type === "Decision") return { status: "proposed", roles: [] };
  if (type === "Milestone") return { kind: "note" };
  return type === "ToolExecution" ? { title: `${payload.tool}: ${payload.outcome}` } : { title: "A commit" };
}

/** Those of the values that are fields of the type; roles as all compare them. */
function fieldsIn(type: EntityType, values: Readonly<Record<string, unknown>>) {
  const fields = Object.keys(fieldsOf(type)).map((name) => [name, values[name] as Value | undefined] as const);
  const set = known(Object.fromEntries(fields));
  return Array.isArray(set.roles) ? { ...set, roles: set.roles.map((role) => String(role).toUpperCase()) } : set;
}

const DONE = { create: "made", update: "changed", delete: "taken back" } as const;

function toldOf(storyId: string, { operation, entityType, entityId, payload, reason, taskIds }: Change): Told {
  const words = [payload.title, payload.summary].find((word) => typeof word === "string");
  const type = entityType as EntityType;
  const summary = `${type} ${entityId} was ${DONE[operation]}${words === undefined ? "" : `: ${words}`}${reason === "" ? "." : ` (${reason}).`}`;
  return { entityType, entityId: keyOf(type, storyId, entityId), operation, reason, taskIds, summary };
}
