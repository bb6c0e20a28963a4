// Many tasks on two nodes, one of which is killed again and again: what must hold, and what it cost. No test by itself.

import { expect } from "vitest";
import type { EventLog } from "../../runtime/index.ts";
import { type FleetProcesses, openProcesses, timed } from "../support/fleet-processes.ts";
import type { NodeProcess } from "../support/node-process.ts";
import { waitUntil } from "../support/wait-until.ts";
import { Scribe } from "./actors.ts";
import { ACTORS } from "./places.ts";

export interface StormReport {
  readonly tasks: number;
  readonly kills: number;
  readonly ms: number;
  /** Runs beyond the first of a task. */
  readonly repeated: number;
}

const MAX_MS = 120_000;
/** Long enough that a node has some in hand whenever it is killed. */
const TASK_MS = 30;

/** Runs `count` tasks while nodes are killed when `killAt` (parts of the tasks) have begun; another is started at once for each. */
export async function taskStorm(count: number, killAt: readonly number[]): Promise<StormReport> {
  await using fleet = await openProcesses(ACTORS);
  const nodes: NodeProcess[] = await fleet.start("n0", "n1");
  const driver = await fleet.script();
  const ids = Array.from({ length: count }, (_, at) => `t-${at}`);
  const file = fleet.file("runs");
  const killing = killAll(fleet, nodes, count, killAt);
  const ms = await timed(
    Promise.all([
      killing,
      ...ids.map(async (id) => {
        await driver.submit(Scribe, "note", [file, id, TASK_MS], { id, retries: 20 });
        expect(await driver.result(id)).toBe(id);
      }),
    ]),
  );
  const recorded = await resultsIn(driver.ports.results);
  expect(new Set(recorded).size, "tasks with a result").toBe(count);
  expect(recorded.length, "results recorded").toBe(count);
  expect((await driver.deadTasks.list()).length, "dead letters").toBe(0);
  const runs = fleet.lines("runs").map((line) => line.split(" ")[0]);
  expect(new Set(runs).size, "tasks that ran").toBe(count);
  return { tasks: count, kills: killAt.length, ms, repeated: runs.length - count };
}

/** The subject of every result in the log itself. */
async function resultsIn(log: EventLog): Promise<string[]> {
  const subjects: string[] = [];
  for (let next = 1; ; ) {
    const page = await log.read("result.*", next, 1_000);
    subjects.push(...page.map(({ subject }) => subject));
    const last = page.at(-1);
    if (last === undefined) return subjects;
    next = last.sequence + 1;
  }
}

/** Kills the node that has been there longest and starts another in its place, at each of those times. */
async function killAll(
  fleet: FleetProcesses,
  nodes: NodeProcess[],
  count: number,
  killAt: readonly number[],
): Promise<void> {
  for (const [at, part] of killAt.entries()) {
    await waitUntil(`${part * count} tasks have begun`, () => fleet.lines("runs").length >= part * count, MAX_MS);
    await nodes.shift()?.kill();
    nodes.push(...(await fleet.start(`n${at + 2}`)));
  }
}
