// Takes events into the graph: each becomes a change set, is applied once for its key, and is then told to those who work on its story.
//
// IN1  An event's key is its topic, its type and its idempotency key: told again, by whomever and however often, it changes nothing.
// IN2  Who is told is told after the set is in the graph, and again when nobody knows whether it was told; the posting's key is the graph's
//      life and version, so readers recognise it.
// IN3  What happened more than TELL_MAX_MS ago is told to nobody: whoever worked then has ended. So a graph that is rebuilt does not tell
//      the fleet its whole history.
// IN4  A result's topic may be read as several tasks, and councils have results of their own: a result that names no task the graph knows is
//      passed over, but only once the graph has everything that planning said before it.

import { type ActorSystem, isFlotillaError, topicFilter } from "../../runtime/index.ts";
import { redactText } from "../../tools/index.ts";
import { type agentResults, agileEvents, contextUpdates, type workspaceJobs } from "../events/channels.ts";
import type { Envelope } from "../events/envelope.ts";
import type { ChannelEvent } from "../events/feed.ts";
import { postEvent } from "../events/post.ts";
import { readResult } from "../result-post.ts";
import { atOf } from "./agile-changes.ts";
import type { ChangeSet, Told } from "./change-set.ts";
import { failContext } from "./errors.ts";
import type { Graph } from "./graph.ts";
import type { Applied, Ledger } from "./ledger.ts";
import { type Attempt, attemptsNamed, failureChanges, jobChanges, resultChanges } from "./result-changes.ts";
import { nodeId } from "./schema.ts";

const TELL_MAX_MS = 3_600_000;
const TOLD_TEXT_MAX = 500;
const TOLD_MAX = 100;

/** The consumer of planning's events, by the name of its position. */
export const PLANNING = "context-agile";

type ResultEvent = ChannelEvent<typeof agentResults>;

/** Where an event was read. */
export interface Place {
  readonly topic: string;
  readonly sequence: number;
}

export const eventKey = (topic: string, { type, idempotencyKey }: Pick<Envelope, "type" | "idempotencyKey">): string =>
  `${topic} ${type} ${idempotencyKey}`;

export class Intake {
  readonly #system: ActorSystem;
  readonly #graph: Graph;
  readonly #ledger: Ledger;

  constructor(system: ActorSystem, graph: Graph, ledger: Ledger) {
    this.#system = system;
    this.#graph = graph;
    this.#ledger = ledger;
  }

  /** Applies what an event changes, once (IN1), and tells of it (IN2). */
  async take(event: Envelope, { topic }: Pick<Place, "topic">, set: ChangeSet): Promise<Applied> {
    const applied = await this.#ledger.apply(eventKey(topic, event), set);
    const isOld = this.#system.clock.now() - atOf(event) > TELL_MAX_MS;
    if (set.storyId !== undefined && set.told.length > 0 && !isOld) await this.#tell(set.storyId, applied, set.told);
    return applied;
  }

  /** A result of an agent, or the lack of one; that of a task which is no story's is passed over. */
  async takeResult(event: ResultEvent, place: Place): Promise<void> {
    const { data } = event;
    if (event.type === "agent.result.missing") {
      const { jobId, error } = event.data;
      const detail = `${error.code}: ${error.message}`;
      const failure = { title: `No result of job ${jobId}`, detail, at: atOf(event) };
      await this.take(event, place, failureChanges(event.data, "missing", failure));
      return;
    }
    const task = await this.#storyTask(event.correlationId, place);
    if (task === undefined || !("kind" in data)) return;
    // The executor's key is "<agent> <attempt>", and so the attempt is known even where the result is not.
    const attempt = { ...task, attempt: Number(/ (\d+)$/.exec(event.idempotencyKey)?.[1] ?? 1) };
    await this.take(event, place, await this.#resultChanges(attempt, event, data));
  }

  async #resultChanges(
    attempt: Attempt,
    event: ResultEvent,
    data: Parameters<typeof readResult>[1],
  ): Promise<ChangeSet> {
    const at = atOf(event);
    try {
      const result = await readResult(this.#system, data, { keep: true });
      return resultChanges({ ...attempt, attempt: result.place?.attempt ?? attempt.attempt }, result, at);
    } catch (error) {
      if (isFlotillaError(error) && error.retryable) throw error;
      // A blob that is gone stays gone: the graph says so, which is more than a dead letter would.
      const detail = error instanceof Error ? error.message : String(error);
      return failureChanges(attempt, "unread", { title: "A result could not be read", detail, at });
    }
  }

  /** Whose result a topic holds. Where the ids leave it open, the one that the graph knows (IN4). */
  async #storyTask(correlationId: string, { topic, sequence }: Place) {
    const named = attemptsNamed(topic.slice(topic.lastIndexOf(".") + 1), correlationId);
    const [first] = named;
    if (first?.storyId === correlationId) return first;
    const ids = named.map(({ storyId, taskId }) => nodeId("Task", storyId, taskId));
    if (ids.length === 0) return undefined;
    const known = "MATCH (t:Task) WHERE t.id IN $ids AND t.title IS NOT NULL RETURN t.id AS id";
    const rows = await this.#graph.run(known, { ids });
    const found = named.find(({ storyId, taskId }) => rows.some(({ id }) => id === nodeId("Task", storyId, taskId)));
    if (found === undefined) await this.#planningWasRead(sequence);
    return found;
  }

  /** IN4. Throws GraphUnavailable while an event of planning that came before has not been read. */
  async #planningWasRead(before: number): Promise<void> {
    const position = (await this.#ledger.position(PLANNING)) ?? 1;
    const { eventLog } = this.#system.ports;
    const [next] = await eventLog.read(topicFilter(agileEvents.address), position, 1);
    if (next !== undefined && next.sequence < before)
      throw failContext("GraphUnavailable", "A result waits until what planning said before it is in the graph.");
  }

  async takeJob(event: ChannelEvent<typeof workspaceJobs>, place: Place): Promise<void> {
    const set = jobChanges(event.data, atOf(event));
    if (set !== undefined) await this.take(event, place, set);
  }

  async #tell(storyId: string, { graph, version, hash }: Applied, told: readonly Told[]): Promise<void> {
    const clean = (text: string) => redactText(text).slice(0, TOLD_TEXT_MAX).toWellFormed();
    const changed = told.slice(0, TOLD_MAX).map(({ summary, reason, ...rest }) => ({
      ...rest,
      reason: clean(reason),
      summary: clean(summary),
    }));
    await postEvent(this.#system, "context", contextUpdates, {
      ...{ type: "context.updated", key: `${graph}-${version}`, correlationId: storyId, topic: [storyId] },
      data: { storyId, version, hash, changed },
    });
  }
}
