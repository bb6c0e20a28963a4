// The only writer of the graph: change sets, each with a key, become versions.
//
//     apply ─▶ waiting ─▶ up to SETS_MAX at once ─▶ which keys are known? ─▶ one transaction: version, rows, keys, positions ─▶ answers
//
// LE1  A set is applied whole with its key, or not at all; each makes the graph's version one higher.
// LE2  A key that was applied answers with its first version and hash, and changes nothing. Keys are remembered for KEYS_MAX versions.
// LE3  Sets that wait are written together. A set that the graph refuses fails alone: the others are written again without it. When the
//      graph does not answer, those that wait behind fail as well: whoever applied several in order shall not find the later ones alone in it.
// LE4  Two ledgers on one graph (a service that was taken for dead, say) cannot both make a version: a write begins by taking the version
//      it read, and the one that finds another reads anew.

import { createHash } from "node:crypto";
import { isFlotillaError, type Random } from "../../runtime/index.ts";
import { type ChangeSet, removes, sizeOf, statementsOf } from "./change-set.ts";
import { failContext } from "./errors.ts";
import type { Graph, Statement } from "./graph.ts";
import { nodeId } from "./schema.ts";

const SETS_MAX = 256;
const ROWS_MAX = 4_000;
const TRIES_MAX = 5;
export const KEYS_MAX = 100_000;
/** Old keys go when the version passes a multiple of this. */
const PRUNE_EVERY = 1_000;

export interface Applied {
  readonly version: number;
  /** Of everything that the set changed, and its version. */
  readonly hash: string;
  /** Which life of the graph: another after its folder was deleted. */
  readonly graph: string;
}

type Work =
  | { readonly kind: "set"; readonly key: string; readonly set: ChangeSet }
  | { readonly kind: "position"; readonly source: string; readonly sequence: number };

interface Waiting {
  readonly work: Work;
  readonly resolve: (applied: Applied) => void;
  readonly reject: (error: unknown) => void;
}

interface Head {
  readonly graph: string;
  readonly version: number;
}

export class Ledger {
  readonly #graph: Graph;
  readonly #random: Random;
  readonly #log: string;
  #waiting: Waiting[] = [];
  /** By key of a node: who waits for it. */
  readonly #awaited = new Map<string, Set<() => void>>();
  #writing = false;

  /** `log`: which event log positions are in; those in another are as good as none. */
  constructor(graph: Graph, random: Random, log = "") {
    this.#graph = graph;
    this.#random = random;
    this.#log = log;
  }

  /** Resolves when it is in the graph (LE1, LE2). Throws GraphUnavailable: it may be in, the same key again is safe. Throws GraphRefused. */
  apply(key: string, set: ChangeSet): Promise<Applied> {
    return this.#queue({ kind: "set", key, set });
  }

  /** What `key` was answered with, if it was applied. */
  async applied(key: string): Promise<Applied | undefined> {
    const { graph } = await this.#head();
    return (await this.#known([key], graph)).get(key);
  }

  /** The first event that a source has not read. */
  async position(source: string): Promise<number | undefined> {
    const id = this.#placeOf(source);
    const [row] = await this.#graph.run("MATCH (p:Position {id: $id}) RETURN p.sequence AS sequence", { id });
    return row === undefined ? undefined : Number(row.sequence);
  }

  async setPosition(source: string, sequence: number): Promise<void> {
    await this.#queue({ kind: "position", source, sequence });
  }

  #placeOf(source: string): string {
    return `${source} ${this.#log}`;
  }

  /** Resolves when a set that gives this node its title was written here, or the signal aborts. */
  entitled(id: string, signal: AbortSignal): Promise<void> {
    const { promise, resolve } = Promise.withResolvers<void>();
    const waiting = this.#awaited.get(id) ?? new Set();
    this.#awaited.set(id, waiting.add(resolve));
    const leave = () => {
      resolve();
      waiting.delete(resolve);
      if (waiting.size === 0 && this.#awaited.get(id) === waiting) this.#awaited.delete(id);
    };
    signal.addEventListener("abort", leave, { once: true });
    return promise;
  }

  #announce({ nodes }: ChangeSet): void {
    for (const { id, set } of nodes)
      if (set.title !== undefined) for (const tell of this.#awaited.get(id) ?? []) tell();
  }

  #queue(work: Work): Promise<Applied> {
    const { promise, resolve, reject } = Promise.withResolvers<Applied>();
    this.#waiting.push({ work, resolve, reject });
    if (!this.#writing) void this.#writeAll();
    return promise;
  }

  async #writeAll(): Promise<void> {
    this.#writing = true;
    while (this.#waiting.length > 0) {
      const batch = this.#take();
      try {
        await this.#write(batch);
      } catch (error) {
        await this.#apart(batch, error);
      }
    }
    this.#writing = false;
  }

  /** What is written next: bounded, no key twice, and sets that remove alone (CS4). */
  #take(): readonly Waiting[] {
    const keys = new Set<string>();
    let rows = 0;
    const end = this.#waiting.findIndex(({ work }, index) => {
      if (work.kind === "position") return false;
      const isTooMuch = index >= SETS_MAX || (index > 0 && rows + sizeOf(work.set) > ROWS_MAX);
      if (isTooMuch || keys.has(work.key) || (index > 0 && removes(work.set))) return true;
      if (removes(work.set)) rows = Number.POSITIVE_INFINITY;
      keys.add(work.key);
      rows += sizeOf(work.set);
      return false;
    });
    return this.#waiting.splice(0, end < 0 ? this.#waiting.length : end);
  }

  /** LE3. */
  async #apart(batch: readonly Waiting[], error: unknown): Promise<void> {
    if (batch.length === 1 || !isFlotillaError(error, "GraphRefused")) {
      for (const { reject } of [...batch, ...this.#waiting.splice(0)]) reject(error);
      return;
    }
    for (const one of batch) await this.#write([one]).catch(one.reject);
  }

  async #write(batch: readonly Waiting[]): Promise<void> {
    for (let tries = 1; tries <= TRIES_MAX; tries++) {
      const head = await this.#head();
      const answers = await this.#known(
        batch.flatMap(({ work }) => (work.kind === "set" ? [work.key] : [])),
        head.graph,
      );
      const statements = this.#statements(batch, head, answers);
      if (statements.length > 0 && !(await this.#graph.write(statements))) continue;
      for (const { work, resolve } of batch) {
        const answer = work.kind === "set" ? answers.get(work.key) : undefined;
        resolve(answer ?? { ...head, hash: "" });
        if (work.kind === "set") this.#announce(work.set);
      }
      return;
    }
    throw failContext("GraphUnavailable", `${this.#graph.name} is written to by somebody else all the time.`);
  }

  /** Adds the answers of what is new. */
  #statements(batch: readonly Waiting[], head: Head, answers: Map<string, Applied>): readonly Statement[] {
    const sets: ChangeSet[] = [];
    const rows: { id: string; version: number; hash: string }[] = [];
    for (const { work } of batch) {
      if (work.kind !== "set" || answers.has(work.key)) continue;
      const version = head.version + sets.length + 1;
      const hash = hashOf(version, work.set);
      answers.set(work.key, { version, hash, graph: head.graph });
      rows.push({ id: work.key, version, hash });
      sets.push(stamped(work.set, version));
    }
    const positions = batch.flatMap(({ work }) =>
      work.kind === "position" ? [{ id: this.#placeOf(work.source), sequence: work.sequence }] : [],
    );
    const next = head.version + sets.length;
    return [
      ...(sets.length === 0 ? [] : [taken(head.version, next), ...statementsOf(sets), remembered(rows)]),
      ...(positions.length === 0 ? [] : [placed(positions)]),
      ...(Math.floor(next / PRUNE_EVERY) > Math.floor(head.version / PRUNE_EVERY) ? [pruned(next)] : []),
    ];
  }

  async #head(): Promise<Head> {
    const query = "MATCH (v:Version {id: $id}) RETURN v.number AS number, v.graph AS graph";
    const [row] = await this.#graph.run(query, { id: HEAD });
    if (row !== undefined) return { graph: String(row.graph), version: Number(row.number) };
    const made = "MERGE (v:Version {id: $id}) ON CREATE SET v.number = 0, v.graph = $graph";
    await this.#graph.write([{ cypher: made, params: { id: HEAD, graph: this.#random.id() } }]);
    return this.#head();
  }

  async #known(keys: readonly string[], graph: string): Promise<Map<string, Applied>> {
    if (keys.length === 0) return new Map();
    const query =
      "UNWIND $keys AS key MATCH (a:Applied {id: key}) RETURN a.id AS id, a.version AS version, a.hash AS hash";
    const rows = await this.#graph.run(query, { keys });
    return new Map(
      rows.map(({ id, version, hash }) => [String(id), { version: Number(version), hash: String(hash), graph }]),
    );
  }
}

const HEAD = "version";

/** Everything that a set changes is covered, so two different sets never have the same. */
const hashOf = (version: number, { told, ...changes }: ChangeSet): string =>
  createHash("sha256")
    .update(JSON.stringify({ version, ...changes }))
    .digest("hex");

/** The story of a set bears its version: who has read the story can see whether it changed since. */
const stamped = (set: ChangeSet, version: number): ChangeSet =>
  set.storyId === undefined
    ? set
    : { ...set, nodes: [...set.nodes, { id: nodeId("Story", set.storyId), set: { changed: version } }] };

/** LE4. The first SET takes the server's lock on the node; only then is the number looked at. */
const taken = (version: number, next: number): Statement => ({
  cypher:
    "MATCH (v:Version {id: $id}) SET v.touched = $next WITH v WHERE v.number = $version SET v.number = $next RETURN v.number AS number",
  params: { id: HEAD, version, next },
  guard: true,
});

const remembered = (rows: readonly { id: string; version: number; hash: string }[]): Statement => ({
  cypher: "UNWIND $rows AS row CREATE (a:Applied {id: row.id, version: row.version, hash: row.hash})",
  params: { rows },
});

const placed = (rows: readonly { id: string; sequence: number }[]): Statement => ({
  cypher: "UNWIND $rows AS row MERGE (p:Position {id: row.id}) SET p.sequence = row.sequence",
  params: { rows },
});

const pruned = (version: number): Statement => ({
  cypher: "MATCH (a:Applied) WHERE a.version <= $version DELETE a",
  params: { version: version - KEYS_MAX },
});
