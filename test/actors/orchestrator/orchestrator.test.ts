// The orchestrator as its callers see it: what it refuses, how it chooses, and that a mock only speaks when it was named.

import { afterEach, describe, expect, it } from "vitest";
import type { ModelSpec } from "../../../actors/agent-actor.ts";
import { type ProposalBehaviour, proposalBehaviours } from "../../../actors/orchestrator/mock-proposals.ts";
import { Orchestrator } from "../../../actors/orchestrator/orchestrator.ts";
import type { OrchestrationRequest } from "../../../actors/orchestrator/orchestrator-api.ts";
import { type Derive, OrchestratorService } from "../../../actors/orchestrator/orchestrator-service.ts";
import type { Story } from "../../../actors/planning/story.ts";
import { SERVICES } from "../../../actors/service-handles.ts";
import { connect, seededRandom } from "../../../runtime/index.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { startOpenAiServer } from "../../support/openai-server.ts";
import { openSystems } from "../../support/systems.ts";
import { waitUntil } from "../../support/wait-until.ts";

const cleanups: (() => PromiseLike<void>)[] = [];
afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
});

const mock = (behaviour?: ProposalBehaviour): ModelSpec => ({ kind: "mock", ...(behaviour && { behaviour }) });
const someone = { signal: new AbortController().signal, deadlineMs: Number.POSITIVE_INFINITY };
const task = "Add a retry to the upload of files";

async function makeService(model?: ModelSpec, clock?: FakeClock) {
  const system = await connect(clock === undefined ? {} : { clock });
  const asked: unknown[] = [];
  const derived: unknown[] = [];
  const derive: Derive = async (request, by) => {
    derived.push({ ...request, model: by.model?.name });
    return [];
  };
  const service = new OrchestratorService({
    ...{
      system,
      random: seededRandom(3),
      settings: model === undefined ? {} : { model },
      apiKey: undefined,
      log: () => {},
      derive,
    },
    services: () => ({
      planning: { story: async () => ({ state: "BUILD" }) as Story },
      context: {
        getContext: async (request) => {
          asked.push(request);
          return {
            context: "The upload lives in src/upload.ts.",
            tokenCount: 9,
            scopes: [],
            omitted: [],
            version: 1,
            hash: "h",
            blocks: { system: "", context: "", tools: "" },
          };
        },
      },
    }),
    flow: {
      start: () => {},
      stop: async () => {},
      stats: () => ({ storiesInFlight: 2, tasks: { pending: 1, dispatched: 2, done: 3, failed: 4 } }),
    },
  });
  await service.start();
  cleanups.push(
    () => system.close(),
    () => service.stop(),
  );
  return { service, asked, derived };
}

/** A council with one member of each behaviour. */
async function makeCouncil(service: OrchestratorService, ...behaviours: readonly ProposalBehaviour[]) {
  const [first, ...others] = behaviours;
  await service.createCouncil({ role: "DEV", agents: 1, model: mock(first) });
  for (const behaviour of others) await service.registerAgent({ role: "DEV", model: mock(behaviour) });
}

describe("what is refused", () => {
  const bad: readonly (readonly [string, Partial<OrchestrationRequest>, string])[] = [
    ["no text", { task: "  " }, "RequestInvalid"],
    ["10 MB of text", { task: "x".repeat(10 * 1_024 * 1_024) }, "RequestInvalid"],
    ["10 MB of context", { context: "x".repeat(10 * 1_024 * 1_024) }, "RequestInvalid"],
    ["a role of 10 MB", { role: "x".repeat(10 * 1_024 * 1_024) }, "RequestInvalid"],
    ["an id that is none", { taskId: "a.b" }, "RequestInvalid"],
    ["no rounds", { rounds: 0 }, "RequestInvalid"],
    ["eleven rounds", { rounds: 11 }, "RequestInvalid"],
    ["half an agent", { agents: 0.5 }, "RequestInvalid"],
    ["more agents than there are", { agents: 4 }, "RequestInvalid"],
    ["a weight of nothing", { constraints: { rubric: [{ name: "a", weight: 0 }] } }, "RequestInvalid"],
    ["one thing judged twice", { constraints: { rubric: [{ name: "a" }, { name: "a" }] } }, "RequestInvalid"],
    ["no time", { constraints: { timeoutMs: 0 } }, "RequestInvalid"],
    ["an unknown role", { role: "COOK" }, "NoAgentsForRole"],
    ["an empty council", { role: "QA" }, "NoAgentsForRole"],
  ];
  it.each(bad)("%s", async (_, more, code) => {
    const { service } = await makeService(mock());
    await service.createCouncil({ role: "DEV" });
    const request = { task, role: "DEV", ...more };
    const error = await caught(service.deliberate(request, someone));
    expect(error.code).toBe(code);
    expect(error.message.length).toBeLessThan(500);
    expect(await codeOf(service.deliberateAsync(request))).toBe(code);
    expect(await codeOf(service.orchestrate(request, someone))).toBe(code);
    expect(service.status().deliberationsRunning).toBe(0);
  });

  it("says to an empty council what is missing", async () => {
    const { service } = await makeService(mock());
    const error = await caught(service.deliberate({ task, role: "DEV" }, someone));
    expect(error.message).toMatch(/^No agents configured for role DEV/);
  });

  it("asks no mock where no model was given, and takes no key for one", async () => {
    const { service } = await makeService();
    expect(await codeOf(service.createCouncil({ role: "DEV" }))).toBe("ModelUnset");
    const keyed: ModelSpec = { kind: "openai", url: "http://127.0.0.1:9", model: "m", apiKey: "secret" };
    const error = await caught(makeService(keyed));
    expect(error.code).toBe("RequestInvalid");
    expect(error.message).not.toContain("secret");
  });
});

describe("a council of mocks", () => {
  it("is told apart: the winner is not the first, and not everybody is perfect", async () => {
    const { service } = await makeService(mock());
    await service.createCouncil({ role: "DEV" });
    const constraints = {
      requirements: ["pauses between attempts", "a test with a failing server"],
      rubric: [{ name: "safety" }],
    };
    for (const rounds of [1, 2]) {
      const { results, winnerId, status } = await service.deliberate(
        { task, role: "dev", rounds, constraints },
        someone,
      );
      expect({ winnerId, status }).toEqual({ winnerId: "agent-dev-002", status: "completed" });
      const scores = results.map(({ score }) => score);
      expect(new Set(scores).size).toBe(3);
      expect(Math.max(...scores)).toBeLessThan(1);
      expect((scores[0] ?? 0) - (scores[2] ?? 1)).toBeGreaterThan(0.3);
      expect(results[2]?.agentId).toBe("agent-dev-003");
    }
  });

  it("survives every fault it can be asked for", async () => {
    const clock = new FakeClock();
    const { service } = await makeService(mock(), clock);
    await makeCouncil(service, ...proposalBehaviours);
    const running = service.deliberate(
      { task, role: "DEV", rounds: 2, constraints: { requirements: ["a test"] } },
      someone,
    );
    await clock.advance(20_000);
    const { status, results } = await running;
    expect(status).toBe("completed");
    const failed = results.filter(({ error }) => error !== undefined);
    expect(failed.map(({ error }) => error?.code).sort()).toEqual(["ModelHttpError", "ModelReplyInvalid"]);
    expect(results.slice(-2)).toEqual(failed);
    expect(results[0]?.agentId).toBe("agent-dev-001");
    const stubborn = results.find(({ agentId }) => agentId === "agent-dev-005");
    expect(stubborn?.revisions).toHaveLength(1);
  });

  it("says the same each time", async () => {
    const said = async () => {
      const { service } = await makeService(mock());
      await service.createCouncil({ role: "DEV", agents: 5, rounds: 3 });
      const { results } = await service.deliberate({ task, role: "DEV", taskId: "t" }, someone);
      return results;
    };
    expect(await said()).toEqual(await said());
  });
});

describe("orchestrate", () => {
  it("has proposals reviewed, and says why the first is first", async () => {
    const { service } = await makeService(mock());
    await service.createCouncil({ role: "DEV" });
    const { winner, candidates, selection, executionId, taskId } = await service.orchestrate(
      { task, role: "DEV" },
      someone,
    );
    expect(winner).toEqual(candidates[0]);
    expect(candidates).toHaveLength(3);
    expect(winner.reviews).toHaveLength(1);
    expect(selection.by).toBe("ranking");
    expect(selection.reason).toMatch(/^agent-dev-002 is ranked first with a score of 0\.\d+, before /);
    expect(executionId).toMatch(/^execution-\w{12}$/);
    expect(service.deliberation(taskId).status).toBe("completed");
  });

  it("has none reviewed where none are wanted, and refuses to be told both", async () => {
    const { service } = await makeService(mock());
    await service.createCouncil({ role: "DEV", rounds: 2 });
    const options = { peerReview: false };
    const { candidates } = await service.orchestrate({ task, role: "DEV", options }, someone);
    expect(candidates.flatMap(({ reviews }) => reviews)).toEqual([]);
    expect(await codeOf(service.orchestrate({ task, role: "DEV", rounds: 2, options }, someone))).toBe(
      "RequestInvalid",
    );
  });

  it("asks for the context of the story, in the story's own phase, once", async () => {
    const { service, asked } = await makeService(mock());
    await service.createCouncil({ role: "DEV" });
    const request = { task, role: "dev", taskId: "t", storyId: "s1", planId: "p1" };
    await service.orchestrate(request, someone);
    await service.orchestrate(request, someone);
    expect(asked).toEqual([{ storyId: "s1", role: "DEV", phase: "BUILD" }]);
    expect(service.deliberation("t").metadata).toEqual({ storyId: "s1", planId: "p1" });
    await service.orchestrate({ ...request, taskId: "u", phase: "DOCS" }, someone);
    expect(asked.at(-1)).toMatchObject({ phase: "DOCS" });
  });

  it("says so where some had no time to propose", async () => {
    const clock = new FakeClock();
    const { service } = await makeService(mock(), clock);
    await makeCouncil(service, "excellent", "delay");
    const request = { task, role: "DEV", constraints: { timeoutMs: 1_000 } };
    const running = service.orchestrate(request, someone);
    await clock.advance(1_000);
    const { selection, winner } = await running;
    expect(winner.agentId).toBe("agent-dev-001");
    expect(selection.reason).toContain("Its time was up when 1 of 2 members had a proposal.");
  });

  it("throws where nobody has a proposal, with what each met", async () => {
    const { service } = await makeService(mock());
    await makeCouncil(service, "crash", "malformed");
    const error = await caught(service.orchestrate({ task, role: "DEV" }, someone));
    expect(error.code).toBe("AllAgentsFailed");
    expect(error.message).toMatch(
      /^All agents failed: agent-dev-001: ModelHttpError: .*; agent-dev-002: ModelReplyInvalid/,
    );
  });
});

describe("an architect", () => {
  const options = { architectSelection: true };
  const choose = async (services: ModelSpec | undefined, architect: ModelSpec | undefined) => {
    const { service } = await makeService(services);
    await makeCouncil(service, "normal", "excellent", "poor", "verbose");
    if (architect !== undefined) await service.createCouncil({ role: "ARCHITECT", agents: 1, model: architect });
    return service.orchestrate({ task, role: "DEV", options }, someone);
  };

  it("chooses among the best three, with a reason", async () => {
    const { selection, winner } = await choose(mock(), undefined);
    expect(selection).toEqual({
      by: "architect",
      reason: "It speaks of most of what is asked, with steps that can be checked.",
    });
    expect(winner.agentId).toBe("agent-dev-002");
  });

  it("may choose another than the first, and is not told who is", async () => {
    await using server = await startOpenAiServer([{ kind: "reply", text: '{"reason": "Simple.", "choice": 1}' }]);
    const { selection, winner, candidates } = await choose(undefined, {
      kind: "openai",
      url: server.url,
      model: "test-model",
    });
    expect(selection).toEqual({ by: "architect", reason: "Simple." });
    expect(winner.agentId).toBe("agent-dev-001");
    expect(candidates[0]?.agentId).toBe("agent-dev-002");
  });

  const silent: readonly (readonly [string, ModelSpec | undefined, RegExp])[] = [
    ["answers what cannot be read", mock("malformed"), /The architect's answer could not be read/],
    ["fails", mock("crash"), /The architect gave no answer: ModelHttpError/],
    ["is not there", undefined, /There is no architect to ask/],
  ];
  it.each(silent)("that %s leaves the ranking, and that is said", async (_, architect, reason) => {
    const { selection, winner } = await choose(undefined, architect);
    expect(selection).toMatchObject({ by: "ranking", reason: expect.stringMatching(reason) });
    expect(winner.agentId).toBe("agent-dev-002");
  });
});

describe("beside deliberations", () => {
  it("hands plans to the deriver, with the model of the services unless that is a mock", async () => {
    const { service, derived } = await makeService({ kind: "openai", url: "http://127.0.0.1:9", model: "m" });
    const plan = { id: "p1", title: "Retry", text: "- Do it", steps: [] };
    await service.deriveSubtasks({ plan }, someone);
    await service.deriveSubtasks({ plan, roles: ["QA"] }, someone);
    expect(derived).toEqual([
      { plan, roles: ["DEV", "QA", "ARCHITECT", "DEVOPS", "DATA"], model: "m" },
      { plan, roles: ["QA"], model: "m" },
    ]);
    expect(await codeOf(service.deriveSubtasks({ plan: { ...plan, id: "no id" } }, someone))).toBe("StoryPlanInvalid");
    const mocked = await makeService(mock());
    await mocked.service.deriveSubtasks({ plan }, someone);
    expect(mocked.derived).toMatchObject([{ model: undefined }]);
  });

  it("counts what went on, and says who is busy", async () => {
    const clock = new FakeClock();
    const { service } = await makeService(mock(), clock);
    await makeCouncil(service, "delay");
    const running = service.deliberate({ task, role: "DEV" }, someone);
    await clock.advance(1_000);
    expect(service.status()).toMatchObject({
      deliberationsRunning: 1,
      storiesInFlight: 2,
      councils: [{ members: [{ status: "busy" }] }],
    });
    await clock.advance(4_000);
    await running;
    expect(service.status()).toMatchObject({ deliberationsRunning: 0, councils: [{ members: [{ status: "idle" }] }] });
    expect(service.metrics()).toEqual({
      ...{ deliberations: 1, failed: 0, durationMs: { p50: 5_000, p95: 5_000, p99: 5_000 } },
      ...{ byRole: { DEV: { deliberations: 1, meanMs: 5_000 } }, inputTokens: 0, outputTokens: 0 },
      tasks: { pending: 1, dispatched: 2, done: 3, failed: 4 },
    });
  });
});

describe("the actor", () => {
  const spawned = {
    name: "orchestrator",
    namespace: SERVICES,
    concurrency: 256,
    args: [{ model: mock() }] as [{ model: ModelSpec }],
  };

  it("answers and streams to another node, and goes on under its name after it was killed", async () => {
    await using systems = await openSystems(["here", "there"], { actors: [Orchestrator] });
    const first = await systems.at(1).spawn(Orchestrator, { ...spawned, node: "there" });
    const orchestrator = await systems.at(0).get("orchestrator", Orchestrator, SERVICES);
    await orchestrator.createCouncil({ role: "DEV" });
    await orchestrator.createCouncil({ role: "QA", agents: 1, model: mock("delay") });
    const { winnerId } = await orchestrator.deliberate({ task, role: "DEV", taskId: "one" });
    expect(winnerId).toBe("agent-dev-002");
    const stages: string[] = [];
    for await (const { stage } of orchestrator.watch("one")) stages.push(stage);
    expect(stages.at(-1)).toBe("done");
    expect(await codeOf(orchestrator.deliberation("none"))).toBe("DeliberationUnknown");
    expect(await orchestrator.deliberateAsync({ task, role: "QA", taskId: "two" })).toEqual({
      ...{ taskId: "two", status: "in_progress", agents: ["agent-qa-001"] },
    });
    await systems.at(1).kill(first);
    await systems.at(1).spawn(Orchestrator, { ...spawned, node: "there" });
    const next = await systems.at(0).get("orchestrator", Orchestrator, SERVICES);
    expect((await next.councils()).map(({ role }) => role)).toEqual(["DEV", "QA"]);
    expect(await next.deliberation("two")).toMatchObject({ status: "in_progress" });
  });

  it("ends a deliberation whose only caller gives up", async () => {
    const system = await connect();
    cleanups.push(() => system.close());
    const orchestrator = await system.spawn(Orchestrator, spawned);
    await orchestrator.createCouncil({ role: "DEV", agents: 1, model: mock("delay") });
    const leave = new AbortController();
    const answer = orchestrator.with({ signal: leave.signal }).deliberate({ task, role: "DEV", taskId: "t" });
    const error = caught(answer);
    const running = async () => (await orchestrator.status()).deliberationsRunning;
    await waitUntil("it runs", async () => (await running()) === 1);
    leave.abort();
    expect((await error).code).toBe("Cancelled");
    await waitUntil("it has ended", async () => (await running()) === 0);
  });
});
