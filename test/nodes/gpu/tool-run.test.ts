// Tools as real processes: missing ones, failing ones, and ones that hang with children of their own.

import { chmod, mkdtemp, readFile, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { discoverGpus } from "../../../nodes/gpu/discovery.ts";
import { toolRunner } from "../../../nodes/gpu/tool-run.ts";
import { systemClock } from "../../../runtime/index.ts";
import { waitUntil } from "../../support/wait-until.ts";

let folder = "";
const path = process.env.PATH;

async function program(name: string, script: string): Promise<string> {
  await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`);
  await chmod(join(folder, name), 0o755);
  return join(folder, name);
}

const isRunning = (pid: number): boolean => {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
};

beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-gpu-"));
});

afterAll(async () => {
  process.env.PATH = path;
  await rm(folder, { recursive: true, force: true });
});

test("a missing program and one that may not be run", async () => {
  const run = toolRunner({ clock: systemClock });
  expect(await run("flotilla-no-such-tool", [])).toEqual({ kind: "missing" });
  await writeFile(join(folder, "plain"), "");
  expect(await run(join(folder, "plain"), [])).toMatchObject({
    kind: "ended",
    code: -1,
    err: expect.stringContaining("EACCES"),
  });
});

test("exit code and both outputs", async () => {
  const run = toolRunner({ clock: systemClock });
  const tool = await program("tool", 'echo "out $1"; echo err >&2; exit 6');
  expect(await run(tool, ["a b"])).toEqual({ kind: "ended", code: 6, out: "out a b\n", err: "err\n" });
});

test("a hanging one is late, is killed with its children, and no second one is started beside it", async () => {
  const run = toolRunner({ clock: systemClock, limitMs: 300 });
  const pids = join(folder, "pids");
  const tool = await program("hanging", `echo $$ >> ${pids}; sleep 60 & echo $! >> ${pids}; wait`);
  expect(await run(tool, [])).toEqual({ kind: "late", afterMs: 300 });
  const startedMs = performance.now();
  expect(await run(tool, [])).toEqual({ kind: "late", afterMs: 300 });
  expect(performance.now() - startedMs).toBeLessThan(200);
  const started = (await readFile(pids, "utf8")).trim().split("\n").map(Number);
  expect(started).toHaveLength(2);
  await waitUntil("the tool and its child ended", () => !started.some(isRunning));
  await program("hanging", "echo back");
  expect(await waitUntil("it can be run again", async () => (await run(tool, [])).kind === "ended")).toBe(true);
});

test("discovery with a hanging nvidia-smi on the PATH says so", async () => {
  await program("nvidia-smi", "exec sleep 60");
  process.env.PATH = `${folder}:${path}`;
  const result = await discoverGpus({ run: toolRunner({ clock: systemClock, limitMs: 200 }) });
  process.env.PATH = path;
  expect(result).toEqual({ kind: "failed", tool: "nvidia-smi", why: "nvidia-smi did not answer within 0.2 s" });
});
