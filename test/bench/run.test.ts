// The benchmark as a program: one quick scenario into a file, and what it refuses.

import { execFile } from "node:child_process";
import { mkdtemp, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { expect, test } from "vitest";

const PROGRAM = new URL("../../bench/run.ts", import.meta.url).pathname;

const bench = (...argv: string[]) => promisify(execFile)(process.execPath, [PROGRAM, ...argv]);

test("measures what --only names, prints a table and writes the JSON", async () => {
  const folder = await mkdtemp(join(tmpdir(), "flotilla-bench-"));
  try {
    const file = join(folder, "result.json");
    const { stdout } = await bench("--quick", "--only", "local.spawn", "--json", file);
    expect(stdout).toMatch(/^local\.spawn .* actors\/s .*≥ 200 k (met|missed)$/m);
    expect(stdout).toMatch(/^load [\d.]+ .* before, .* after/m);
    expect(stdout).not.toContain("memory.actor");
    const report = JSON.parse(await readFile(file, "utf8"));
    expect(Object.keys(report)).toEqual(["machine", "load", "versions", "rows"]);
    expect(report.rows).toEqual([
      {
        id: "local.spawn",
        unit: "actors/s",
        value: expect.any(Number),
        low: expect.any(Number),
        high: expect.any(Number),
        ratios: {},
      },
    ]);
    expect(report.rows[0].value).toBeGreaterThan(0);
  } finally {
    await rm(folder, { recursive: true });
  }
});

test.each([
  [["--only", "nope"], 'no scenario "nope"; there are local.call.pipelined'],
  [["--fast"], "Unknown option '--fast'"],
  [["--json", "/nowhere/at/all.json"], "/nowhere/at/all.json"],
])("%j is refused before anything is measured", async (argv, message) => {
  await expect(bench(...argv)).rejects.toMatchObject({ code: 1, stdout: "", stderr: expect.stringContaining(message) });
});
