// A story as the graph has it: read by its key, in few queries, all of one moment. It is not what anybody is told of it (sections.ts).
//
// SV1  Every query begins at the story's key and goes along its edges: its cost is the story's size, not the graph's.
// SV2  A view is of one moment: when the story changed while its queries ran, it is read again.

import { fail } from "../errors.ts";
import { failContext } from "./errors.ts";
import { type Entity, type Graph, isEntity, type Row, type Value } from "./graph.ts";
import { localId, nodeId } from "./schema.ts";

export const DECISIONS_MAX = 500;
const MILESTONES_MAX = 500;
const READS_MAX = 5;

export type Properties = Readonly<Record<string, Value>>;

export interface TaskView {
  readonly id: string;
  readonly properties: Properties;
  /** Why it exists. */
  readonly reason: string;
  /** Keys of tasks that must be done before. */
  readonly needs: readonly string[];
}

export interface DecisionView {
  readonly id: string;
  readonly properties: Properties;
  /** Keys of tasks. */
  readonly affects: readonly string[];
}

/** Between two decisions, in the direction of the edge. */
export interface RelationView {
  readonly from: string;
  readonly to: string;
  readonly toTitle: string;
  readonly type: string;
  readonly reason: string;
}

export interface StoryView {
  readonly id: string;
  readonly story: Properties;
  readonly plan: Properties | undefined;
  readonly epic: Properties | undefined;
  readonly project: Properties | undefined;
  /** In the order in which they are worked on: by priority, then by id. */
  readonly tasks: readonly TaskView[];
  /** Newest first. */
  readonly decisions: readonly DecisionView[];
  readonly relations: readonly RelationView[];
  /** Newest first. */
  readonly milestones: readonly Entity[];
  /** Version of the graph at the story's last change. */
  readonly version: number;
}

const STORY = "MATCH (s:Story {id: $id})";
const HEAD = `${STORY} RETURN s`;
const PLANS = `${STORY}-[:HAS_PLAN]->(p:Plan) RETURN p`;
const EPIC = `MATCH (e:Epic)-[:CONTAINS]->(s:Story {id: $id}) RETURN e`;
const PROJECT = `MATCH (j:Project)-[:CONTAINS]->(s:Story {id: $id}) RETURN j`;
const EPIC_PROJECT = `MATCH (j:Project)-[:CONTAINS]->(e:Epic {id: $id}) RETURN j`;
const TASKS = `${STORY}-[r:HAS_TASK]->(t:Task) RETURN t, r.reason AS reason`;
const NEEDS = `${STORY}-[:HAS_TASK]->(t:Task)-[:DEPENDS_ON]->(u:Task) RETURN t.id AS id, u.id AS needs`;
const DECISIONS = `${STORY}-[:CONTAINS]->(d:Decision) RETURN d ORDER BY d.at DESC, d.id LIMIT ${DECISIONS_MAX}`;
const AFFECTS = `${STORY}-[:CONTAINS]->(d:Decision)-[:AFFECTS]->(t:Task) RETURN d.id AS id, t.id AS task`;
const RELATIONS = `${STORY}-[:CONTAINS]->(d:Decision)-[r:DEPENDS_ON|SUPERSEDES|RELATES_TO]->(o:Decision)
  RETURN d.id AS id, r, o.id AS other, o.title AS title`;
const milestones = (max: number) =>
  `${STORY}-[:CONTAINS]->(m:Milestone) RETURN m ORDER BY m.at DESC, m.id DESC LIMIT ${max}`;

/** What of a story is wanted; the rest is not read. Milestones: how many. */
export interface Wanted {
  readonly tasks: boolean;
  readonly decisions: boolean;
  readonly relations: boolean;
  readonly milestones: number;
}

/** Throws StoryUnknown (SC2), GraphUnavailable. */
export async function readStory(graph: Graph, storyId: string, wanted: Wanted): Promise<StoryView> {
  const id = nodeId("Story", storyId);
  for (let reads = 1; reads <= READS_MAX; reads++) {
    const view = await readOnce(graph, id, storyId, wanted);
    const [now] = await graph.run(`${STORY} RETURN s.changed AS changed`, { id });
    if (Number(now?.changed ?? 0) === view.version) return view;
  }
  throw failContext("GraphUnavailable", `Story ${storyId} changes faster than it can be read; ask again.`);
}

async function readOnce(graph: Graph, id: string, storyId: string, wanted: Wanted): Promise<StoryView> {
  const ask = (isWanted: boolean, cypher: string) => (isWanted ? graph.run(cypher, { id }) : []);
  // The head comes first: if it is older than the rest, the story's version tells (SV2).
  const [head] = await graph.run(HEAD, { id });
  const story = propertiesOf(head?.s);
  if (story?.title === undefined)
    throw fail("StoryUnknown", `The graph has no story ${storyId}; planning's events may still be on their way.`, {
      data: { storyId },
    });
  const [plans, epics, projects, tasks, needs, decisions, affects, relations, events] = await Promise.all([
    ask(true, PLANS),
    ask(true, EPIC),
    ask(true, PROJECT),
    ask(wanted.tasks, TASKS),
    ask(wanted.tasks, NEEDS),
    ask(wanted.decisions, DECISIONS),
    ask(wanted.decisions, AFFECTS),
    ask(wanted.relations, RELATIONS),
    ask(wanted.milestones > 0, milestones(Math.min(wanted.milestones, MILESTONES_MAX))),
  ]);
  const epic = propertiesOf(epics[0]?.e);
  const [ofEpic] = epic === undefined ? [] : await graph.run(EPIC_PROJECT, { id: String(epic.id) });
  return {
    ...{ id, story, epic, project: propertiesOf(ofEpic?.j ?? projects[0]?.j), plan: current(plans) },
    tasks: tasksOf(tasks, needs),
    decisions: decisions.flatMap(({ d }) => (isEntity(d) ? [decisionOf(d, affects)] : [])),
    relations: relations.map(relationOf),
    milestones: events.flatMap(({ m }) => (isEntity(m) ? [m] : [])),
    version: Number(story.changed ?? 0),
  };
}

const propertiesOf = (cell: Row[string] | undefined): Properties | undefined =>
  isEntity(cell) ? cell.properties : undefined;

/** The approved plan, else the newest: a story has one plan at a time, and earlier ones stay in the graph. */
function current(rows: readonly Row[]): Properties | undefined {
  const plans = rows.map(({ p }) => propertiesOf(p) ?? {}).sort((a, b) => Number(b.at ?? 0) - Number(a.at ?? 0));
  return plans.find(({ status }) => status === "approved") ?? plans[0];
}

function tasksOf(rows: readonly Row[], needs: readonly Row[]): readonly TaskView[] {
  const tasks = rows.flatMap(({ t, reason }) => {
    const properties = propertiesOf(t);
    if (properties?.title === undefined) return [];
    const id = String(properties.id);
    const ids = needs.filter((row) => row.id === id).map((row) => String(row.needs));
    return [{ id, properties, reason: String(reason ?? ""), needs: ids.sort() }];
  });
  const order = ({ properties }: TaskView) => Number(properties.priority ?? 0);
  return tasks.sort((a, b) => order(b) - order(a) || compare(localId(a.id), localId(b.id)));
}

/** By numbers where there are some: t2 before t10. */
const compare = (a: string, b: string): number => a.localeCompare(b, "en", { numeric: true });

const decisionOf = ({ properties }: Entity, affects: readonly Row[]): DecisionView => ({
  id: String(properties.id),
  properties,
  affects: affects
    .filter((row) => row.id === properties.id)
    .map(({ task }) => String(task))
    .sort(compare),
});

const relationOf = ({ id, r, other, title }: Row): RelationView => ({
  from: String(id),
  to: String(other),
  toTitle: String(title ?? ""),
  type: isEntity(r) ? r.type : "",
  reason: isEntity(r) ? String(r.properties.reason ?? "") : "",
});

/** Decisions that bear on a role: they name it or no role, and affect a task of it, the task in hand, or no task at all. */
export function relevantDecisions(
  { decisions, tasks }: Pick<StoryView, "decisions" | "tasks">,
  role: string,
  taskId: string | undefined,
): readonly DecisionView[] {
  const own = new Set(tasks.filter(({ properties }) => properties.role === role).map(({ id }) => id));
  if (taskId !== undefined) own.add(taskId);
  return decisions.filter(({ properties, affects }) => {
    const roles = Array.isArray(properties.roles) ? properties.roles : [];
    if (roles.length > 0 && !roles.includes(role)) return false;
    return roles.length > 0 || affects.length === 0 || affects.some((task) => own.has(task));
  });
}
