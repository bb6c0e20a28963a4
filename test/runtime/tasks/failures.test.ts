// Tasks that fail: retries and their pauses, lost nodes, poison, the dead-letter list and replays.

import { describe, expect, it } from "vitest";
import { FlotillaError, runtimeError } from "../../../runtime/errors.ts";
import type { TaskFailure } from "../../../runtime/tasks/task.ts";
import { caught, codeOf, outcome } from "../../support/caught.ts";
import { FakeClock, settle } from "../../support/fake-clock.ts";
import { encode, memoryTaskPorts, taskNodes } from "../../support/task-nodes.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TYPE = { type: "counter" };
const never = () => new Promise<never>(() => {});

async function fleet(run: (attempt: number) => Promise<unknown>, maxInFlight?: number) {
  const clock = new FakeClock();
  const nodes = taskNodes({ clock, ...(maxInFlight !== undefined && { maxInFlight }) });
  await nodes.open("worker", (_, __, { number }) => run(number)).tasks.serve("counter");
  const { tasks } = nodes.open("driver");
  return { nodes, clock, tasks, [Symbol.asyncDispose]: () => nodes[Symbol.asyncDispose]() };
}

const historyOf = (error: FlotillaError) => error.data.history as readonly TaskFailure[];

describe("an attempt that fails", () => {
  it("is tried again after pauses that grow, then dead, with every attempt in the history", async () => {
    const atMs: number[] = [];
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    await nodes
      .open("worker", async () => {
        atMs.push(clock.now());
        throw new RangeError(`no ${atMs.length}`);
      })
      .tasks.serve("counter");
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit(TYPE, "go", [], { backoff: { firstMs: 1_000, factor: 2, maxMs: 3_000 } });
    const result = caught(tasks.result(id));
    await clock.advance(60_000);
    const error = await result;
    expect(error).toMatchObject({ code: "TaskFailed", data: { id } });
    expect(error.message).toContain("no 4");
    expect(historyOf(error)).toMatchObject(
      [1, 2, 3, 4].map((attempt) => ({
        attempt,
        node: "worker",
        code: "ActorThrew",
        atMs: atMs[attempt - 1],
        message: `counter.go threw RangeError: no ${attempt}`,
        stack: expect.stringContaining("RangeError"),
      })),
    );
    const pauses = atMs.slice(1).map((at, index) => at - (atMs[index] ?? 0));
    for (const [index, nominal] of [1_000, 2_000, 3_000].entries()) {
      expect(pauses[index]).toBeGreaterThanOrEqual(nominal / 2);
      expect(pauses[index]).toBeLessThanOrEqual(nominal);
    }
  });

  it("can be shown by whoever has just been told of it, although its entry is still being written (DT1)", async () => {
    const clock = new FakeClock();
    const ports = memoryTaskPorts(clock);
    const gate = Promise.withResolvers<void>();
    const { store } = ports;
    const create = store.create.bind(store);
    store.create = async (key, ...rest) => {
      if (key.startsWith("dead.")) await gate.promise;
      return create(key, ...rest);
    };
    await using nodes = taskNodes({ clock, ports });
    await nodes.open("worker", () => Promise.reject(runtimeError("NoSuchMethod", "so it is"))).tasks.serve("counter");
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit(TYPE, "go", []);
    expect(await codeOf(tasks.result(id))).toBe("TaskFailed");
    const shown = tasks.deadLetters.show(id);
    await clock.advance(100);
    gate.resolve();
    await clock.advance(100);
    expect((await shown).history).toHaveLength(1);
  });

  it.each([
    ["NoSuchMethod", 1],
    ["NotSendable", 1],
    ["InvalidOption", 1],
    ["WrongKind", 1],
    ["NoSuchActor", 1],
    ["ActorStartFailed", 2],
    ["MailboxFull", 2],
    ["Unavailable", 2],
    ["ActorEnded", 2],
  ] as const)("with %s has %i attempts of two", async (code, attempts) => {
    await using at = await fleet(() => Promise.reject(runtimeError(code, "so it is")));
    const id = await at.tasks.submit(TYPE, "go", [], { retries: 1 });
    const result = caught(at.tasks.result(id));
    await at.clock.advance(10_000);
    expect(historyOf(await result).map((failure) => failure.code)).toEqual(Array(attempts).fill(code));
  });

  it("with an error of the user's own is retried when that says so", async () => {
    await using at = await fleet(() => Promise.reject(new FlotillaError("QuotaUsedUp", "no more today")));
    const error = caught(at.tasks.result(await at.tasks.submit(TYPE, "go", [])));
    await at.clock.advance(100_000);
    expect(historyOf(await error)).toMatchObject([{ attempt: 1, code: "QuotaUsedUp" }]);
  });

  it("because its result cannot be sent, or is too large, is dead with the reason", async () => {
    await using at = await fleet(async (attempt) => (attempt === 1 ? { f: () => {} } : 0));
    const error = await caught(at.tasks.result(await at.tasks.submit(TYPE, "go", [])));
    expect(historyOf(error)).toMatchObject([{ code: "NotSendable", message: expect.stringContaining("result.f") }]);
    await using large = await fleet(async () => new Uint8Array(65 * 1024 * 1024));
    const tooLarge = await caught(large.tasks.result(await large.tasks.submit(TYPE, "go", [])));
    expect(historyOf(tooLarge)).toMatchObject([{ code: "ValueTooLarge" }]);
  });
});

describe("a node that dies", () => {
  it("costs an attempt, which the history names, and another goes on", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const first = nodes.open("first", never);
    await first.tasks.serve("counter");
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit(TYPE, "go", [], { retries: 1 });
    await settle();
    first.die();
    let attempt = 0;
    await nodes
      .open("second", async (_, __, { number }) => {
        attempt = number;
        throw new Error("me too");
      })
      .tasks.serve("counter");
    const error = caught(tasks.result(id));
    await clock.advance(30_000);
    expect(attempt).toBe(2);
    expect(historyOf(await error)).toMatchObject([
      { attempt: 1, code: "AttemptLost", message: expect.stringContaining("node died") },
      { attempt: 2, code: "ActorThrew", node: "second" },
    ]);
  });

  it("again and again: a poison task is dead after its attempts, and others are not disturbed", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const { tasks } = nodes.open("driver");
    let runs = 0;
    const open = async (name: string) => {
      const node = nodes.open(name, (request) => {
        if (request.id !== "poison") return Promise.resolve(request.id);
        runs++;
        node.die();
        return never();
      });
      await node.tasks.serve("counter");
    };
    await tasks.submit(TYPE, "go", [], { id: "poison", retries: 2 });
    const ids = await Promise.all(Array.from({ length: 50 }, () => tasks.submit(TYPE, "go", [])));
    const others = Promise.all(ids.map((id) => tasks.result(id)));
    const poison = caught(tasks.result("poison"));
    for (let round = 0; round < 8; round++) {
      await open(`node-${round}`);
      await clock.advance(4_000);
    }
    expect(await others).toEqual(ids);
    expect(historyOf(await poison).map(({ code }) => code)).toEqual(["AttemptLost", "AttemptLost", "AttemptLost"]);
    expect(runs).toBe(3);
  });

  it("only seems to: what a paused node brings late changes nothing", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const release = Promise.withResolvers<string>();
    const paused = nodes.open("paused", () => release.promise);
    await paused.tasks.serve("counter");
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit(TYPE, "go", []);
    await settle();
    paused.doze();
    await nodes.open("second", async (_, __, { number }) => `second, attempt ${number}`).tasks.serve("counter");
    await clock.advance(4_000);
    release.resolve("late");
    expect(await tasks.result(id)).toBe("second, attempt 2");
    await clock.advance(60_000);
    expect(await nodes.open("later").tasks.result(id)).toBe("second, attempt 2");
  });

  it("is not what a long task looks like: its hold is renewed while it runs, and while it waits for its turn", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock, maxInFlight: 1 });
    const { tasks } = nodes.open("driver");
    const releases: (() => void)[] = [];
    await nodes.open("slow", () => new Promise<void>((resolve) => releases.push(resolve))).tasks.serve("counter");
    await tasks.submit(TYPE, "go", [], { id: "a" });
    await tasks.submit(TYPE, "go", [], { id: "b" });
    await clock.advance(3_600_000);
    expect(releases).toHaveLength(1);
    releases[0]?.();
    await waitUntil("the next one runs", () => releases.length === 2);
    releases[1]?.();
    expect(await tasks.wait(["a", "b"])).toEqual({ done: ["a", "b"], pending: [] });
  });
});

describe("a server that is away", () => {
  it("when a result is to be recorded is asked again; the task does not run again for it", async () => {
    let runs = 0;
    await using at = await fleet(async () => ++runs);
    const { results } = at.nodes.ports;
    const append = results.append.bind(results);
    let refusals = 0;
    results.append = (...args) => {
      if (++refusals > 3) return append(...args);
      return Promise.reject(runtimeError("Unavailable", "the server is away"));
    };
    const id = await at.tasks.submit(TYPE, "go", []);
    const result = at.tasks.result(id);
    await at.clock.advance(10_000);
    expect(await result).toBe(1);
    expect({ runs, refusals }).toEqual({ runs: 1, refusals: 4 });
  });

  it("for long makes the task come again", async () => {
    let runs = 0;
    await using at = await fleet(async () => ++runs);
    const { results } = at.nodes.ports;
    const append = results.append.bind(results);
    results.append = () => Promise.reject(runtimeError("Unavailable", "the server is away"));
    const id = await at.tasks.submit(TYPE, "go", []);
    const result = at.tasks.result(id);
    await at.clock.advance(60_000);
    results.append = append;
    await at.clock.advance(60_000);
    expect(await result).toBe(runs);
    expect(runs).toBeGreaterThan(1);
  });
});

describe("what others put into the queue", () => {
  it("and is no task is dropped, told, and disturbs nobody", async () => {
    const clock = new FakeClock();
    const log: string[] = [];
    await using nodes = taskNodes({ clock, log: ({ message }) => log.push(message) });
    await nodes.open("worker").tasks.serve("counter");
    const kind = Buffer.from("counter").toString("base64url");
    const items = [new Uint8Array(0), new Uint8Array(100).fill(255), encode({ id: 5 }, "x"), encode(null, "x")];
    for (const [at, data] of items.entries()) {
      await nodes.ports.queue.put({ id: `bad${at}`, kind, lane: "interactive", data });
    }
    const { tasks } = nodes.open("driver");
    expect(await tasks.result(await tasks.submit(TYPE, "go", []))).toBe("worker");
    for (const at of items.keys()) expect(await nodes.ports.queue.find(`bad${at}`)).toBeUndefined();
    expect(log).toEqual(Array(4).fill("an item in the queue is no task; it is dropped"));
  });
});

describe("bounds", () => {
  it("no more run at once than asked for, interactive before bulk", async () => {
    const order: string[] = [];
    let most = 0;
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock, maxInFlight: 2 });
    const { tasks } = nodes.open("driver");
    const bulk = await Promise.all(
      Array.from({ length: 6 }, (_, at) => tasks.submit(TYPE, "go", [], { id: `b${at}`, priority: "bulk" })),
    );
    const fast = await Promise.all(
      Array.from({ length: 6 }, (_, at) => tasks.submit(TYPE, "go", [], { id: `i${at}` })),
    );
    let running = 0;
    const worker = nodes.open("worker", async ({ id }) => {
      order.push(id);
      most = Math.max(most, ++running);
      await settle();
      running--;
    });
    await worker.tasks.serve("counter");
    await tasks.wait([...bulk, ...fast]);
    expect(most).toBe(2);
    expect(order.slice(0, 6).sort()).toEqual(fast);
  });
});

it("a history has the last 30 failures, however long their words are, and fits into its event", async () => {
  const clock = new FakeClock();
  await using nodes = taskNodes({ clock });
  await nodes.open("worker", () => Promise.reject(new Error("漢".repeat(10_000)))).tasks.serve("counter");
  const { tasks } = nodes.open("driver");
  const id = await tasks.submit(TYPE, "go", [new Uint8Array(400_000)], {
    retries: 100,
    backoff: { firstMs: 1, maxMs: 1 },
  });
  const result = caught(tasks.result(id));
  await clock.advance(1_000);
  expect(historyOf(await result).map(({ attempt }) => attempt)).toEqual(Array.from({ length: 30 }, (_, at) => 72 + at));
  expect(await tasks.deadLetters.list()).toHaveLength(1);
  await tasks.deadLetters.replay(id);
});

describe("dead letters", () => {
  async function dead(id: string) {
    let healthy = false;
    const at = await fleet(async (attempt) => {
      if (!healthy) throw new Error(`sick at ${attempt}`);
      return `well at ${attempt}`;
    });
    await at.tasks.submit(TYPE, "go", [1], { id, retries: 1, backoff: { firstMs: 1 } });
    const result = codeOf(at.tasks.result(id));
    await at.clock.advance(1_000);
    expect(await result).toBe("TaskFailed");
    return { ...at, heal: () => (healthy = true) };
  }

  it("are listed and shown with their history", async () => {
    await using at = await dead("a b");
    const letter = { id: "a b", type: "counter", method: "go", submittedAtMs: expect.any(Number) };
    const [listed] = await at.tasks.deadLetters.list();
    expect(listed).toMatchObject({
      ...letter,
      history: [{ attempt: 1 }, { attempt: 2, message: expect.stringContaining("sick at 2") }],
    });
    expect(await at.tasks.deadLetters.show("a b")).toEqual(listed);
  });

  it("are replayed under their id; the result is then recorded and attempts count on", async () => {
    await using at = await dead("t");
    at.heal();
    await at.tasks.deadLetters.replay("t");
    expect(await at.tasks.result("t")).toBe("well at 3");
    expect(await at.tasks.deadLetters.list()).toEqual([]);
    expect(await codeOf(at.tasks.deadLetters.replay("t"))).toBe("TaskNotDead");
    expect(await at.tasks.result("t")).toBe("well at 3");
  });

  it("that fail again are dead again, with the whole history, and can be replayed again or cancelled", async () => {
    await using at = await dead("t");
    await at.tasks.deadLetters.replay("t");
    await at.clock.advance(10_000);
    expect(historyOf(await caught(at.tasks.result("t"))).map(({ attempt }) => attempt)).toEqual([1, 2, 3, 4]);
    at.heal();
    await at.tasks.deadLetters.replay("t");
    expect(await at.tasks.result("t")).toBe("well at 5");
  });

  it("of 20 replays at once one wins, and the task runs once more", async () => {
    await using at = await dead("t");
    at.heal();
    const replays = Array.from({ length: 20 }, () => outcome(at.tasks.deadLetters.replay("t").then(() => "won")));
    const won = (await Promise.all(replays)).filter((answer) => answer === "won");
    expect(won).toHaveLength(1);
    expect(await at.tasks.result("t")).toBe("well at 3");
  });

  it("whose replay was broken off are finished by the next", async () => {
    await using at = await dead("t");
    at.heal();
    const { queue } = at.nodes.ports;
    const put = queue.put.bind(queue);
    queue.put = () => Promise.reject(new Error("the replaying process died here"));
    await expect(at.tasks.deadLetters.replay("t")).rejects.toThrow("died here");
    queue.put = put;
    const result = at.tasks.result("t");
    await settle();
    await at.tasks.deadLetters.replay("t");
    expect(await result).toBe("well at 3");
  });

  it("get their entry from the next delivery when a node dies between outcome and entry (DT1)", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const { store } = nodes.ports;
    const create = store.create.bind(store);
    let isBroken = true;
    store.create = (...args) => (isBroken ? new Promise(() => {}) : create(...args));
    const first = nodes.open("first", () => Promise.reject(runtimeError("NoSuchMethod", "none")));
    await first.tasks.serve("counter");
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit(TYPE, "go", []);
    expect(await codeOf(tasks.result(id))).toBe("TaskFailed");
    first.die();
    isBroken = false;
    await nodes.open("second").tasks.serve("counter");
    await clock.advance(10_000);
    await waitUntil("the entry is there", async () => (await tasks.deadLetters.list()).length === 1);
    expect(await codeOf(tasks.result(id))).toBe("TaskFailed");
  });
});
