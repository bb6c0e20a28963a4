// A workspace runner whose agents are done before they begin: it answers each request with a result at once, and takes every work in. So that
// what the other services do is what is measured. It stands in the fleet under the runner's name.
//
// IR1  It counts what the flow asks of it: requests by attempt, work that was merged, requests that came more than once.

import { createHash } from "node:crypto";
import { type AgentResult, type DataOf, loadServices } from "../actors/index.ts";
import { type ActorSystem, defineActor } from "../runtime/index.ts";
import { type BenchServices, startServices, WITHOUT_RUNNER } from "./services.ts";

type Services = Awaited<ReturnType<typeof loadServices>>;
type Request = DataOf<Services["agentRequests"], "agent.requested">;

/** A commit of its own for each attempt, as git would give it one. */
const commitOf = (jobId: string, kind: "work" | "merge" = "merge") =>
  createHash("sha1").update(`${kind} ${jobId}`).digest("hex");
const NAME = "workspace-runner";
const ANSWERING = 64;
const CONCURRENCY = 256;

export class InstantRunner {
  /** Attempts that were asked for: "<story>-<task>-<attempt>" (IR1). */
  readonly asked = new Set<string>();
  readonly merged = new Map<string, number>();
  readonly type = actorOf(this.merged);
  /** Requests in the log beyond the first for the same attempt. */
  repeated = 0;
  /** Hears of each request when it is read. */
  onRequest: (request: Request) => void = () => {};
  /** Answers wait for it. */
  gate: Promise<unknown> = Promise.resolve();
  readonly #services: Services;
  readonly #ending = new AbortController();
  #running: Promise<void> = Promise.resolve();

  private constructor(services: Services) {
    this.#services = services;
  }

  static async open(): Promise<InstantRunner> {
    return new InstantRunner(await loadServices());
  }

  /** Takes the runner's name in the fleet of this system and begins to read. */
  async enter(system: ActorSystem): Promise<void> {
    const { SERVICES: namespace } = this.#services;
    const options = { name: NAME, namespace, concurrency: CONCURRENCY, node: system.node };
    await system.spawn(this.type, options);
    this.#running = this.#read(system);
  }

  /** Before its system closes. Rejects with what ended it early. */
  async end(): Promise<void> {
    this.#ending.abort();
    await this.#running;
  }

  async #read(system: ActorSystem): Promise<void> {
    const { feed, agentRequests } = this.#services;
    const { signal } = this.#ending;
    const answering = new Set<Promise<void>>();
    try {
      for await (const fed of feed(system, agentRequests, { from: 1, signal })) {
        if (fed.kind === "bad") throw new Error(`no request: ${fed.message}`);
        const { event } = fed;
        if (event.type !== "agent.requested") continue;
        this.onRequest(event.data);
        const { storyId, taskId, attempt } = event.data;
        const jobId = `${storyId}-${taskId}-${attempt}`;
        if (this.asked.has(jobId)) {
          this.repeated++;
          continue;
        }
        this.asked.add(jobId);
        while (answering.size >= ANSWERING) await Promise.race(answering);
        const answer = this.#answer(system, event.data).finally(() => answering.delete(answer));
        answering.add(answer);
      }
    } catch (error) {
      if (!signal.aborted) throw error;
    }
    await Promise.all(answering);
  }

  async #answer(system: ActorSystem, { storyId, taskId, attempt, agentId, role }: Request): Promise<void> {
    await this.gate;
    const place = { node: system.node, attempt, bundle: "b".repeat(64) };
    const work = { taskId: `${storyId}-${taskId}`, commit: commitOf(`${storyId}-${taskId}-${attempt}`, "work") };
    await this.#services.sendResult(system, { ...DONE, ...work, agentId, role, place });
  }
}

export interface PlayedFleet extends Pick<BenchServices, "system" | "planning"> {
  readonly runner: InstantRunner;
  stop(): Promise<void>;
}

/** The other services, with one in the place of the runner. */
export async function startWithRunner(servers: string): Promise<PlayedFleet> {
  const runner = await InstantRunner.open();
  const enter = (system: ActorSystem) => runner.enter(system);
  const services = await startServices(servers, { flags: WITHOUT_RUNNER, guest: { type: runner.type, enter } });
  const stop = async () => {
    try {
      await runner.end();
    } finally {
      await services[Symbol.asyncDispose]();
    }
  };
  return { system: services.system, planning: services.planning, runner, stop };
}

const DONE: Omit<AgentResult, "taskId" | "agentId" | "role" | "place" | "commit"> = {
  ...{ success: true, operations: [], auditTrail: [], finalState: "committed", diff: "", error: null },
  ...{ diffStat: { files: [{ path: "src/utils.js", added: 1, deleted: 0 }], added: 1, deleted: 0 } },
  verification: { verified: true, findings: [], tests: undefined, lint: [] },
  ...{ reasoning: [], usage: { inputTokens: 0, outputTokens: 0, modelCalls: 1 }, durationMs: 1 },
};

const actorOf = (merged: Map<string, number>) =>
  defineActor(
    NAME,
    class {
      async integrate({ jobId }: { readonly jobId: string }) {
        merged.set(jobId, (merged.get(jobId) ?? 0) + 1);
        return { kind: "merged", commit: commitOf(jobId), branch: "story" };
      }

      async verify({ storyId }: { readonly storyId: string }) {
        const clean = { static: { critical: 0, major: 0, minor: 0 }, lint: { errors: 0, warnings: 0 } };
        const tests = { passed: 3, failed: 0, skipped: 0 };
        const report = { build: { success: true }, unit: tests, e2e: tests, coverage: { lines: 1 }, ...clean };
        return { report, commit: commitOf(storyId), output: "" };
      }

      async job() {
        return { state: "running" };
      }
    },
  );
