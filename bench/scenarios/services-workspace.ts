// A workspace as a local process, of a repository of 10 MB: the runner's clone by itself, and the way of a request through the runner until its
// agent's process runs, and until there is a result (of the mock, which finds nothing to do and fails).

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { agentResults, loadServices } from "../../actors/index.ts";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { Depot } from "../../tools/index.ts";
import { makeRepository } from "../repository.ts";
import type { Scenario } from "../scenario.ts";
import { OWNER, startServices } from "../services.ts";

const BYTES = 10e6;
const AUTHOR = { name: "Bench", email: "bench@example.invalid" };
const TIMEOUT_MS = 60_000;

/** What a job does between its start and the start of its agent: a clone that borrows the objects, on the story's branch. */
export const workspaceReady: Scenario = {
  id: "services.workspace.ready",
  unit: "ms",
  bars: [{ of: "value", atMost: 300 }],
  async start() {
    const repository = await makeRepository(BYTES);
    const folder = await mkdtemp(join(tmpdir(), "flotilla-bench-depot-"));
    const depot = new Depot(folder);
    const story = { storyId: "story", origin: { url: repository.path } };
    return {
      async round() {
        const jobId = systemRandom.id();
        const startMs = systemClock.monotonic();
        await depot.workspace(story, { jobId, author: AUTHOR });
        const tookMs = systemClock.monotonic() - startMs;
        await depot.removeWorkspace(jobId);
        return { value: tookMs };
      },
      async stop() {
        await rm(folder, { recursive: true, force: true });
        await repository[Symbol.asyncDispose]();
      },
    };
  },
};

const job = (id: string, until: "running" | "result"): Scenario => ({
  id,
  unit: "ms",
  bars: [],
  async start({ servers }) {
    const repository = await makeRepository(BYTES);
    const services = await startServices(await servers(), { flags: ["--rpc", "off", "--only", "workspace-runner"] });
    const { system } = services;
    const { feed, postEvent, agentRequests, workspaceJobs } = await loadServices();
    return {
      async round() {
        const storyId = systemRandom.id();
        const ending = new AbortController();
        const reading = { from: (await system.ports.eventLog.lastSequence()) + 1, signal: ending.signal };
        const running = feed(system, workspaceJobs, reading);
        const results = feed(system, agentResults, { ...reading, topic: [`${storyId}-task`] });
        const runs = (async () => {
          for await (const fed of running)
            if (fed.kind === "event" && fed.event.data.state === "running") return systemClock.monotonic();
          throw new Error("no job ran");
        })();
        const ends = results.next().then(() => systemClock.monotonic());
        const startMs = systemClock.monotonic();
        await postEvent(system, "orchestrator", agentRequests, {
          ...{
            type: "agent.requested",
            key: storyId,
            correlationId: storyId,
            data: requestOf(storyId, repository.path),
          },
        });
        const [runMs, endMs] = await Promise.all([runs, ends]);
        ending.abort();
        return { value: (until === "running" ? runMs : endMs) - startMs };
      },
      async stop() {
        await services[Symbol.asyncDispose]();
        await repository[Symbol.asyncDispose]();
      },
    };
  },
});

/** Its process was started: the job's state says so. */
export const jobRunning = job("services.job.running", "running");
export const jobResult = job("services.job.result", "result");

const requestOf = (storyId: string, url: string) => ({
  ...{ storyId, taskId: "task", attempt: 1, agentId: "agent-dev-001", role: "DEV", title: "Greet" },
  ...{ text: "Add hello() function to src/utils.js", priority: 5, repository: { url }, context: "" },
  ...{ model: { kind: "mock" } as const, timeoutMs: TIMEOUT_MS, by: OWNER },
});
