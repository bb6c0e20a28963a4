// A node that is asked to go, and one that cannot answer for a while: what callers and tasks notice.

import { describe, expect, test } from "vitest";
import { nameKey } from "../../runtime/directory.ts";
import { outcome } from "../support/caught.ts";
import { BUSY_MS, openProcesses, sees, story, TAKEOVER_MS, timed } from "../support/fleet-processes.ts";
import { natsMissing } from "../support/nats-server.ts";
import { waitUntil } from "../support/wait-until.ts";
import { Keeper, Scribe } from "./actors.ts";
import { watchFences } from "./fences.ts";
import { Load, untilDone } from "./load.ts";
import { ACTORS } from "./places.ts";

const missing = natsMissing();
const TASKS = 400;
/** What callers of an actor that is moved may get: each says that another try may help. */
const RETRYABLE = ["value", "Unavailable", "ActorRestarted", "LeaseLost", "MailboxFull", "Unknown"];
const BLOCK_MS = 5_000;

describe.skipIf(missing !== undefined)(
  `nodes that go or do not answer (${missing ?? "there"})`,
  { timeout: 60_000, concurrent: true },
  () => {
    test("SIGTERM under load: no task fails, what can move is handed over", async () => {
      await using fleet = await openProcesses(ACTORS);
      const [a, b] = await fleet.start("a", "b");
      const driver = await fleet.script();
      await sees(driver, a, b);
      const scribe = await driver.spawn(Scribe, { node: a.node, restart: { maxRestarts: 3, withinMs: 1_000 } });
      const load = new Load(driver.clock, 8, (id) => scribe.with({ timeoutMs: 10_000 }).note(fleet.file("calls"), id));
      const patient = new Load(driver.clock, 8, (id) =>
        scribe.with({ timeoutMs: 10_000, retries: 100, key: id }).note(fleet.file("keyed"), id),
      );
      const ids = Array.from({ length: TASKS }, (_, at) => `t-${at}`);
      const work = Promise.all(
        ids.map(async (id) => {
          await driver.submit(Scribe, "note", [fleet.file("tasks"), id, 50], { id, retries: 0 });
          return driver.result(id);
        }),
      );
      await waitUntil("all is under way", () => load.ended.length > 100 && fleet.lines("tasks").length > 20);
      const fromMs = driver.clock.now();
      const closeMs = await timed(a.close());
      expect(await a.ended).toBe(0);
      await load.succeeds().catch((error: unknown) => {
        console.log(story(fromMs, a.log, b.log, driver.lines), load.ended.slice(-3));
        throw error;
      });
      await patient.succeeds();
      expect(await work).toEqual(ids);
      const codes = new Set((await load.stop()).map(({ code }) => code));
      const patiently = new Set((await patient.stop()).map(({ code }) => code));
      const ran = fleet.lines("calls").map((line) => line.split(" ")[0]);
      console.log("drain:", { closeMs, codes: [...codes], taskRuns: fleet.lines("tasks").length });
      expect(await scribe.where()).toBe(b.node);
      expect(ran.length).toBe(new Set(ran).size);
      expect([...codes].filter((code) => !RETRYABLE.includes(code))).toEqual([]);
      expect(patiently).toEqual(new Set(["value"]));
      expect(await driver.deadTasks.list()).toEqual([]);
      expect(a.errors).toBe("");
    });

    test("an event loop blocked beyond the lease: others take over, nothing is written twice, and it comes back", async () => {
      await using fleet = await openProcesses(ACTORS);
      const [a, b] = await fleet.start("a", "b");
      const driver = await fleet.script();
      await sees(driver, a, b);
      const keeper = await driver.spawn(Keeper, { name: "k", node: a.node, detached: true });
      const blocker = await driver.spawn(Scribe, { node: a.node });
      const forced = "state.chaos.forced";
      const fences = watchFences(driver.ports.store, forced);
      await keeper.saveOn(fleet.file("saved"));
      await keeper.forceOn(fleet.file("forced"), forced, nameKey("default", "k"));
      await waitUntil("both loops write", () => fleet.lines("saved").length > 3 && fleet.lines("forced").length > 3);
      const { fence: oldFence } = await keeper.save(0);
      const blocked = outcome(blocker.block(BLOCK_MS));
      const waiting = outcome(keeper.where());
      const movedMs = await timed(
        waitUntil("b has it", async () => (await outcome(keeper.with({ timeoutMs: 250 }).where())) === b.node, 30_000),
      );
      expect(await blocked).toMatchObject({ code: "Unknown" });
      expect(["Unknown", a.node]).toContain(codeOrValue(await waiting));
      const kept = await untilDone("it saves", () => keeper.save(1));
      expect(kept.fence).toBeGreaterThan(oldFence);
      await waitUntil("the old holder is refused", () => fleet.lines("forced").some((line) => line.endsWith("fenced")));
      await sees(driver, a, b);
      expect(await keeper.read()).toEqual(kept);
      expect((await fences.stop()).filter((each, at, all) => each < (all[at - 1] ?? 0))).toEqual([]);
      expect(await (await driver.spawn(Scribe, { node: a.node })).where()).toBe(a.node);
      console.log("blocked:", { movedMs });
      expect(movedMs).toBeLessThan(TAKEOVER_MS + BUSY_MS);
    });
  },
);

const codeOrValue = (end: unknown): unknown =>
  typeof end === "object" && end !== null && "code" in end ? end.code : end;
