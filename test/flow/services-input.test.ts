// What careless and hostile users do to a fleet of services, on real processes: commands, the door, the event log, a policy that asks people.
// Nothing that is wrong loses anything, and everything is told.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { deadEvents } from "../../actors/events/channels.ts";
import { parse } from "../../actors/events/feed.ts";
import { runnerOf } from "../../actors/service-handles.ts";
import { topicFilter, topicSubject } from "../../runtime/index.ts";
import { natsMissing } from "../support/nats-server.ts";
import { runFlotilla } from "../support/running-command.ts";
import { openServiceFleet, type ServiceFleet, type ServiceHost, storyDraft, TEAM } from "../support/service-fleet.ts";
import { waitUntil } from "../support/wait-until.ts";

const RULE = {
  ...{ id: "ask-commits", effect: "ask", roles: ["DEV"], tools: ["git.commit"] },
  reason: "A person looks at every commit of this team.",
};
/** Longer than the room that a node's name has. */
const LONG = "add-a-function-that-greets-every-visitor-of-the-page-by-name";

describe.skipIf(natsMissing() !== undefined)("services", () => {
  let fleet: ServiceFleet;
  let host: ServiceHost;
  beforeAll(async () => {
    fleet = await openServiceFleet();
    const policy = join(fleet.folder, "policy.json");
    await writeFile(policy, JSON.stringify([RULE]));
    host = await fleet.host("--rpc", "127.0.0.1:0", "--policy", policy);
  }, 60_000);
  afterAll(() => fleet[Symbol.asyncDispose](), 60_000);

  async function said(...args: readonly string[]) {
    const command = runFlotilla(args, fleet.who);
    const status = await command.ended;
    return { status, text: command.out + command.err };
  }

  async function rpc(method: string, body: string, headers: Readonly<Record<string, string>> = {}) {
    const token = (await readFile(host.ready.tokenFile ?? "", "utf8")).trim();
    const response = await fetch(`${host.ready.rpc[0]?.url}/fleet.${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}`, ...headers },
      body,
    });
    return { status: response.status, text: await response.text() };
  }

  test("commands tell what is wrong, and change nothing", { timeout: 60_000 }, async () => {
    const story = await fleet.planning.createStory({ ...storyDraft(fleet.repository.path), id: "wrong" });
    const big = join(fleet.folder, "big.md");
    await writeFile(big, "x".repeat(10_000_000));
    const cases: readonly (readonly [args: readonly string[], status: number, text: RegExp])[] = [
      [["story", "move", "wrong", "approve_scope", "--role", "po", "--version", "9"], 1, /is at version 1, not 9/],
      [["story", "move", "wrong", "approve_scope", "--role", "qa"], 2, /Only a person with the role po/],
      [["story", "plan", "wrong", "--file", big], 1, /plan\.text: Too big/],
      [["approvals", "approve", "nothing"], 1, /Nothing with the id nothing/],
    ];
    const answers = await Promise.all(cases.map(([args]) => said(...args)));
    for (const [index, [args, status, text]] of cases.entries()) {
      expect(answers[index]?.status, args.join(" ")).toBe(status);
      expect(answers[index]?.text).toMatch(text);
    }
    expect(await fleet.planning.story("wrong")).toEqual(story);
  });

  test("the door refuses what it cannot take, with a reason", { timeout: 30_000 }, async () => {
    const create = "planning.v1.PlanningService/CreateStory";
    const brief = "x".repeat(1_000_000);
    const cases: readonly (readonly [answer: ReturnType<typeof rpc>, status: number, text: RegExp])[] = [
      [rpc(create, "{}", { authorization: "Bearer no" }), 401, /TokenMissing/],
      [rpc(create, "{not json"), 400, /cannot decode/],
      [rpc(create, JSON.stringify({ title: "Big", nosuchfield: "lost" })), 400, /nosuchfield/],
      [rpc(create, JSON.stringify({ title: "Big", brief })), 400, /FieldInvalid/],
      [rpc(create, JSON.stringify({ title: "Big", brief: brief.repeat(10) })), 429, /10\d{6}/],
      [rpc("planning.v1.PlanningService/GetStory", "{}"), 404, /StoryUnknown/],
      [
        rpc("orchestrator.v1.OrchestratorService/Deliberate", '{"taskDescription":"x","role":"WIZARD"}'),
        400,
        /No agents configured for role WIZARD.+NoAgentsForRole/,
      ],
    ];
    for (const [answer, status, text] of cases) {
      const { text: got, status: is } = await answer;
      expect(got).toMatch(text);
      expect(is, got).toBe(status);
    }
    expect((await fleet.planning.stories()).stories.every(({ title }) => title !== "Big")).toBe(true);
  });

  test("what is no event is dead-lettered, what comes a hundred times is done once", { timeout: 60_000 }, async () => {
    const { eventLog } = fleet.system.ports;
    const append = (topic: string, text: string, id: string) =>
      eventLog.append(topicSubject(topic), new TextEncoder().encode(text), { id });
    const envelope = (type: string, data: unknown, more: object = {}) =>
      JSON.stringify({
        ...{ eventId: "e", type, schemaVersion: 1, idempotencyKey: `raw ${type}`, correlationId: "x", producer: "x@x" },
        ...{ time: new Date(0).toISOString(), data, ...more },
      });
    const request = {
      ...{ storyId: "raw", taskId: "gone", attempt: 1, agentId: "agent-dev-001", role: "DEV", title: "x", text: "x" },
      ...{ priority: 1, repository: { url: "/nowhere/at/all" }, context: "", model: { kind: "mock" } },
      ...{ timeoutMs: 60_000, by: { kind: "system", id: "x" } },
    };
    await append("agile.events", "{ no json", "raw-1");
    await append("agile.events", envelope("story.transitioned", {}, { schemaVersion: 99 }), "raw-2");
    await append("agent.results.x", "[]", "raw-3");
    await append("agent.requests", "", "raw-4");
    for (let i = 0; i < 100; i++) await append("agent.requests", envelope("agent.requested", request), `raw-100-${i}`);
    const wanted = [
      "workspace-runner agent.requests EventNotJson",
      ...["context", "orchestrator"].flatMap((service) => [
        `${service}-agile agile.events EventNotJson`,
        `${service}-agile agile.events EventTooNew`,
        `${service}-results agent.results.x EventInvalid`,
      ]),
    ].sort();
    await waitUntil("all are dead letters", async () => {
      const logged = await eventLog.read(topicFilter("deadletter"), 1, 100);
      const dead = logged.flatMap((event) => {
        const fed = parse(deadEvents, event);
        return fed.kind === "event" ? [fed.event.data] : [];
      });
      const told = dead.map(({ consumer, topic, reason }) => `${consumer} ${topic} ${reason.code}`);
      return JSON.stringify(told.sort()) === JSON.stringify(wanted);
    });
    const jobs = await waitUntil("the job has ended", async () => {
      const found = await runnerOf(fleet.system).jobs({ storyId: "raw" });
      return found.every(({ endedAtMs }) => endedAtMs !== undefined) ? found : undefined;
    });
    expect(jobs.map(({ state, error }) => [state, error?.code])).toEqual([["failed", "RepoNotFound"]]);
  });

  test("a long task's agent asks a person, does what is allowed, and says why it failed", {
    timeout: 60_000,
  }, async () => {
    const { planning } = fleet;
    const { id } = await planning.createStory({ ...storyDraft(fleet.repository.path), id: "asked" });
    await fleet.decideUntil(id, "DESIGN");
    const text = "Add helloWorld() function to src/utils.js";
    const step = { id: LONG, title: "Say hello", text, role: "DEV", phase: "BUILD" } as const;
    const odd = { ...step, id: "odd", title: "Sing", text: "Sing a song", dependsOn: [LONG] } as const;
    const plan = { title: "Greetings", text: "One function, and what no mock can do.", steps: [step, odd] };
    await planning.proposePlan({ storyId: id, plan: structuredClone(plan) as never, by: TEAM.po });
    await waitUntil("the plan is approved", async () => {
      for (const { id: approvalId, kind } of await planning.approvals({ storyId: id }))
        if (kind === "gate") await planning.decide({ approvalId, decision: "approve", by: TEAM.po });
      return (await planning.story(id)).state === "BUILD";
    });
    const asked = await waitUntil(
      "the agent asks",
      async () => (await planning.approvals({ storyId: id })).find(({ kind }) => kind !== "gate"),
      30_000,
    );
    expect(asked).toMatchObject({ taskId: LONG, subject: "git.commit" });
    expect(asked.question).toContain(RULE.reason);
    expect((await said("approvals", "approve", asked.id, "--as", "ada")).status).toBe(0);
    const done = await waitUntil(
      "both tasks have ended",
      async () => {
        // A third one documents them, later.
        const tasks = (await planning.story(id)).tasks.filter(({ phase }) => phase === "BUILD");
        return tasks.every(({ status }) => status === "done" || status === "failed") ? tasks : undefined;
      },
      30_000,
    );
    expect(done.map(({ status, error }) => [status, error?.code])).toEqual([
      ["done", undefined],
      ["failed", "EmptyPlan"],
    ]);
  });

  test("a table that cannot be used, or a port in use, leaves running services alone", {
    timeout: 30_000,
  }, async () => {
    const bad = join(fleet.folder, "bad.yaml");
    await writeFile(bad, "nonsense");
    const taken = host.ready.rpc[0]?.url.replace("http://", "") ?? "";
    for (const [args, text] of [
      [["--story-table", bad], /story table cannot be used/],
      [["--scopes", bad], /scopes.+(cannot be used|not valid)/],
      [["--rpc", taken, "--running", "7"], /in use|taken|another port/i],
    ] as const) {
      const command = fleet.begin(...args);
      expect(await command.ended, command.err).toBe(1);
      expect(command.err).toMatch(text);
    }
    expect((await fleet.planning.story("wrong")).id).toBe("wrong");
    expect(host.command.err).not.toMatch(/passes over.+"agent\.results\.(?!x)/);
  });
});
