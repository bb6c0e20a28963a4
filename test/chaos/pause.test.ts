// A node that is paused beyond its lease: another takes its names over, and nothing that the paused one does afterwards counts.

import { describe, expect, test } from "vitest";
import { nameKey } from "../../runtime/directory.ts";
import type { Handle } from "../../runtime/index.ts";
import { outcome } from "../support/caught.ts";
import { BUSY_MS, openProcesses, sees, TAKEOVER_MS, timed } from "../support/fleet-processes.ts";
import { natsMissing } from "../support/nats-server.ts";
import { waitUntil } from "../support/wait-until.ts";
import { Boss, Keeper, Scribe } from "./actors.ts";
import { watchFences } from "./fences.ts";
import { untilDone } from "./load.ts";
import { ACTORS } from "./places.ts";

const missing = natsMissing();
const LATE_MS = 500;

describe.skipIf(missing !== undefined)(
  `a node paused beyond its lease (${missing ?? "there"})`,
  { timeout: 60_000, concurrent: true },
  () => {
    test("a name is taken over in time, and its old holder writes nothing and runs nothing late", async () => {
      await using fleet = await openProcesses(ACTORS);
      const [a, b] = await fleet.start("a", "b");
      const driver = await fleet.script();
      await sees(driver, a, b);
      const old = await driver.spawn(Keeper, { name: "k", node: a.node, detached: true });
      const forced = "state.chaos.forced";
      const fences = watchFences(driver.ports.store, forced);
      await old.saveOn(fleet.file("saved"));
      await old.forceOn(fleet.file("forced"), forced, nameKey("default", "k"));
      await waitUntil("both loops write", () => fleet.lines("saved").length > 3 && fleet.lines("forced").length > 3);
      const { fence: oldFence } = await old.save(0);

      await a.pause();
      const late = Array.from({ length: 20 }, (_, at) =>
        outcome(old.with({ timeoutMs: LATE_MS }).note(fleet.file("late"), `late-${at}`)),
      );
      const long = Array.from({ length: 20 }, (_, at) => outcome(old.note(fleet.file("late"), `long-${at}`)));
      const tookMs = await timed(
        waitUntil("b has it", async () => (await outcome(old.with({ timeoutMs: 250 }).where())) === b.node, 30_000),
      );
      const codes = (await Promise.all(late)).map((end) => (typeof end === "string" ? end : end.code));
      expect(new Set(codes)).toEqual(new Set(["DeadlineExceeded"]));
      const lost = (await Promise.all(long)).map((end) => (typeof end === "string" ? end : end.code));
      expect(new Set(lost)).toEqual(new Set(["Unknown"]));
      const next = await driver.get("k", Keeper);
      const kept = await untilDone("it saves", () => next.save(1));
      expect(kept.fence).toBeGreaterThan(oldFence);

      a.resume();
      await waitUntil("the old holder tried to write past its checks", () =>
        fleet.lines("forced").some((line) => line.endsWith("fenced")),
      );
      await sees(driver, a, b);
      expect(await next.read()).toEqual(kept);
      expect((await fences.stop()).filter((each, at, all) => each < (all[at - 1] ?? 0))).toEqual([]);
      expect(fleet.lines("late").filter((line) => line.startsWith("late"))).toEqual([]);
      const again = await driver.spawn(Scribe, { node: a.node });
      expect(await again.where()).toBe(a.node);
      console.log("pause:", { takeoverMs: tookMs, promisedMs: TAKEOVER_MS, ranUnknown: fleet.lines("late").length });
      expect(tookMs).toBeLessThan(TAKEOVER_MS + BUSY_MS);
    });

    test("answers that come after it was given up answer nothing else", async () => {
      await using fleet = await openProcesses(ACTORS);
      const [a, b] = await fleet.start("a", "b");
      const driver = await fleet.script();
      await sees(driver, a, b);
      const boss = await driver.spawn(Boss, { node: a.node });
      const scribe = await boss.ownScribe();
      const asking = (await boss.ownBoss()) as Handle<typeof Boss>;
      const other = await driver.spawn(Scribe, { node: b.node });
      // A caller that is paused: whoever works for it gives that up, and must not let it wait for nothing.
      asking.cast.ask(other, 2 * TAKEOVER_MS, 60_000, fleet.file("asked"));
      const before = Array.from({ length: 30 }, () => outcome(scribe.slowly("old", 1.5 * TAKEOVER_MS)));
      expect(await boss.ownScribe()).toBeDefined();

      await a.pause();
      const lost = (await Promise.all(before)).map((end) => (typeof end === "string" ? end : end.code));
      expect(new Set(lost)).toEqual(new Set(["Unknown"]));
      a.resume();
      await sees(driver, a, b);
      const after = await Promise.all(
        Array.from({ length: 60 }, () => scribe.with({ timeoutMs: 20_000 }).slowly("new", TAKEOVER_MS)),
      );
      expect(new Set(after)).toEqual(new Set(["new"]));
      await waitUntil("the paused caller hears", () => fleet.lines("asked").length > 0);
      expect(fleet.lines("asked")[0]).toMatch(/^(Unknown|value) /);
    });
  },
);
