// The workspace runner on memory ports: what becomes of requests, and what of them survives its end. Jobs are played by the test; git is real.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { agentRequests, deadEvents, workspaceLogs } from "../../../actors/events/channels.ts";
import { postEvent } from "../../../actors/events/post.ts";
import { JobBook } from "../../../actors/workspace-runner/job-book.ts";
import { knownResult } from "../../../actors/workspace-runner/job-posts.ts";
import { runnerSetup } from "../../../actors/workspace-runner/runner-settings.ts";
import { systemClock, systemRandom } from "../../../runtime/index.ts";
import { fail as toolsFail } from "../../../tools/errors.ts";
import type { JobEnd } from "../../../tools/index.ts";
import { ProcessBackend } from "../../../tools/jobs/backends.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { endOf, makeGround, type RunnerGround, RunnerPlace } from "./runner-place.ts";

let ground: RunnerGround;
beforeAll(async () => {
  ground = await makeGround();
});
afterAll(() => ground[Symbol.asyncDispose]());

const lost: JobEnd = { kind: "failed", code: "Lost", message: "Gone.", retryable: true };
const done: JobEnd = { kind: "exited", code: 0 };

describe("a request", () => {
  it("becomes a job that tells its states, its lines without secrets, and leaves nothing", async () => {
    await using place = await RunnerPlace.open({}, ground);
    const runner = await place.life();
    const jobId = await place.ask();
    const job = await place.begun("s1-t1-1-1");
    expect(job.spec).toMatchObject({
      source: { kind: "clone", url: place.repository.path },
      secretEnv: { FLOTILLA_API_KEY: "key-of-the-model" },
      env: { FLOTILLA_TASK: "Add hello() function to src/utils.js" },
    });
    expect(job.spec.command).toEqual(expect.arrayContaining(["executor", "--task=-", "--nats-url=nats://fleet:4222"]));
    expect(job.spec.command.join(" ")).not.toContain("key-of-the-model");
    job.print("one with key-of-the-model and token=abcdefgh");
    job.print("two", "stderr");
    await place.answer();
    job.end(done);
    const ended = await endOf(runner, jobId);
    expect(ended).toMatchObject({ state: "succeeded", base: await place.repository.head(), place: "script s1-t1-1-1" });
    expect(await place.states(jobId)).toEqual(["queued", "preparing", "running", "succeeded"]);
    const lines = (await place.events(workspaceLogs)).map(({ data: { line, stream } }) => [stream, line]);
    expect(lines).toEqual([
      ["stdout", "one with [redacted] and token=[redacted]"],
      ["stderr", "two"],
    ]);
    expect(await place.missing()).toEqual([]);
    await waitUntil("the place is cleaned up", () => place.jobs.ids.length === 0);
  });

  it("redelivered a hundred times is one job, begun once", async () => {
    await using place = await RunnerPlace.open({}, ground);
    const runner = await place.life();
    await place.redeliver(100);
    const job = await place.begun("s1-t1-1-1");
    await place.answer();
    job.end(done);
    await endOf(runner, "s1-t1-1");
    await place.redeliver(5);
    const last = await place.ask({ taskId: "last" });
    await place.begun(`${last}-1`);
    expect(place.jobs.begun.map(({ jobId }) => jobId)).toEqual(["s1-t1-1-1", "s1-last-1-1"]);
    expect(await place.states("s1-t1-1")).toEqual(["queued", "preparing", "running", "succeeded"]);
  });

  it("waits for room, and the highest priority goes first", async () => {
    await using place = await RunnerPlace.open({ runningMax: 1 }, ground);
    const runner = await place.life();
    await place.ask({ taskId: "first", priority: 0 });
    await place.begun("s1-first-1-1");
    for (const [taskId, priority] of [
      ["low", 1],
      ["high", 9],
      ["high2", 9],
    ] as const)
      await place.ask({ taskId, priority });
    await waitUntil("all wait", async () => (await runner.jobs({ state: "queued" })).length === 3);
    for (const id of ["first", "high", "high2", "low"]) (await place.begun(`s1-${id}-1-1`)).end({ kind: "timed_out" });
    await endOf(runner, "s1-low-1");
    expect(place.jobs.begun.map(({ labels }) => labels.task)).toEqual(["first", "high", "high2", "low"]);
  });

  it("whose id is another's goes to the dead letters with its reason", async () => {
    await using place = await RunnerPlace.open({}, ground);
    await place.life();
    await place.ask({ storyId: "a-b", taskId: "c" });
    await place.ask({ storyId: "a", taskId: "b-c", title: "Another" });
    const dead = await waitUntil("it is dead", async () => (await place.events(deadEvents))[0]);
    expect(dead.data.reason.code).toBe("JobIdTaken");
  });

  it("with half a megabyte of context is run all the same, and its blob goes with it", async () => {
    await using place = await RunnerPlace.open({}, ground);
    const runner = await place.life();
    const jobId = await place.ask({ context: "x".repeat(500_000) });
    const job = await place.begun(`${jobId}-1`);
    const { FLOTILLA_CONTEXT: given = "" } = job.spec.env;
    expect(given).toMatch(/^blob:[0-9a-f]{64}$/);
    job.end({ kind: "timed_out" });
    await endOf(runner, jobId);
    await waitUntil("the blob is gone", async () => !(await place.system.ports.blobs.has(given.slice(5))));
  });
});

describe("a job without a result says so once", () => {
  it.each<[string, JobEnd, string, string]>([
    ["killed -9", { kind: "exited", code: 137 }, "failed", "ExecutorFailed"],
    ["as if it had posted", done, "failed", "ResultMissing"],
    ["time over", { kind: "timed_out" }, "timed_out", "DeadlineExceeded"],
    [
      "an image that cannot be pulled",
      { ...lost, code: "ImageUnavailable", retryable: false },
      "failed",
      "ImageUnavailable",
    ],
  ])("%s", async (_, end, state, code) => {
    await using place = await RunnerPlace.open({}, ground);
    const runner = await place.life();
    const jobId = await place.ask();
    const job = await place.begun(`${jobId}-1`);
    job.print("flotilla: it is so.", "stderr");
    job.end(end);
    expect(await endOf(runner, jobId)).toMatchObject({ state, error: { code } });
    expect(await place.missing()).toMatchObject([{ jobId, code }]);
  });

  it("evicted and lost places are tried again under new names, and no longer than told", async () => {
    await using place = await RunnerPlace.open({}, ground);
    const runner = await place.life();
    const jobId = await place.ask();
    for (const [attempt, end] of [lost, { ...lost, code: "Evicted" }, lost].entries())
      (await place.begun(`${jobId}-${attempt + 1}`)).end(end);
    expect(await endOf(runner, jobId)).toMatchObject({ state: "lost", error: { code: "Lost" } });
    expect(place.jobs.begun.map((spec) => spec.jobId)).toEqual([1, 2, 3].map((attempt) => `${jobId}-${attempt}`));
    expect(await place.missing()).toMatchObject([{ jobId, code: "Lost" }]);
  });

  it.each<[string, string, string]>([
    ["a repository that is not there", "/no/such/repository", "RepoNotFound"],
    ["an address that cannot be cloned", "file:///no/such/repository.git", "CloneFailed"],
  ])("%s", async (_, url, code) => {
    await using place = await RunnerPlace.open({ retries: 1 }, ground);
    const runner = await place.life();
    const jobId = await place.ask({ repository: { url } });
    expect(await endOf(runner, jobId)).toMatchObject({ state: "failed", error: { code } });
    expect(await place.missing()).toMatchObject([{ jobId, code }]);
    expect(place.jobs.begun).toEqual([]);
  });

  it("a place that is out of reach is waited for", async () => {
    await using place = await RunnerPlace.open({ retries: 0 }, ground);
    const away = { before: toolsFail("BackendUnavailable", "No engine.") };
    place.jobs.obstacles.push(away, away);
    const runner = await place.life();
    const jobId = await place.ask();
    const job = await place.begun(`${jobId}-3`);
    await place.answer();
    job.end(done);
    expect(await endOf(runner, jobId)).toMatchObject({ state: "succeeded" });
  });
});

describe("on processes of this host", () => {
  it.each([
    ["an executor that is killed", "kill -9 $$"],
    ["one whose workspace vanishes", 'echo "flotilla: no workspace" >&2; rm -rf "$PWD"; exit 1'],
  ])("%s is missed once, and nothing is left", async (_, script) => {
    await using place = await RunnerPlace.open({ backend: "process", program: ["sh", "-c", script] }, ground);
    const folder = join(place.folder, "jobs");
    const runner = await place.life(new ProcessBackend({ folder, clock: systemClock, random: systemRandom }));
    const jobId = await place.ask({ storyId: "processes" });
    expect(await endOf(runner, jobId)).toMatchObject({ state: "failed", error: { code: "ExecutorFailed" } });
    expect(await place.missing()).toMatchObject([{ jobId, code: "ExecutorFailed" }]);
    const left = async () => [await readdir(folder), await readdir(join(place.folder, "workspaces"))].flat();
    await waitUntil("its folders are gone", async () => (await left()).length === 0);
  });
});

describe("cancel", () => {
  it("ends one that runs, by an event and by a call, and leaves one that has ended as it is", async () => {
    await using place = await RunnerPlace.open({}, ground);
    const runner = await place.life();
    const [byEvent, byCall] = [await place.ask(), await place.ask({ taskId: "t2" })];
    for (const id of [byEvent, byCall]) await place.begun(`${id}-1`);
    const data = { storyId: "s1", taskId: "t1", attempt: 1, reason: "The story was rejected." };
    await postEvent(place.system, "orchestrator", agentRequests, {
      ...{ type: "agent.request.cancelled", data, key: `${byEvent} cancelled`, correlationId: "s1" },
    });
    expect(await endOf(runner, byEvent)).toMatchObject({ state: "cancelled" });
    expect(await runner.cancel(byCall)).toMatchObject({ state: "cancelled" });
    expect(await runner.cancel(byCall)).toEqual(await runner.job(byCall));
    expect(await place.missing()).toMatchObject([
      { jobId: byEvent, code: "Cancelled" },
      { jobId: byCall, code: "Cancelled" },
    ]);
    await expect(runner.cancel("none")).rejects.toMatchObject({ code: "JobUnknown" });
  });

  it("of one that waits begins nothing", async () => {
    await using place = await RunnerPlace.open({ runningMax: 1 }, ground);
    const runner = await place.life();
    await place.begun(`${await place.ask()}-1`);
    const waiting = await place.ask({ taskId: "t2" });
    await waitUntil("it waits", async () => (await runner.jobs({ state: "queued" })).length === 1);
    expect(await runner.cancel(waiting)).toMatchObject({ state: "cancelled" });
    expect(place.jobs.begun).toHaveLength(1);
  });
});

describe("another life", () => {
  /** Brings a job to a point, ends that life, and gives the next one its end to find. */
  const points: Readonly<Record<string, (place: RunnerPlace) => Promise<void>>> = {
    "before the request came": async (place) => {
      await (await place.life()).stop();
      await place.ask();
    },
    "while it waits": async (place) => {
      const runner = await place.life();
      await place.ask({ taskId: "other" });
      await place.begun("s1-other-1-1");
      await place.ask();
      await waitUntil("it waits", async () => (await runner.jobs({ state: "queued" })).length === 1);
      await runner.stop();
      place.jobs.at("s1-other-1-1").end({ kind: "timed_out" });
    },
    "between its record and its start": async (place) => {
      const runner = await place.life();
      place.jobs.obstacles.push({ before: new Error("the host died") });
      await place.ask();
      await waitUntil("its start fails", () => place.jobs.obstacles.length === 0);
      await runner.stop();
    },
    "between its start and its record": async (place) => {
      const runner = await place.life();
      place.jobs.obstacles.push({ after: new Error("the host died") });
      await place.ask();
      await waitUntil("it is started", () => place.jobs.obstacles.length === 0);
      await runner.stop();
    },
    "while it runs": async (place) => {
      const runner = await place.life();
      await place.begun(`${await place.ask()}-1`);
      await waitUntil("it runs", async () => (await runner.jobs({ state: "running" })).length === 1);
      await runner.stop();
    },
  };

  it.each(Object.entries(points))("takes it up %s, and it is begun once", async (_, bring) => {
    await using place = await RunnerPlace.open({ runningMax: 1 }, ground);
    await bring(place);
    const runner = await place.life();
    const job = await place.begun("s1-t1-1-1");
    await place.answer();
    job.end(done);
    expect(await endOf(runner, "s1-t1-1")).toMatchObject({ state: "succeeded" });
    expect(place.jobs.begun.filter(({ labels }) => labels.task === "t1")).toHaveLength(1);
    expect(await place.missing()).toEqual(expect.not.arrayContaining([expect.objectContaining({ jobId: "s1-t1-1" })]));
  });

  it("learns of an end that nobody saw; a result before it counts, and what is missing is told once", async () => {
    await using place = await RunnerPlace.open({}, ground);
    const first = await place.life();
    for (const taskId of ["good", "bad"]) await place.begun(`${await place.ask({ taskId })}-1`);
    await waitUntil("both run", async () => (await first.jobs({ state: "running" })).length === 2);
    place.jobs.at("s1-good-1-1").print("a line");
    await waitUntil("the line is told", async () => (await place.events(workspaceLogs)).length === 1);
    await first.stop();
    await place.answer({ taskId: "good" });
    place.jobs.at("s1-good-1-1").end(lost);
    place.jobs.at("s1-bad-1-1").end({ kind: "exited", code: 1 });
    const second = await place.life();
    expect(await endOf(second, "s1-good-1")).toMatchObject({ state: "succeeded" });
    expect(await endOf(second, "s1-bad-1")).toMatchObject({ state: "failed" });
    await second.stop();
    const third = await place.life();
    expect(await third.jobs()).toHaveLength(2);
    expect(await place.missing()).toMatchObject([{ jobId: "s1-bad-1" }]);
    expect(await place.events(workspaceLogs)).toHaveLength(1);
    // The log itself tells repetitions apart for two minutes only.
    const book = new JobBook(place.system);
    await book.load();
    const known = ["good", "bad"].map((taskId) => knownResult(place.system, book.get(`s1-${taskId}-1`)));
    expect(await Promise.all(known)).toEqual(["result", "missing"]);
  });

  it("a job whose place is gone is begun again elsewhere; one of nobody is removed", async () => {
    await using place = await RunnerPlace.open({}, ground);
    const first = await place.life();
    const jobId = await place.ask();
    const { spec } = await place.begun(`${jobId}-1`);
    await waitUntil("it runs", async () => (await first.jobs({ state: "running" })).length === 1);
    await first.stop();
    place.jobs.lose(`${jobId}-1`);
    await place.jobs.open().start({ ...spec, jobId: "of-nobody-1" }, new AbortController().signal);
    const second = await place.life();
    const again = await place.begun(`${jobId}-2`);
    await place.answer();
    again.end(done);
    expect(await endOf(second, jobId)).toMatchObject({ state: "succeeded" });
    await waitUntil("nothing is left", () => place.jobs.ids.length === 0);
  });
});

it("many lines are bounded, and what was left out is counted", async () => {
  await using place = await RunnerPlace.open({}, ground);
  const runner = await place.life();
  const jobId = await place.ask();
  const job = await place.begun(`${jobId}-1`);
  for (let line = 1; line <= 1_000; line++) job.print(`line ${line}`);
  job.end({ kind: "timed_out" });
  await endOf(runner, jobId);
  const told = (await place.events(workspaceLogs)).map(({ data }) => data);
  expect(told.length).toBeLessThan(900);
  const dropped = told.reduce((sum, event) => sum + event.dropped, 0);
  expect(told.filter(({ line }) => line.startsWith("line")).length + dropped).toBe(1_000);
});

it("settings that are wrong are refused by name", () => {
  const host = { folder: "/f", natsUrl: undefined, prefix: undefined, env: {}, secretEnv: {} };
  const bad: readonly [Parameters<typeof runnerSetup>[0], string][] = [
    [{}, "natsUrl"],
    [{ natsUrl: "nats://u:p@h:4222" }, "natsUrl"],
    [{ natsUrl: "nats://h", runningMax: 0 }, "runningMax"],
  ];
  for (const [settings, name] of bad) expect(() => runnerSetup(settings, host)).toThrow(name);
});
