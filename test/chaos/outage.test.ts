// The server dies and comes back, for shorter and for longer than a lease, while everything that a fleet does is under way.

import { describe, expect, test } from "vitest";
import { type ActorEnd, type ActorSystem, isFlotillaError } from "../../runtime/index.ts";
import { BUSY_MS, FAST, type FleetProcesses, openProcesses, sees, story, timed } from "../support/fleet-processes.ts";
import { natsMissing } from "../support/nats-server.ts";
import { pauseProcess } from "../support/paused-process.ts";
import { waitUntil } from "../support/wait-until.ts";
import { Boss, Keeper, Scribe } from "./actors.ts";
import { type Ended, Load, topicLoad, untilDone } from "./load.ts";
import { ACTORS } from "./places.ts";

const missing = natsMissing();
const CALL_MS = 5_000;
/** From the server's return to the first answer. */
const RECOVERY_MS = 4_000;
const TASKS = 300;
/** Long enough that many are in hand when the server dies. */
const TASK_MS = 300;

async function open() {
  const fleet = await openProcesses(ACTORS);
  const [a, b] = await fleet.start("a", "b");
  const driver = await fleet.script({ name: "driver", callTimeoutMs: CALL_MS, actors: [Scribe] });
  await sees(driver, a, b);
  return { fleet, a, b, driver };
}

/** Submits tasks until each is accepted, and resolves when all have their result. */
async function tasks(driver: ActorSystem, fleet: FleetProcesses): Promise<void> {
  const one = async (id: string): Promise<void> => {
    for (;;) {
      try {
        await driver.submit(Scribe, "note", [fleet.file("tasks"), id, TASK_MS], { id, retries: 20 });
        break;
      } catch (error) {
        if (!isFlotillaError(error, "Unavailable")) throw error;
        await new Promise((resolve) => driver.clock.schedule(50, () => resolve(undefined)));
      }
    }
    expect(await driver.result(id)).toBe(id);
  };
  await Promise.all(Array.from({ length: TASKS }, (_, at) => one(`t-${at}`)));
  const recorded = await driver.ports.results.read("result.*", 1, 10_000);
  expect(recorded.map(({ subject }) => subject).sort()).toEqual(
    [...new Set(recorded.map(({ subject }) => subject))].sort(),
  );
  expect(recorded).toHaveLength(TASKS);
}

const codes = (ended: readonly Ended[]): Record<string, number> => {
  const counts: Record<string, number> = {};
  for (const { code } of ended) counts[code] = (counts[code] ?? 0) + 1;
  return counts;
};

describe.skipIf(missing !== undefined)(
  `the server killed and started again (${missing ?? "there"})`,
  { timeout: 60_000, concurrent: true },
  () => {
    test("at once: calls, streams, spawns, tasks and topics end or go on, once each, and nobody is declared dead", async () => {
      const { fleet, a, b, driver } = await open();
      await using _ = fleet;
      // It belongs to its own node: also where a busy machine loses a lease, only its node's death ends it.
      const boss = await driver.spawn(Boss, { node: a.node });
      const scribe = await boss.ownScribe();
      const deaths: ActorEnd[] = [];
      driver.watch(scribe, (death) => deaths.push(death));
      const load = new Load(driver.clock, 64, (id) =>
        scribe.with({ timeoutMs: CALL_MS }).note(fleet.file("calls"), id),
      );
      const topic = topicLoad(driver, "chaos.events");
      const stream = readAll(scribe.numbers(fleet.file("stream"), 10_000_000));
      const work = tasks(driver, fleet);
      await waitUntil(
        "all is under way",
        () =>
          load.ended.length > 200 && topic.seen.length > 5 && stream.count > 500 && fleet.lines("tasks").length > 20,
      );
      const spawns = Array.from({ length: 30 }, () => end(driver.spawn(Scribe, { node: b.node })));
      const killedMs = driver.clock.now();
      await fleet.server.kill();
      await fleet.server.restart();
      const recoveryMs = await timed(load.succeeds()).catch((error: unknown) => {
        console.log(story(killedMs, a.log, b.log, driver.lines), load.ended.slice(-5));
        throw error;
      });
      const [brokenMs, returnedMs] = await Promise.all([
        timed(stream.end),
        timed(waitUntil("the producer is ended", () => fleet.lines("stream").length > 0)),
      ]);
      const ends = await Promise.all(spawns);
      await work;
      const calls = await load.stop();
      await topic.stop();

      const ran = fleet.lines("calls").map((line) => line.split(" ")[0] ?? "");
      expect(ran.length, "calls that ran twice").toBe(new Set(ran).size);
      const answered = calls.filter(({ code }) => code === "value").map(({ id }) => id);
      expect(answered.filter((id) => !ran.includes(id))).toEqual([]);
      const refused = new Set(calls.filter(({ code }) => code === "Unavailable").map(({ id }) => id));
      expect(
        ran.filter((id) => refused.has(id)),
        "ran, and were said not to have",
      ).toEqual([]);
      console.log("outage:", {
        recoveryMs,
        brokenMs,
        returnedMs,
        calls: codes(calls),
        slowestMs: Math.max(...calls.map(({ ms }) => ms)),
        spawns: ends.map(String).sort().join(),
        stream: await stream.end,
        taskRuns: fleet.lines("tasks").length,
      });
      expect(Object.keys(codes(calls)).filter((code) => !["value", "Unavailable", "Unknown"].includes(code))).toEqual(
        [],
      );
      expect(ends.filter((code) => !["value", "Unavailable", "Unknown", "LeaseLost"].includes(code))).toEqual([]);
      expect(["StreamBroken", "Unknown", "Unavailable"]).toContain(await stream.end);
      expect(topic.seen).toEqual(topic.published);
      expect(Math.max(recoveryMs, brokenMs, returnedMs)).toBeLessThan(RECOVERY_MS + BUSY_MS);
      expect(Math.max(...calls.map(({ ms }) => ms))).toBeLessThan(CALL_MS + BUSY_MS);
      await sees(driver, a, b);
      expect(deaths).toEqual([]);
      // With a key: on a machine so busy that a connection breaks once more, the answer to a single call may be Unknown.
      expect(await scribe.with({ retries: 20, key: "where" }).where()).toBe(a.node);
    });

    test("for longer than a lease: names come back, reminders fire, tasks end, nobody is declared dead", async () => {
      const { fleet, a, b, driver } = await open();
      await using _ = fleet;
      const keeper = await driver.spawn(Keeper, { name: "k", node: a.node, detached: true });
      const saved = await keeper.save(7);
      const idle = await driver.spawn(Scribe, { name: "idle", node: a.node, detached: true });
      const boss = await driver.spawn(Boss, { node: a.node });
      const own = await boss.ownScribe();
      expect(await own.count()).toBe(1);
      const ends: ActorEnd[] = [];
      driver.watch(own, (end) => ends.push(end));
      const topic = topicLoad(driver, "chaos.events");
      const work = tasks(driver, fleet);
      await waitUntil("all is under way", () => topic.seen.length > 5 && fleet.lines("tasks").length > 50);
      const setMs = driver.clock.now();
      await keeper.remind("due", FAST.ttlMs, fleet.file("reminded"));
      await fleet.server.kill();
      const lost = () => [a, b].every(({ log }) => log.some(({ message }) => message.includes("lost its lease")));
      await waitUntil("the nodes give up by themselves", lost);
      await waitUntil("a whole lease has passed", () => driver.clock.now() > setMs + FAST.ttlMs + 500);
      await fleet.server.restart();
      const remindedMs = await timed(waitUntil("it is reminded", () => fleet.lines("reminded").length > 0, 20_000));
      const namedMs = await timed(
        waitUntil(
          "the name is held again",
          async () => (await end(keeper.with({ timeoutMs: 500 }).where())) === "value",
        ),
      );
      await work;
      await topic.stop();
      await sees(driver, a, b);
      // Whoever had declared the node dead would have told the watcher.
      expect(await own.with({ retries: 20, key: "second" }).count()).toBe(2);
      expect(ends).toEqual([]);
      await driver.kill(own);
      await waitUntil("the watch of before is heard", () => ends.length > 0);
      // Nobody has called it since: its handle still says where it was.
      await waitUntil("it is stopped", async () => (await end(driver.stop(idle))) === "value");
      expect(await end(driver.get("idle"))).toBe("NoSuchActor");
      const again = await untilDone("it saves", () => keeper.save(8));
      expect(again.fence).toBeGreaterThan(saved.fence);
      const [reminded = ""] = fleet.lines("reminded");
      console.log("long outage:", {
        remindedMs,
        namedMs,
        reminded: fleet.lines("reminded").length,
        taskRuns: fleet.lines("tasks").length,
      });
      expect(Number(reminded.split(" ")[2])).toBeGreaterThanOrEqual(setMs + FAST.ttlMs);
      expect(fleet.lines("reminded")).toHaveLength(1);
      expect(topic.seen).toEqual(topic.published);
      expect(remindedMs).toBeLessThan(2 * FAST.ttlMs + BUSY_MS);
    });

    test("paused for longer than a lease, which lets every key lapse at once: nobody is declared dead", async () => {
      const { fleet, a, b, driver } = await open();
      await using _ = fleet;
      const keeper = await driver.spawn(Keeper, { name: "k", node: a.node, detached: true });
      const { fence } = await keeper.save(1);
      const boss = await driver.spawn(Boss, { node: a.node });
      const own = await boss.ownScribe();
      const ends: ActorEnd[] = [];
      driver.watch(own, (end) => ends.push(end));
      expect(await own.count()).toBe(1);
      const pausedMs = driver.clock.now();
      await pauseProcess(fleet.server.pid);
      try {
        await waitUntil("every key has lapsed", () => driver.clock.now() > pausedMs + FAST.ttlMs + 500);
      } finally {
        process.kill(fleet.server.pid, "SIGCONT");
      }
      const backMs = await timed(
        waitUntil(
          "the name is held again",
          async () => (await end(keeper.with({ timeoutMs: 500 }).where())) === "value",
        ),
      ).catch((error: unknown) => {
        throw new Error(story(pausedMs, a.log, b.log, driver.lines), { cause: error });
      });
      const again = await untilDone("it saves", () => keeper.save(2));
      expect(again.fence).toBeGreaterThan(fence);
      await sees(driver, a, b);
      console.log("server paused:", { backMs });
      const lines = story(pausedMs, a.log, b.log, driver.lines);
      expect(ends, lines).toEqual([]);
      expect(await own.with({ retries: 20, key: "second" }).count(), lines).toBe(2);
    });
  },
);

/** "value", or the code it failed with. */
const end = (promise: PromiseLike<unknown>): Promise<string> =>
  Promise.resolve(promise).then(
    () => "value",
    (error: unknown) => (isFlotillaError(error) ? error.code : Promise.reject(error)),
  );

/** Reads a stream to its end; `end` is how it ended. */
function readAll(stream: AsyncIterable<number>) {
  const reading = { count: 0, end: Promise.resolve("") };
  reading.end = end(
    (async () => {
      for await (const number of stream) {
        expect(number).toBe(reading.count);
        reading.count++;
      }
    })(),
  );
  return reading;
}
