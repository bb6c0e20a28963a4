// kill -9 of nodes and of scripts: who waited for them is told in time, what can come back does, what belonged to them ends.

import { describe, expect, test } from "vitest";
import type { ActorEnd } from "../../runtime/index.ts";
import { outcome } from "../support/caught.ts";
import { BUSY_MS, openProcesses, sees, TAKEOVER_MS, timed } from "../support/fleet-processes.ts";
import { natsMissing } from "../support/nats-server.ts";
import { waitUntil } from "../support/wait-until.ts";
import { Boss, Scribe } from "./actors.ts";
import { ACTORS } from "./places.ts";

const missing = natsMissing();
const RESTART = { maxRestarts: 3, withinMs: 10_000 };
/** For a call of a node that is no more, by the server's word. */
const AT_ONCE_MS = 100;

const code = async (promise: PromiseLike<unknown>): Promise<string> => {
  const end = await outcome(promise);
  return typeof end === "object" && end !== null && "code" in end ? String(end.code) : "value";
};

describe.skipIf(missing !== undefined)(
  `processes that are killed (${missing ?? "there"})`,
  { timeout: 60_000, concurrent: true },
  () => {
    test("a node: its calls fail in time, new ones at once; watchers hear; what can come back does", async () => {
      await using fleet = await openProcesses(ACTORS);
      const [a, b] = await fleet.start("a", "b");
      const driver = await fleet.script();
      await sees(driver, a, b);
      const plain = await driver.spawn(Scribe, { node: a.node, concurrency: 64 });
      const again = await driver.spawn(Scribe, { node: a.node, restart: RESTART });
      const named = await driver.spawn(Scribe, { node: a.node, name: "n", detached: true });
      // So that ids here and there do not run alike: a handle must find its own actor again and no other.
      const others = await Promise.all(Array.from({ length: 5 }, () => driver.spawn(Scribe, { node: b.node })));
      const boss = await driver.spawn(Boss, { node: a.node });
      const child = await boss.spawnChild(b.node);
      const ends: ActorEnd[] = [];
      driver.watch(plain, (end) => ends.push(end));
      const pending = Array.from({ length: 20 }, () => code(plain.slowly("never", 60_000)));
      await plain.where();

      const killedMs = performance.now();
      const since = () => Math.round(performance.now() - killedMs);
      await a.kill();
      const fresh: { code: string; ms: number }[] = [];
      for (let at = 0; at < 20; at++) {
        const startMs = performance.now();
        fresh.push({ code: await code(plain.where()), ms: performance.now() - startMs });
      }
      const codes = new Set(await Promise.all(pending));
      const detectedMs = since();
      await waitUntil("the watcher hears", () => ends.length > 0);
      const heardMs = since();
      await waitUntil("both are back", async () => {
        const back = [again, named].map((handle) => code(handle.with({ timeoutMs: 1_000 }).where()));
        return (await Promise.all(back)).every((each) => each === "value");
      });
      const backMs = since();
      for (let at = 0; at < 3; at++) {
        expect(await again.where()).toBe(b.node);
        expect(await again.count()).toBe(at + 1);
        expect(await named.count()).toBe(at + 1);
      }
      for (const other of others) expect(await other.count()).toBe(1);
      await waitUntil("the child has ended", async () => (await code(child.where())) === "NoSuchActor");
      const childMs = since();
      const newMs = fresh.map(({ ms }) => ms).sort((one, other) => one - other);
      console.log("kill:", {
        detectedMs,
        heardMs,
        backMs,
        childMs,
        newCallMs: [newMs[10], newMs[19]].map((ms) => Math.round(ms ?? 0)),
      });
      expect([...codes].filter((each) => each !== "Unknown" && each !== "NodeLost")).toEqual([]);
      expect(new Set(fresh.map((each) => each.code))).toEqual(new Set(["Unavailable"]));
      expect(newMs[10]).toBeLessThan(AT_ONCE_MS);
      expect(ends[0]?.error?.code).toBe("NodeLost");
      expect(await code(plain.where())).toBe("NoSuchActor");
      expect(Math.max(detectedMs, heardMs, backMs, childMs)).toBeLessThan(TAKEOVER_MS + BUSY_MS);
      // They can be ended by the handles of their old place, too.
      await driver.stop(again);
      expect(await code(again.where())).toBe("NoSuchActor");
      await driver.kill(named);
      expect(await code(driver.get("n"))).toBe("NoSuchActor");
    });

    test("a script: its actors end, its detached ones stay, also those made after it", async () => {
      await using fleet = await openProcesses(ACTORS);
      const [a, s] = await fleet.start("a", "s");
      const driver = await fleet.script();
      await sees(driver, a, s);
      const boss = await driver.spawn(Boss, { node: s.node });
      const own = await boss.spawn(a.node, {});
      const ownNamed = await boss.spawn(a.node, { name: "own" });
      const detached = await boss.spawn(a.node, { name: "stays", detached: true });
      expect(await own.where()).toBe(a.node);
      await s.kill();
      const endedMs = await timed(
        waitUntil("both have ended", async () => {
          const codes = await Promise.all([code(own.where()), code(ownNamed.where())]);
          return codes.every((each) => each === "NoSuchActor");
        }),
      );
      expect(await code(driver.get("own"))).toBe("NoSuchActor");
      expect(await detached.where()).toBe(a.node);
      expect(await (await driver.get("stays", Scribe)).where()).toBe(a.node);
      console.log("script killed:", { endedMs });
      expect(endedMs).toBeLessThan(TAKEOVER_MS + BUSY_MS);
    });

    test("a node that is killed and started again under its name is another one", async () => {
      await using fleet = await openProcesses(ACTORS);
      const [a] = await fleet.start("a", "b");
      const driver = await fleet.script();
      const old = await driver.spawn(Scribe, { node: a.node });
      const named = await driver.spawn(Scribe, { node: a.node, name: "n", restart: RESTART });
      expect(await old.count()).toBe(1);
      await a.kill();
      const [next] = await fleet.start("a");
      expect(next.node).not.toBe(a.node);
      await waitUntil("the named one is back", async () => (await code(named.where())) === "value");
      expect(await code(old.count())).toBe("NoSuchActor");
      const fresh = await driver.spawn(Scribe, { node: next.node });
      expect(await fresh.count()).toBe(1);
      expect(await named.count()).toBe(1);
    });
  },
);
