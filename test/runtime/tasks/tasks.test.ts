// Tasks as their users see them: accepted, run, waited for, cancelled, expired, refused. Nodes of one process over memory ports.

import { describe, expect, it } from "vitest";
import { runtimeError } from "../../../runtime/errors.ts";
import type { TaskAttempt, TaskRequest } from "../../../runtime/tasks/task.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { FakeClock, settle } from "../../support/fake-clock.ts";
import { taskNodes } from "../../support/task-nodes.ts";
import { waitUntil } from "../../support/wait-until.ts";

const TYPE = { type: "counter" };

/** A node that runs `run` for counters, and one that only submits. */
async function pair(run: (request: TaskRequest, signal: AbortSignal, attempt: TaskAttempt) => Promise<unknown>) {
  const clock = new FakeClock();
  const nodes = taskNodes({ clock });
  const worker = nodes.open("worker", run);
  await worker.tasks.serve("counter");
  const { tasks } = nodes.open("driver");
  return { nodes, clock, worker, tasks, [Symbol.asyncDispose]: () => nodes[Symbol.asyncDispose]() };
}

describe("a task", () => {
  it("runs once and its result is kept for everybody who asks, before and after", async () => {
    const runs: TaskRequest[] = [];
    await using at = await pair(async (request) => {
      runs.push(request);
      return { sum: Number(request.args[0]) + 1, at: new Date(5), set: new Set([1]) };
    });
    const id = await at.tasks.submit(TYPE, "add", [41], { id: "t1" });
    expect(id).toBe("t1");
    const expected = { sum: 42, at: new Date(5), set: new Set([1]) };
    expect(await at.tasks.result("t1")).toEqual(expected);
    expect(await at.tasks.result("t1")).toEqual(expected);
    expect(await at.worker.tasks.result("t1")).toEqual(expected);
    expect(runs).toEqual([{ id: "t1", type: "counter", method: "add", args: [41] }]);
    await waitUntil("the queue is empty", async () => (await at.nodes.ports.queue.find("dDE")) === undefined);
  });

  it("waits in the queue until somebody hosts its type, and says undefined like any value", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit({ type: "late.comer" }, "go", []);
    const result = tasks.result(id);
    await clock.advance(3_600_000);
    await nodes.open("worker", async () => undefined).tasks.serve("late.comer");
    expect(await result).toBeUndefined();
  });

  it("is the same task under the same id, while it waits, runs and when it is done (TS3)", async () => {
    let runs = 0;
    await using at = await pair(async () => ++runs);
    const submit = (id: string, args: unknown[] = [1]) => at.tasks.submit(TYPE, "add", args, { id });
    await Promise.all([submit("a"), submit("a"), submit("a")]);
    expect(await at.tasks.result("a")).toBe(1);
    await submit("a");
    await at.clock.advance(600_000);
    await submit("a");
    await at.clock.advance(10_000);
    expect(runs).toBe(1);
    await submit("b");
    expect((await caught(submit("a", [2]))).code).toBe("TaskIdTaken");
    expect(await codeOf(at.tasks.submit({ type: "other" }, "add", [1], { id: "b" }))).toBe("TaskIdTaken");
    expect(await codeOf(at.tasks.submit(TYPE, "take", [1], { id: "b" }))).toBe("TaskIdTaken");
  });

  it("may have any id of 1 to 200 characters", async () => {
    await using at = await pair(async ({ id }) => id);
    for (const id of ["ä ö", "a.b.>*", "../..", "\u0000\n", "x".repeat(200), "=", "𝒳"]) {
      await at.tasks.submit(TYPE, "echo", [], { id });
      expect(await at.tasks.result(id)).toBe(id);
    }
  });

  it("takes large arguments and results by way of blobs", async () => {
    await using at = await pair(async ({ args }) => args[0]);
    const large = new Uint8Array(2_000_000).fill(7);
    const id = await at.tasks.submit(TYPE, "echo", [large]);
    expect(await at.tasks.result(id)).toEqual(large);
  });

  it("knows the number of its attempt, which only grows (TK2)", async () => {
    const attempts: TaskAttempt[] = [];
    await using at = await pair(async (_, __, attempt) => {
      attempts.push(attempt);
      if (attempts.length < 3) throw new Error("not yet");
    });
    const id = await at.tasks.submit(TYPE, "go", [], { backoff: { firstMs: 0 } });
    await at.tasks.result(id);
    expect(attempts).toEqual([1, 2, 3].map((number) => ({ id, number })));
  });
});

describe("what is refused", () => {
  it.each([
    [{ id: "" }, "id"],
    [{ id: "x".repeat(201) }, "id"],
    [{ id: 7 as never }, "id"],
    [{ retries: -1 }, "retries"],
    [{ retries: 1.5 }, "retries"],
    [{ retries: 101 }, "retries"],
    [{ priority: "urgent" as never }, "priority"],
    [{ timeoutMs: Number.NaN }, "timeoutMs"],
    [{ deadlineMs: "soon" as never }, "deadlineMs"],
    [{ backoff: { factor: 0 } }, "backoff.factor"],
    [{ backoff: { firstMs: -1 } }, "backoff.firstMs"],
    [{ retry: 3 } as never, "retry"],
  ])("submit with %j", async (options, option) => {
    await using nodes = taskNodes();
    const error = await caught(nodes.open("driver").tasks.submit(TYPE, "go", [], options));
    expect(error).toMatchObject({ code: "InvalidOption", data: { option } });
    expect(error.message).toMatch(/expected .+/);
  });

  it("a method that has no name", async () => {
    await using nodes = taskNodes();
    const { tasks } = nodes.open("driver");
    for (const method of ["", "x".repeat(201), undefined as never]) {
      expect(await caught(tasks.submit(TYPE, method, []))).toMatchObject({
        code: "InvalidOption",
        data: { option: "method" },
      });
    }
  });

  it("an argument that cannot be sent, by its path", async () => {
    await using nodes = taskNodes();
    const { tasks } = nodes.open("driver");
    const error = await caught(tasks.submit(TYPE, "go", [1, { options: { onDone: () => {} } }]));
    expect(error).toMatchObject({ code: "NotSendable", data: { path: "args[1].options.onDone" } });
  });

  it("an id nobody submitted, at once", async () => {
    await using at = await pair(async () => 1);
    for (const ask of [at.tasks.result("none"), at.tasks.cancel("none"), at.tasks.wait(["none"])]) {
      expect(await codeOf(ask)).toBe("TaskUnknown");
    }
    expect(await codeOf(at.tasks.result(""))).toBe("InvalidOption");
    expect(await codeOf(at.tasks.wait([], { count: 1 }))).toBe("InvalidOption");
    expect(await codeOf(at.tasks.deadLetters.show("none"))).toBe("TaskNotDead");
    expect(await codeOf(at.tasks.deadLetters.replay("none"))).toBe("TaskNotDead");
  });

  it("everything after close", async () => {
    await using nodes = taskNodes();
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit(TYPE, "go", []);
    const waiting = codeOf(tasks.result(id));
    await settle();
    await tasks.close();
    await tasks.close();
    expect(await waiting).toBe("Closed");
    for (const ask of [tasks.submit(TYPE, "go", []), tasks.result(id), tasks.cancel(id), tasks.serve("counter")]) {
      expect(await codeOf(ask)).toBe("Closed");
    }
  });
});

describe("waiting", () => {
  it("ends with the wait's own time or signal, and the task goes on", async () => {
    const release = Promise.withResolvers<void>();
    await using at = await pair(() => release.promise.then(() => "done"));
    const id = await at.tasks.submit(TYPE, "go", []);
    const late = codeOf(at.tasks.result(id, { timeoutMs: 1_000 }));
    const leave = new AbortController();
    const left = codeOf(at.tasks.result(id, { signal: leave.signal }));
    leave.abort();
    expect(await left).toBe("Cancelled");
    await at.clock.advance(1_000);
    expect(await late).toBe("DeadlineExceeded");
    release.resolve();
    expect(await at.tasks.result(id)).toBe("done");
    expect(await codeOf(at.tasks.result(id, { signal: AbortSignal.abort() }))).toBe("Cancelled");
  });

  it("for some of many answers who is done and who is pending, in the order asked", async () => {
    const releases = new Map<string, () => void>();
    await using at = await pair(({ id }) => new Promise<void>((resolve) => releases.set(id, resolve)));
    const ids = ["a", "b", "c", "d"];
    for (const id of ids) await at.tasks.submit(TYPE, "go", [], { id });
    const two = at.tasks.wait(ids, { count: 2 });
    await waitUntil("all run", () => releases.size === 4);
    releases.get("d")?.();
    releases.get("b")?.();
    expect(await two).toEqual({ done: ["b", "d"], pending: ["a", "c"] });
    const timed = at.tasks.wait(["c", "b"], { timeoutMs: 500 });
    await at.clock.advance(500);
    expect(await timed).toEqual({ done: ["b"], pending: ["c"] });
    expect(await at.tasks.wait(ids, { count: 0 })).toEqual({ done: [], pending: ids });
    expect(await at.tasks.wait([])).toEqual({ done: [], pending: [] });
    await at.tasks.cancel("a");
    releases.get("c")?.();
    expect(await at.tasks.wait(ids)).toEqual({ done: ids, pending: [] });
  });

  it("goes on in another process, after the one that submitted has gone", async () => {
    const release = Promise.withResolvers<number>();
    await using at = await pair(() => release.promise);
    const first = at.nodes.open("first");
    await first.tasks.submit(TYPE, "go", [], { id: "x" });
    first.die();
    const result = at.nodes.open("second").tasks.result("x");
    release.resolve(9);
    expect(await result).toBe(9);
  });

  it("reads nothing of a task that was submitted while somebody waits (WA3)", async () => {
    await using at = await pair(async () => 1);
    await at.tasks.result(await at.tasks.submit(TYPE, "go", []));
    let reads = 0;
    const { results } = at.nodes.ports;
    const read = results.read.bind(results);
    results.read = (...args) => {
      reads++;
      return read(...args);
    };
    await Promise.all(Array.from({ length: 50 }, async () => at.tasks.result(await at.tasks.submit(TYPE, "go", []))));
    expect(reads).toBe(0);
  });
});

describe("cancelling", () => {
  it("keeps a task that waits from being started", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const { tasks } = nodes.open("driver");
    let runs = 0;
    const id = await tasks.submit(TYPE, "go", []);
    const result = codeOf(tasks.result(id));
    expect(await tasks.cancel(id)).toBe(true);
    expect(await tasks.cancel(id)).toBe(false);
    expect(await result).toBe("TaskCancelled");
    await nodes.open("worker", async () => ++runs).tasks.serve("counter");
    await clock.advance(60_000);
    expect(runs).toBe(0);
    expect(await tasks.deadLetters.list()).toEqual([]);
  });

  it("aborts the signal of one that runs, wherever it runs", async () => {
    const aborted = Promise.withResolvers<unknown>();
    await using at = await pair(
      (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => {
            aborted.resolve(signal.reason);
            reject(signal.reason);
          });
        }),
    );
    const id = await at.tasks.submit(TYPE, "go", []);
    await settle();
    expect(await at.tasks.cancel(id)).toBe(true);
    expect(await aborted.promise).toMatchObject({ code: "TaskCancelled" });
    expect(await codeOf(at.tasks.result(id))).toBe("TaskCancelled");
    await at.clock.advance(60_000);
    expect(await at.tasks.deadLetters.list()).toEqual([]);
  });

  it("of one that is done changes nothing", async () => {
    await using at = await pair(async () => 1);
    const id = await at.tasks.submit(TYPE, "go", []);
    await at.tasks.result(id);
    expect(await at.tasks.cancel(id)).toBe(false);
    expect(await at.tasks.result(id)).toBe(1);
  });

  it("loses against a result that was recorded first, or wins: never both", async () => {
    const release = Promise.withResolvers<number>();
    await using at = await pair(() => release.promise);
    for (let round = 0; round < 20; round++) {
      const id = await at.tasks.submit(TYPE, "go", []);
      const [cancelled] = await Promise.all([at.tasks.cancel(id), settle().then(() => release.resolve(1))]);
      const outcome = await at.tasks.result(id).catch((error) => error.code);
      expect(outcome).toBe(cancelled ? "TaskCancelled" : 1);
    }
  });
});

describe("a deadline", () => {
  it("expires a task that nobody hosts, for those who wait", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit(TYPE, "go", [], { timeoutMs: 2_000 });
    const results = [tasks.result(id), nodes.open("other").tasks.result(id)].map(codeOf);
    await clock.advance(5_000);
    expect(await Promise.all(results)).toEqual(["TaskExpired", "TaskExpired"]);
  });

  it("keeps a task from being started after it", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const { tasks } = nodes.open("driver");
    let runs = 0;
    const id = await tasks.submit(TYPE, "go", [], { deadlineMs: clock.now() + 100 });
    await clock.advance(100);
    await nodes.open("worker", async () => ++runs).tasks.serve("counter");
    expect(await caught(tasks.result(id))).toMatchObject({ code: "TaskExpired", data: { id } });
    expect(runs).toBe(0);
  });

  it("ends a running attempt, which is not tried again", async () => {
    let runs = 0;
    await using at = await pair(
      (_, signal) =>
        new Promise((_resolve, reject) => {
          runs++;
          signal.addEventListener("abort", () => reject(signal.reason));
        }),
    );
    const id = await at.tasks.submit(TYPE, "go", [], { timeoutMs: 1_000 });
    const result = codeOf(at.tasks.result(id));
    await at.clock.advance(60_000);
    expect(await result).toBe("TaskExpired");
    expect(runs).toBe(1);
    expect(await at.tasks.deadLetters.list()).toEqual([]);
  });
});

describe("closing a node", () => {
  it("lets what runs end, and gives the rest back", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const release = Promise.withResolvers<string>();
    let started = 0;
    const first = nodes.open("first", () => {
      started++;
      return release.promise;
    });
    await first.tasks.serve("counter");
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit(TYPE, "go", []);
    await waitUntil("it runs", () => started === 1);
    const closed = first.tasks.close(5_000);
    release.resolve("first");
    await closed;
    expect(await tasks.result(id)).toBe("first");
  });

  it("stops what does not end in time; another node runs it at once", async () => {
    const clock = new FakeClock();
    await using nodes = taskNodes({ clock });
    const first = nodes.open(
      "first",
      (_, signal) =>
        new Promise((_resolve, reject) => {
          signal.addEventListener("abort", () => reject(runtimeError("Closed", "the node closes")));
        }),
    );
    await first.tasks.serve("counter");
    const { tasks } = nodes.open("driver");
    const id = await tasks.submit(TYPE, "go", [], { retries: 1 });
    await settle();
    const closed = first.tasks.close(1_000);
    await clock.advance(1_000);
    await closed;
    await nodes.open("second").tasks.serve("counter");
    expect(await tasks.result(id)).toBe("second");
  });
});
