// kill -9 of nodes during tasks: none is lost, each has one result. The 10,000 are run by full.test.ts.

import { describe, expect, test } from "vitest";
import { openProcesses, sees } from "../support/fleet-processes.ts";
import { natsMissing } from "../support/nats-server.ts";
import { waitUntil } from "../support/wait-until.ts";
import { Scribe } from "./actors.ts";
import { ACTORS } from "./places.ts";
import { taskStorm } from "./task-storm.ts";

const missing = natsMissing();
const TASKS = 1_000;

describe.skipIf(missing !== undefined)(`tasks while nodes die (${missing ?? "there"})`, { timeout: 120_000 }, () => {
  test(`${TASKS} tasks, nodes killed twice: none lost, one result each`, async () => {
    const report = await taskStorm(TASKS, [0.2, 0.5]);
    console.log("tasks:", report);
    expect(report.repeated).toBeGreaterThan(0);
  });

  test("a node paused with tasks in hand: others run them, its late results are not taken, each attempt has its number", async () => {
    await using fleet = await openProcesses(ACTORS);
    const [a, b] = await fleet.start("a", "b");
    const driver = await fleet.script();
    await sees(driver, a, b);
    // More than one node takes at once.
    const ids = Array.from({ length: 300 }, (_, at) => `t-${at}`);
    const file = fleet.file("runs");
    const work = Promise.all(
      ids.map(async (id) => {
        await driver.submit(Scribe, "note", [file, id, 300], { id, retries: 5 });
        return driver.result(id);
      }),
    );
    const runs = () => fleet.lines("runs").map((line) => line.split(" ") as [string, string, string]);
    await waitUntil("a has some", () => runs().filter(([, node]) => node === a.node).length > 5);
    await a.pause();
    expect(await work).toEqual(ids);
    a.resume();
    await sees(driver, a, b);
    const after = await driver.submit(Scribe, "note", [file, "after"]);
    expect(await driver.result(after)).toBe("after");
    const recorded = await driver.ports.results.read("result.*", 1, 10_000);
    expect(recorded).toHaveLength(ids.length + 1);
    const attempts = runs().map(([id, , attempt]) => `${id} ${attempt}`);
    expect(attempts).toEqual([...new Set(attempts)]);
    console.log("paused with tasks:", { repeated: runs().length - ids.length - 1 });
    expect(runs().length).toBeGreaterThan(ids.length + 1);
  });
});
