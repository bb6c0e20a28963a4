// The deliberations of an orchestrator: one for each id, watched from their beginning, ended with their callers, and gone on with by the
// next life where somebody may ask for them later.

import { afterEach, describe, expect, it } from "vitest";
import { ScriptedModel } from "../../../actors/agent/scripted-model.ts";
import { fail } from "../../../actors/errors.ts";
import { DeliberationMetrics } from "../../../actors/orchestrator/deliberation-metrics.ts";
import { checkedRequest } from "../../../actors/orchestrator/deliberation-request.ts";
import { Deliberations } from "../../../actors/orchestrator/deliberations.ts";
import type { DeliberationRequest, DeliberationUpdate } from "../../../actors/orchestrator/orchestrator-api.ts";
import { type ActorSystem, connect, seededRandom } from "../../../runtime/index.ts";
import { codeOf } from "../../support/caught.ts";
import { FakeClock, settle } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { TEXTS } from "./sittings.ts";

const HOUR_MS = 3_600_000;
const systems: ActorSystem[] = [];
afterEach(async () => {
  for (const system of systems.splice(0)) await system.close();
});

async function makeSystem(clock?: FakeClock): Promise<ActorSystem> {
  const system = await connect(clock === undefined ? {} : { clock });
  systems.push(system);
  return system;
}

/** One life of the orchestrator's deliberations, whose models answer when they are let. */
function live(system: ActorSystem, options: { readonly text?: string; readonly open?: boolean } = {}) {
  const gate = Promise.withResolvers<void>();
  if (options.open) gate.resolve();
  const asked: string[] = [];
  const aborted: string[] = [];
  const metrics = new DeliberationMetrics();
  const deliberations = new Deliberations({
    ...{ system, random: seededRandom(2), metrics, log: () => {} },
    model: ({ agentId }) =>
      new ScriptedModel(
        "scripted",
        async (request) => {
          asked.push(agentId);
          request.signal.addEventListener("abort", () => aborted.push(agentId));
          await gate.promise;
          return {
            text: `${options.text ?? TEXTS.good} ${agentId}`,
            finish: "stop",
            usage: { inputTokens: 10, outputTokens: 5 },
          };
        },
        system.clock,
      ),
  });
  const order =
    (taskId: string, more: Partial<DeliberationRequest> = {}) =>
    () => ({
      ...{ taskId, rounds: 1, startedAtMs: system.clock.now() },
      request: checkedRequest({ task: "Add a retry", role: "DEV", ...more }),
      seats: ["agent-dev-001", "agent-dev-002"].map((agentId, index) => ({
        agentId,
        number: index + 1,
        model: { kind: "mock" as const },
      })),
    });
  const caller = (signal = new AbortController().signal, deadlineMs = Number.POSITIVE_INFINITY) => ({
    signal,
    deadlineMs,
  });
  const answer = (taskId: string, given = caller()) => deliberations.answer(taskId, given, order(taskId));
  const begin = (taskId: string) => deliberations.begin(taskId, order(taskId));
  return { deliberations, metrics, gate, asked, aborted, order, caller, answer, begin };
}

async function read(updates: AsyncIterable<DeliberationUpdate>): Promise<DeliberationUpdate[]> {
  return Array.fromAsync(updates);
}
const ended = async ({ deliberations }: ReturnType<typeof live>, taskId: string) => {
  const updates = await read(deliberations.watch(taskId, new AbortController().signal));
  return updates.at(-1)?.deliberation;
};

describe("one for each id", () => {
  it("answers the same to the same id, and asks models once", async () => {
    const life = live(await makeSystem(), { open: true });
    const [one, two] = await Promise.all([life.answer("t"), life.answer("t")]);
    expect(one).toMatchObject({ taskId: "t", role: "DEV", status: "completed" });
    expect(two).toEqual(one);
    expect(await life.answer("t")).toEqual(one);
    expect(await life.begin("t")).toEqual({
      taskId: "t",
      status: "completed",
      agents: ["agent-dev-001", "agent-dev-002"],
    });
    expect(life.deliberations.get("t")).toEqual(one);
    expect(life.asked).toHaveLength(2);
    expect(life.metrics.read()).toMatchObject({ deliberations: 1, failed: 0, inputTokens: 20, outputTokens: 10 });
  });

  it("begins once for many who begin it at once", async () => {
    const life = live(await makeSystem());
    const answers = await Promise.all([1, 2, 3].map(() => life.begin("t")));
    for (const answer of answers)
      expect(answer).toMatchObject({ status: "in_progress", agents: ["agent-dev-001", "agent-dev-002"] });
    expect(life.deliberations.running).toBe(1);
    expect(life.deliberations.isBusy("DEV", "agent-dev-001")).toBe(true);
    life.gate.resolve();
    expect(await ended(life, "t")).toMatchObject({ status: "completed" });
    expect(life.asked).toHaveLength(2);
    expect(life.deliberations.isBusy("DEV", "agent-dev-001")).toBe(false);
  });

  it("knows nothing of what never began", async () => {
    const { deliberations } = live(await makeSystem());
    expect(await codeOf((async () => deliberations.get("t".repeat(1e6)))())).toBe("DeliberationUnknown");
    expect(await codeOf(read(deliberations.watch("t", new AbortController().signal)))).toBe("DeliberationUnknown");
  });

  it("forgets an hour after the end, in the store, too", async () => {
    const clock = new FakeClock();
    const system = await makeSystem(clock);
    const life = live(system, { open: true });
    await life.begin("t");
    await settle();
    await clock.advance(HOUR_MS - 1);
    expect(life.deliberations.get("t")).toMatchObject({ status: "completed" });
    await clock.advance(1);
    expect(await codeOf((async () => life.deliberations.get("t"))())).toBe("DeliberationUnknown");
    expect(await system.ports.store.get("orchestrator.deliberation.t")).toBeUndefined();
  });
});

describe("readers", () => {
  it("read the same, whether they come first, in the middle or last", async () => {
    const life = live(await makeSystem());
    await life.begin("t");
    const signal = new AbortController().signal;
    const first = read(life.deliberations.watch("t", signal));
    await settle();
    const middle = read(life.deliberations.watch("t", signal));
    expect(life.deliberations.get("t")).toMatchObject({ status: "in_progress", winnerId: null });
    life.gate.resolve();
    const seen = await first;
    expect(seen.map(({ stage, agentId }) => [stage, agentId])).toEqual([
      ["proposing", undefined],
      ["proposing", "agent-dev-001"],
      ["proposing", "agent-dev-002"],
      ["ranking", undefined],
      ["done", undefined],
    ]);
    expect(seen.at(-1)).toMatchObject({ percent: 100, deliberation: { status: "completed" } });
    expect(await middle).toEqual(seen);
    expect(await read(life.deliberations.watch("t", signal))).toEqual(seen);
  });

  it("hear of one that takes long, that it goes on", async () => {
    const clock = new FakeClock();
    const life = live(await makeSystem(clock));
    await life.begin("t");
    const reader = life.deliberations.watch("t", new AbortController().signal);
    expect((await reader.next()).value).toMatchObject({ stage: "proposing" });
    const next = reader.next();
    await clock.advance(5_000);
    expect((await next).value).toEqual({ taskId: "t", stage: "proposing", round: 1, percent: 0 });
    await reader.return();
    await life.deliberations.stop();
  });

  it("leave by their signal, and it goes on", async () => {
    const life = live(await makeSystem());
    await life.begin("t");
    const leave = new AbortController();
    const reading = read(life.deliberations.watch("t", leave.signal));
    await settle();
    leave.abort();
    expect(await codeOf(reading)).toBe("Cancelled");
    life.gate.resolve();
    expect(await ended(life, "t")).toMatchObject({ status: "completed" });
  });
});

describe("callers", () => {
  it("end one that nobody waits for any more, and its id is free", async () => {
    const life = live(await makeSystem());
    const [one, two] = [new AbortController(), new AbortController()];
    const answers = [life.answer("t", life.caller(one.signal)), life.answer("t", life.caller(two.signal))];
    await settle();
    one.abort();
    expect(await codeOf(answers[0] as Promise<unknown>)).toBe("Cancelled");
    expect(life.aborted).toEqual([]);
    two.abort();
    expect(await codeOf(answers[1] as Promise<unknown>)).toBe("Cancelled");
    await waitUntil("the models were told", () => life.aborted.length === 2);
    expect(life.deliberations.running).toBe(0);
    life.gate.resolve();
    expect(await life.answer("t")).toMatchObject({ status: "completed" });
    expect(life.asked).toHaveLength(4);
    expect(life.metrics.read().deliberations).toBe(1);
  });

  it("do not end one that somebody has begun for later", async () => {
    const life = live(await makeSystem());
    const leave = new AbortController();
    const answer = life.answer("t", life.caller(leave.signal));
    expect(await life.begin("t")).toMatchObject({ status: "in_progress" });
    leave.abort();
    expect(await codeOf(answer)).toBe("Cancelled");
    life.gate.resolve();
    expect(await ended(life, "t")).toMatchObject({ status: "completed" });
    expect(life.asked).toHaveLength(2);
  });

  it("have their answer before their own time is up", async () => {
    const clock = new FakeClock();
    const life = live(await makeSystem(clock));
    const answer = life.answer("t", life.caller(undefined, clock.now() + 10_000));
    await clock.advance(9_600);
    expect(await answer).toMatchObject({ status: "timeout", durationMs: 9_500, winnerId: null });
    expect(life.metrics.read()).toMatchObject({ deliberations: 1, failed: 1, durationMs: { p50: 9_500, p99: 9_500 } });
  });

  it("are refused beyond the bounds, and nothing is left of them", async () => {
    const life = live(await makeSystem());
    const leave = new AbortController();
    const many = Array.from({ length: 200 }, (_, index) => life.answer(`t${index}`, life.caller(leave.signal)));
    const settled = Promise.allSettled(many);
    expect(await codeOf(life.answer("more"))).toBe("DeliberationsFull");
    expect(await codeOf(life.answer("t1"))).toBe("DeliberationsFull");
    expect(await codeOf(life.begin("more"))).toBe("DeliberationsFull");
    leave.abort();
    await settled;
    life.gate.resolve();
    expect(await life.answer("more")).toMatchObject({ status: "completed" });
  });
});

describe("the next life", () => {
  it("begins what has no end again, once; the life before, if it still lives, tells nothing", async () => {
    const system = await makeSystem();
    const dead = live(system, { text: "from the first life" });
    await dead.begin("t");
    const next = live(system);
    await next.deliberations.start();
    expect(next.deliberations.get("t")).toMatchObject({ status: "in_progress" });
    expect(next.asked).toEqual(["agent-dev-001", "agent-dev-002"]);
    dead.gate.resolve();
    expect(await ended(dead, "t")).toMatchObject({ status: "failed", winnerId: null, error: { code: "Cancelled" } });
    next.gate.resolve();
    expect(await ended(next, "t")).toMatchObject({ status: "completed" });
    const third = live(system);
    await third.deliberations.start();
    expect(third.asked).toEqual([]);
    expect(third.deliberations.get("t")).toEqual(next.deliberations.get("t"));
    expect(
      (await read(third.deliberations.watch("t", new AbortController().signal))).map(({ stage }) => stage),
    ).toEqual(["done"]);
  });

  it("does so after an orderly stop, too, which tells nobody of an end", async () => {
    const system = await makeSystem();
    const first = live(system);
    await first.begin("t");
    const told: unknown[] = [];
    void first.answer("t").then((end) => told.push(end));
    await first.deliberations.stop();
    await settle();
    expect(told).toEqual([]);
    const next = live(system, { open: true });
    await next.deliberations.start();
    expect(await ended(next, "t")).toMatchObject({ status: "completed" });
  });

  it("does not give it more time than it had", async () => {
    const clock = new FakeClock();
    const system = await makeSystem(clock);
    const dead = live(system);
    await dead.begin("t");
    await dead.deliberations.stop();
    await clock.advance(120_000);
    const next = live(system);
    await next.deliberations.start();
    expect(await ended(next, "t")).toMatchObject({
      status: "timeout",
      results: [{ error: { code: "DeadlineExceeded" } }, {}],
    });
  });

  it("reads a result too large for a document from its blob, and lets go of both after the hour", async () => {
    const clock = new FakeClock();
    const system = await makeSystem(clock);
    const first = live(system, { open: true, text: `${"ä".repeat(18_000)}` });
    const seats = Array.from({ length: 20 }, (_, index) => ({
      agentId: `a${index}`,
      number: index + 1,
      model: { kind: "mock" as const },
    }));
    await first.deliberations.begin("t", () => ({ ...first.order("t")(), seats }));
    const result = await ended(first, "t");
    const next = live(system);
    await next.deliberations.start();
    expect(next.deliberations.get("t")).toEqual(result);
    const record = new TextDecoder().decode((await system.ports.store.get("orchestrator.deliberation.t"))?.value);
    const blob = /"blob":"(\w+)"/.exec(record)?.[1] ?? "";
    expect(await system.ports.blobs.has(blob)).toBe(true);
    await clock.advance(HOUR_MS);
    expect(await system.ports.blobs.has(blob)).toBe(false);
  });

  it("goes on with the others where one record cannot be read", async () => {
    const system = await makeSystem();
    await live(system).begin("t");
    await system.ports.store.create("orchestrator.deliberation.bad", new TextEncoder().encode("{"));
    const next = live(system, { open: true });
    await next.deliberations.start();
    expect(await ended(next, "t")).toMatchObject({ status: "completed" });
  });
});

describe("a store that is away", () => {
  it("keeps a beginning from being answered, and a result from being told before it is kept", async () => {
    const clock = new FakeClock();
    const system = await makeSystem(clock);
    let away = false;
    const gone = () => fail("ModelUnreachable", "The store is away.");
    const store = new Proxy(system.ports.store, {
      get(target, name) {
        const value = Reflect.get(target, name);
        if (typeof value !== "function") return value;
        return async (...args: unknown[]) => {
          if (away) throw gone();
          return value.apply(target, args);
        };
      },
    });
    const life = live({ clock, ports: { ...system.ports, store } } as unknown as ActorSystem);
    away = true;
    expect(await codeOf(life.begin("t"))).toBe("ModelUnreachable");
    expect(life.deliberations.running).toBe(0);
    away = false;
    await life.begin("t");
    away = true;
    life.gate.resolve();
    await clock.advance(1_000);
    expect(life.deliberations.get("t")).toMatchObject({ status: "in_progress" });
    away = false;
    await clock.advance(5_000);
    expect(life.deliberations.get("t")).toMatchObject({ status: "completed" });
  });
});
