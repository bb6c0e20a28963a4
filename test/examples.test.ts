// Every example runs as a user would run it, prints what it should, and stays short.

import { execFile } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { promisify } from "node:util";
import { describe, expect, test } from "vitest";
import { natsForTests } from "./support/nats-server.ts";

const FOLDER = new URL("../examples/", import.meta.url);
const LINES_MAX = 40;
const RUN_MAX_MS = 60_000;

const OUTPUT: Readonly<Record<string, readonly string[]>> = {
  "01-hello.ts": ["after add(2): 42", "after a cast of 100: 142", "after 100 concurrent calls: 242"],
  "02-stream.ts": ["items", "come", "one", "by", "one", "left at: again", "most were never made: true"],
  "03-cancel.ts": [
    "after half a second: DeadlineExceeded",
    "when aborted: Cancelled",
    "methods that were told to give up: 2",
  ],
  "04-restart.ts": [
    "calls so far: 2",
    "first life: ActorThrew",
    "restarted with fresh state, calls so far: 1",
    "second life: ActorThrew",
    "restarted with fresh state, calls so far: 1",
    "third life: ActorThrew",
    "no more restarts: NoSuchActor",
  ],
  "05-named.ts": ["lines on the one board: 10", "creating it again: NameTaken", "lines on the other board: 0"],
  "06-agent.ts": [
    "files.read ok",
    "files.append ok",
    "tests.npm ok",
    "git.add ok",
    "git.commit ok",
    "ended: committed",
  ],
  "07-deliberation.ts": [
    "task: completed",
    "1. agent-dev-001 score N verified",
    "2. agent-dev-002 score N verified",
    "3. agent-dev-003 score N not verified",
    "winner: agent-dev-001",
  ],
  "08-topics.ts": ["1: tea", "2: salt", "orders.new tea, orders.new salt, orders.paid tea"],
  "09-fleet.ts": ["the board lives on: north", "first", "second", "third", "poster@north posted 2 lines"],
  "10-tasks.ts": [
    "ended: 3",
    "page 1, attempt 1",
    "page 7, attempt 2",
    "TaskFailed",
    "1: the page is missing, 2: the page is missing",
    "attempts after a replay: 4",
  ],
  "11-names-state.ts": ["counted on north: 2", "counted after north has left: 3", "reminded on south"],
  "12-ship-code.ts": ["shipped to: open", "fair: true", "on the strict node: Unplaceable"],
  "13-pool.ts": ["1 4 9 16 25 36 49 64", "fulfilled rejected fulfilled", "81 100", "all members worked: true"],
  "14-story.ts": [
    "greet is in DRAFT, ready: 35 of 75",
    "approve_scope is blocked by: readiness",
    "reject_scope is blocked by: nothing",
    "Greet visitors by name: Is this what we want, and is it said well enough to plan it?",
    "greet is in DESIGN",
    "1: case.created",
    "2: story.transitioned",
    "3: case.created",
    "4: approval.requested",
    "5: story.transitioned",
    "6: approval.decided",
  ],
  "15-resources.ts": [
    "minutes lives on: north",
    "because it is the only node that can take board",
    "three GPUs: it has 2 whole GPUs in all; 3 asked for",
  ],
};

const examples = async () => (await readdir(FOLDER)).filter((name) => /^\d\d-.*\.ts$/.test(name)).sort();

/** They start processes of their own, on this file's server. */
const ON_A_FLEET: ReadonlySet<string> = new Set([
  "09-fleet.ts",
  "10-tasks.ts",
  "11-names-state.ts",
  "12-ship-code.ts",
  "15-resources.ts",
]);
const nats = natsForTests();

async function outputOf(name: string): Promise<readonly string[]> {
  const file = new URL(name, FOLDER).pathname;
  const { servers = "", user, pass } = ON_A_FLEET.has(name) ? nats.options : {};
  const fleet = { FLOTILLA_SERVERS: servers.replace("//", `//${user}:${pass}@`), FLOTILLA_PREFIX: nats.prefix() };
  const env = { ...process.env, ...fleet };
  const { stdout, stderr } = await promisify(execFile)(process.execPath, [file], { timeout: RUN_MAX_MS, env });
  expect(stderr).toBe("");
  // The order is the example's; what each part of a score weighs is not.
  return stdout
    .replace(/score \d\.\d\d/g, "score N")
    .split("\n")
    .slice(0, -1);
}

describe("examples", () => {
  test("each one is listed here", async () => {
    expect(await examples()).toEqual(Object.keys(OUTPUT));
  });

  const isRunnable = (name: string) => nats.missing === undefined || !ON_A_FLEET.has(name);
  describe.each(Object.entries(OUTPUT))("%s", (name, lines) => {
    const title = isRunnable(name) ? "prints what it should" : `prints what it should (skipped: ${nats.missing})`;
    test.skipIf(!isRunnable(name))(title, { timeout: RUN_MAX_MS }, async () => {
      expect(await outputOf(name)).toEqual(lines);
    });
  });

  test.each(Object.keys(OUTPUT))("%s fits one screen", async (name) => {
    const source = await readFile(new URL(name, FOLDER), "utf8");
    expect(source.split("\n").length - 1).toBeLessThanOrEqual(LINES_MAX);
  });
});
