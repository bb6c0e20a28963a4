// The demo as a user runs it, with Python and on a machine without it.

import { execFileSync } from "node:child_process";
import { existsSync } from "node:fs";
import { symlink } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { flotilla } from "../support/flotilla-command.ts";
import { makeFolder } from "../support/git-repository.ts";

const found = (program: string): string | undefined =>
  (process.env.PATH ?? "")
    .split(delimiter)
    .map((folder) => join(folder, program))
    .find(existsSync);

function hasPython(): boolean {
  try {
    execFileSync("python3", ["-c", "import unittest"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

const TOLD = [
  "Ranking",
  "agent-dev-003",
  "not verified",
  "Winner: agent-dev-001",
  "hello_world()",
  "Audit trail:",
  "merge flotilla/",
];

describe("the demo", { timeout: 60_000 }, () => {
  it.skipIf(!hasPython())("works on a Python project (skipped without python3)", async () => {
    const { status, stdout, stderr, leftOver } = await flotilla(["demo"]);
    expect({ status, stderr }).toEqual({ status: 0, stderr: "" });
    for (const part of ["src/utils.py", "+def hello_world():", ...TOLD]) expect(stdout).toContain(part);
    // Its repository stays, and the output says where.
    expect(leftOver).toHaveLength(1);
    expect(stdout).toContain(`/${leftOver[0]}\n`);
  });

  it("works on a JavaScript project where there is no python3, and says so", async () => {
    await using programs = await makeFolder();
    for (const program of ["git", "node", "sh"]) {
      await symlink(found(program) ?? process.execPath, join(programs.path, program));
    }
    const { status, stdout, stderr } = await flotilla(["demo"], { env: { PATH: programs.path } });
    expect(status, stderr).toBe(0);
    expect(stderr).toContain("no python3 on this machine; the demo uses JavaScript");
    for (const part of ["src/utils.js", "+export function hello_world()", ...TOLD]) expect(stdout).toContain(part);
  });
});
