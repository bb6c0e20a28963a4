// The Workspace contract: what every form of tools/workspace/workspace.ts does. Numbers are that file's invariants.

import { mkdir, readdir, symlink, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect } from "vitest";
import type { Workspace } from "../../tools/index.ts";
import { waitUntil } from "../support/wait-until.ts";
import { type Cases, runContract, type Skips } from "./contract.ts";

export interface WorkspaceForm {
  readonly workspace: Workspace;
  /** How many processes of the machine carry this word in their command line. */
  countProcesses(word: string): Promise<number>;
  close(): Promise<void>;
}

const TIMEOUT_MS = 20_000;
const patient = { timeoutMs: TIMEOUT_MS };

const running: Cases<WorkspaceForm> = {
  "W1: gives arguments to the program as they are": async (make) => {
    const { workspace } = await make();
    const odd = ["a b", "$HOME", "`id`", "; echo no", "*", "-n", "", "ü\n"];
    const result = await workspace.exec(
      "python3",
      ["-c", "import sys, json; print(json.dumps(sys.argv[1:]))", ...odd],
      patient,
    );
    expect(JSON.parse(result.stdout)).toEqual(odd);
    expect(result).toMatchObject({ exitCode: 0, timedOut: false, cancelled: false, truncated: false, stderr: "" });
  },
  "passes stdin, both streams and the exit code on": async (make) => {
    const { workspace } = await make();
    const result = await workspace.exec("sh", ["-c", "cat; echo err >&2; exit 3"], { ...patient, stdin: "in\n" });
    expect(result).toMatchObject({ exitCode: 3, stdout: "in\n", stderr: "err\n" });
  },
  "an unread stdin and a missing one both end": async (make) => {
    const { workspace } = await make();
    expect(await workspace.exec("true", [], { ...patient, stdin: "x".repeat(1 << 20) })).toMatchObject({ exitCode: 0 });
    expect(await workspace.exec("cat", [], patient)).toMatchObject({ exitCode: 0, stdout: "" });
  },
  "runs in the root or in a folder inside it, and nowhere else": async (make) => {
    const { workspace } = await make();
    await mkdir(join(workspace.root, "inner"));
    await symlink("/", join(workspace.root, "out"));
    expect((await workspace.exec("pwd", [], patient)).stdout.trim()).toBe(workspace.root);
    expect((await workspace.exec("pwd", [], { ...patient, cwd: "inner" })).stdout.trim()).toBe(
      `${workspace.root}/inner`,
    );
    await expect(workspace.exec("pwd", [], { ...patient, cwd: ".." })).rejects.toMatchObject({
      code: "outside-workspace",
    });
    await expect(workspace.exec("pwd", [], { ...patient, cwd: "out" })).rejects.toMatchObject({
      code: "outside-workspace",
    });
    await expect(workspace.exec("pwd", [], { ...patient, cwd: "none" })).rejects.toMatchObject({
      code: "no-such-file",
    });
  },
  "a program that is not there is a ToolFailure, also one that is a folder or not executable": async (make) => {
    const { workspace } = await make();
    await writeFile(join(workspace.root, "plain.txt"), "no program");
    for (const program of ["no-such-program-here", "./plain.txt", "/tmp", "./none"]) {
      await expect(workspace.exec(program, [], patient)).rejects.toMatchObject({
        name: "ToolFailure",
        code: "no-such-program",
      });
    }
  },
  "W2: the environment holds the base and what is named, nothing else": async (make) => {
    const { workspace } = await make();
    const result = await workspace.exec("env", ["-0"], { ...patient, env: { NAMED: "yes" } });
    const variables = new Map(
      result.stdout
        .split("\0")
        .filter(Boolean)
        .map((line) => line.split(/=(.*)/s).slice(0, 2) as [string, string]),
    );
    const toolchains = [
      "PYENV_ROOT",
      "RUSTUP_HOME",
      "CARGO_HOME",
      "GOMODCACHE",
      "VOLTA_HOME",
      "ASDF_DATA_DIR",
      "MISE_DATA_DIR",
    ];
    const allowed = ["PATH", "HOME", "TMPDIR", "LANG", "LC_ALL", "NAMED", "FLOTILLA_EXEC", "PWD", ...toolchains];
    expect([...variables.keys()].filter((name) => !allowed.includes(name))).toEqual([]);
    expect(variables.get("NAMED")).toBe("yes");
    for (const name of ["HOME", "TMPDIR"]) expect(variables.get(name)?.startsWith(`${workspace.scratch}/`)).toBe(true);
    const wrote = await workspace.exec(
      "sh",
      ["-c", 'echo a > "$HOME/a" && echo b > "$TMPDIR/b" && echo c > c'],
      patient,
    );
    expect(wrote).toMatchObject({ exitCode: 0 });
    expect(await readdir(workspace.root)).toEqual(["c"]);
  },
};

/** A time to sleep that no other process of the machine sleeps, also when the suite runs twice at once. */
const word = (number: number) => `4321.${process.pid}${number}`;

/** Leaves the group, the session and its parent, twice. */
const escapee = (time: string) => `import os, sys, time
if os.fork() == 0:
    os.setsid()
    if os.fork() == 0:
        os.setsid()
        open("escaped", "w").close()
        os.execvp("sleep", ["sleep", "${time}"])
    os._exit(0)
`;

const ending: Cases<WorkspaceForm> = {
  "W3: a time-out ends the tree, also a grandchild in its own session": async (make) => {
    const { workspace, countProcesses } = await make();
    const script = `${escapee(word(1))}time.sleep(600)`;
    const controller = new AbortController();
    const result = workspace.exec("python3", ["-c", script], { timeoutMs: 3_000, signal: controller.signal });
    await waitUntil("the grandchild escaped", async () => (await countProcesses(word(1))) > 0);
    expect(await result).toMatchObject({ exitCode: null, timedOut: true, cancelled: false });
    expect(await countProcesses(word(1))).toBe(0);
  },
  "W3: an abort does the same, at once": async (make) => {
    const { workspace, countProcesses } = await make();
    const controller = new AbortController();
    const result = workspace.exec("python3", ["-c", `${escapee(word(2))}time.sleep(600)`], {
      ...patient,
      signal: controller.signal,
    });
    await waitUntil("the grandchild escaped", async () => (await countProcesses(word(2))) > 0);
    controller.abort();
    const ended = await result;
    expect(ended).toMatchObject({ exitCode: null, timedOut: false, cancelled: true });
    expect(ended.durationMs).toBeLessThan(TIMEOUT_MS / 2);
    expect(await countProcesses(word(2))).toBe(0);
  },
  "W3: a program that ignores SIGTERM is ended too": async (make) => {
    const { workspace } = await make();
    const result = await workspace.exec("sh", ["-c", "trap '' TERM; while :; do sleep 0.05; done"], { timeoutMs: 300 });
    expect(result).toMatchObject({ timedOut: true });
    expect(result.durationMs).toBeLessThan(3_000);
  },
  "a signal that has aborted already starts nothing": async (make) => {
    const { workspace } = await make();
    const result = await workspace.exec("touch", ["made"], { ...patient, signal: AbortSignal.abort() });
    expect(result).toMatchObject({ cancelled: true, exitCode: null });
    expect(await readdir(workspace.root)).toEqual([]);
  },
  "what a command leaves in the background ends with it, and does not hold the result up": async (make) => {
    const { workspace, countProcesses } = await make();
    const result = await workspace.exec(
      "sh",
      ["-c", `setsid sleep ${word(3)} & sleep ${word(3)} & echo done`],
      patient,
    );
    expect(result).toMatchObject({ exitCode: 0, stdout: "done\n", timedOut: false });
    expect(await countProcesses(word(3))).toBe(0);
  },
  "W5: close ends what runs, refuses new commands, removes the scratch folder and keeps the checkout": async (make) => {
    const { workspace, countProcesses } = await make();
    await writeFile(join(workspace.root, "kept"), "");
    const result = workspace.exec("sleep", [word(4)], patient);
    await waitUntil("the command runs", async () => (await countProcesses(word(4))) > 0);
    await Promise.all([workspace.close(), workspace.close()]);
    expect(await result).toMatchObject({ cancelled: true });
    expect(await countProcesses(word(4))).toBe(0);
    await expect(workspace.exec("true", [], patient)).rejects.toMatchObject({ code: "workspace-closed" });
    await expect(readdir(workspace.scratch)).rejects.toMatchObject({ code: "ENOENT" });
    expect(await readdir(workspace.root)).toEqual(["kept"]);
  },
};

const bounds: Cases<WorkspaceForm> = {
  "W4: keeps head and tail of long output and counts what lies between": async (make) => {
    const { workspace } = await make();
    const print = "import sys; sys.stdout.write('HEAD' + 'é' * 100000 + 'TAIL')";
    const { stdout, truncated } = await workspace.exec("python3", ["-c", print], { ...patient, outputMaxBytes: 1_001 });
    expect(truncated).toBe(true);
    expect(stdout.startsWith("HEAD")).toBe(true);
    expect(stdout.endsWith("TAIL")).toBe(true);
    expect(stdout).toContain(`${200_008 - 1_001} bytes cut`);
    expect(stdout).not.toContain("\uFFFD");
  },
  "W4: a program that never stops printing costs no memory": async (make) => {
    const { workspace } = await make();
    const before = process.memoryUsage().rss;
    const result = await workspace.exec("yes", [], { timeoutMs: 1_000, outputMaxBytes: 10_000 });
    expect(result).toMatchObject({ timedOut: true, truncated: true });
    expect(result.stdout.length).toBeLessThan(10_100);
    expect(process.memoryUsage().rss - before).toBeLessThan(150e6);
  },
  "runs many commands at once without mixing them": async (make) => {
    const { workspace } = await make();
    const numbers = Array.from({ length: 16 }, (_, index) => String(index));
    const results = await Promise.all(numbers.map((number) => workspace.exec("echo", [number], patient)));
    expect(results.map(({ stdout }) => stdout.trim())).toEqual(numbers);
  },
};

export function workspaceContract(name: string, make: () => Promise<WorkspaceForm>, skips: Skips = {}): void {
  runContract(`Workspace contract: ${name}`, { ...running, ...ending, ...bounds }, make, skips);
}
