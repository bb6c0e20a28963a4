// Debug.
import { test } from "vitest";
import { openProcesses, sees } from "../support/fleet-processes.ts";
import { waitUntil } from "../support/wait-until.ts";
import { Keeper, Scribe } from "./actors.ts";
import { Load } from "./load.ts";
import { ACTORS } from "./places.ts";

for (const long of [true])
  test(`dbg ${long}`, { timeout: 60_000 }, async () => {
    await using fleet = await openProcesses(ACTORS);
    const [a, b] = await fleet.start("a", "b");
    const driver = await fleet.script({ name: "driver", callTimeoutMs: 5000 });
    await sees(driver, a, b);
    const scribe = await driver.spawn(Scribe, { node: a.node, concurrency: 64 });
    const keeper = await driver.spawn(Keeper, { name: "k", node: a.node, detached: true });
    const load = new Load(driver.clock, 4, (id) => scribe.with({ timeoutMs: 2000 }).note(fleet.file("calls"), id));
    const named = new Load(driver.clock, 1, () => keeper.with({ timeoutMs: 500 }).where());
    await waitUntil("all is under way", () => load.ended.length > 200);
    const t0 = Date.now();
    await fleet.server.kill();
    console.log("killed", Date.now() - t0);
    if (long) await new Promise((r) => setTimeout(r, 4000));
    await fleet.server.restart();
    console.log("restarted", Date.now() - t0);
    await new Promise((r) => setTimeout(r, 4000));
    const from = load.ended.length;
    console.log("last", load.ended.slice(from - 3), named.ended.slice(-3));
    for (const l of [...a.log, ...b.log, ...driver.lines].sort((x, y) => x.atMs - y.atMs).filter((l) => l.atMs > t0))
      console.log("LOG", l.atMs, l.atMs - t0, l.node, l.level, l.message, JSON.stringify(l.data).slice(0, 300));
    console.log(await driver.get("k", Keeper).catch((e) => e.message));
    for (let i = 0; i < 4; i++) console.log(await keeper.where().catch((e) => e.message));
    console.log(driver.stats());
    await load.stop();
    await named.stop();
  });
