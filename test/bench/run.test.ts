// The benchmark as a program: quick rows into a file, in one process and over a real nats-server, and what it refuses.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { natsMissing } from "../support/nats-server.ts";

const PROGRAM = new URL("../../bench/run.ts", import.meta.url).pathname;

const bench = (...argv: string[]) => promisify(execFile)(process.execPath, [PROGRAM, ...argv]);

let folder: string;
beforeAll(async () => {
  folder = await mkdtemp(join(tmpdir(), "flotilla-bench-"));
});
afterAll(() => rm(folder, { recursive: true }));

const figures = { value: expect.any(Number), low: expect.any(Number), high: expect.any(Number) };

test("measures what --only names, prints a table and writes the JSON", async () => {
  const file = join(folder, "local.json");
  const { stdout } = await bench("--quick", "--only", "local.spawn", "--json", file);
  expect(stdout).toMatch(/^local\.spawn .* actors\/s .*≥ 200 k (met|missed)$/m);
  expect(stdout).toMatch(/^load [\d.]+ .* before, .* after/m);
  expect(stdout).not.toContain("local.memory.actor");
  const report = JSON.parse(await readFile(file, "utf8"));
  expect(Object.keys(report)).toEqual(["machine", "load", "versions", "rows"]);
  expect(report.rows).toEqual([{ id: "local.spawn", unit: "actors/s", ...figures, ratios: {} }]);
  expect(report.rows[0].value).toBeGreaterThan(0);
});

// A server of the benchmark's own, so only whether the program is there matters here.
test.skipIf(natsMissing() !== undefined)("measures remote rows between two processes", async () => {
  const file = join(folder, "remote.json");
  const only = ["remote.call.sequential", "remote.stream"].flatMap((id) => ["--only", id]);
  const { stdout } = await bench("--quick", ...only, "--json", file);
  expect(stdout).toMatch(/^remote\.call\.sequential .* p50 .* µs ≤ 100 (met|missed), p99 .* µs ≤ 400 (met|missed)$/m);
  const { rows } = JSON.parse(await readFile(file, "utf8"));
  expect(rows).toEqual([
    {
      id: "remote.call.sequential",
      unit: "calls/s",
      ...figures,
      p50Us: expect.any(Number),
      p99Us: expect.any(Number),
      ratios: {},
    },
    { id: "remote.stream", unit: "items/s", ...figures, ratios: {} },
  ]);
});

test.each([
  [["--only", "nope"], 'no scenario "nope"; there are local.call.pipelined'],
  [["--fast"], "Unknown option '--fast'"],
  [["--json", "/nowhere/at/all.json"], "/nowhere/at/all.json"],
  [["--growth", "--peers"], "--growth measures by itself"],
  [["--growth", "--only", "local.spawn"], "--growth measures by itself"],
])("%j is refused before anything is measured", async (argv, message) => {
  await expect(bench(...argv)).rejects.toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(message) });
});
