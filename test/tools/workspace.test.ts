// The process workspace keeps the Workspace contract in both sandboxes; what only bubblewrap promises; tool chains in the private HOME.

import { execFileSync } from "node:child_process";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { homedir } from "node:os";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { cloneForAgent, openProcessWorkspace, type Sandbox, type Workspace } from "../../tools/index.ts";
import { type ToolsOptions, toolsOptions } from "../../tools/options.ts";
import { workspaceContract } from "../contracts/workspace.ts";
import { makeFolder, makeRepository } from "../support/git-repository.ts";

const patient = { timeoutMs: 60_000 };

async function open(root: string, sandbox: Sandbox, options?: ToolsOptions): Promise<Workspace & AsyncDisposable> {
  const workspace = await openProcessWorkspace({
    root,
    sandbox,
    clock: systemClock,
    random: systemRandom,
    ...(options && { options }),
  });
  return Object.assign(workspace, { [Symbol.asyncDispose]: () => workspace.close() });
}

async function boxed(): Promise<string | undefined> {
  await using folder = await makeFolder();
  try {
    await using _workspace = await open(folder.path, "bubblewrap");
    return undefined;
  } catch (error) {
    return String(error);
  }
}

async function countProcesses(word: string): Promise<number> {
  const pids = (await readdir("/proc")).filter((name) => /^\d+$/.test(name));
  const lines = await Promise.all(pids.map((pid) => readFile(`/proc/${pid}/cmdline`, "utf8").catch(() => "")));
  return lines.filter((line) => line.split("\0").slice(0, 2).join(" ") === `sleep ${word}`).length;
}

const whyNoBox = await boxed();
const forms: readonly Sandbox[] = whyNoBox === undefined ? ["none", "bubblewrap"] : ["none"];

for (const sandbox of forms) {
  workspaceContract(sandbox, async () => {
    const folder = await makeFolder();
    const workspace = await open(folder.path, sandbox);
    const close = async () => {
      await workspace.close();
      await folder[Symbol.asyncDispose]();
    };
    return { workspace, countProcesses, close };
  });
}

describe("openProcessWorkspace", () => {
  test("without bwrap on PATH: auto opens with none, and bubblewrap is refused with a sentence", async () => {
    await using folder = await makeFolder();
    const options = { ...toolsOptions(), path: folder.path };
    const request = { root: folder.path, clock: systemClock, random: systemRandom, options };
    const workspace = await openProcessWorkspace(request);
    expect(workspace.sandbox).toBe("none");
    await workspace.close();
    await expect(openProcessWorkspace({ ...request, sandbox: "bubblewrap" })).rejects.toMatchObject({
      code: "SandboxUnavailable",
      message: expect.stringContaining("Install it"),
    });
  });

  const isRoot = process.getuid?.() === 0;
  test.skipIf(isRoot)(
    `close removes folders that were made unwritable${isRoot ? " (skipped: root writes everywhere)" : ""}`,
    async () => {
      await using folder = await makeFolder();
      const workspace = await open(folder.path, "none");
      await workspace.exec(
        "sh",
        ["-c", 'mkdir -p "$HOME/a/b" && touch "$HOME/a/b/c" && chmod -R a-w "$HOME/a"'],
        patient,
      );
      await workspace.close();
      await expect(readdir(workspace.scratch)).rejects.toMatchObject({ code: "ENOENT" });
    },
  );

  test("the search path holds absolute folders only", () => {
    expect(toolsOptions({ PATH: "bin:/usr/bin::.:/bin", HOME: "/nowhere" })).toMatchObject({
      path: "/usr/bin:/bin",
      toolchains: {},
    });
  });
});

describe.skipIf(whyNoBox !== undefined)(`bubblewrap${whyNoBox === undefined ? "" : ` (skipped: ${whyNoBox})`}`, () => {
  test("hides the user's secrets, other people's temp files and the run folder", async () => {
    await using home = await makeFolder();
    await using folder = await makeFolder();
    await mkdir(join(home.path, ".ssh"));
    await writeFile(join(home.path, ".ssh/id_ed25519"), "SECRET");
    await writeFile(join(home.path, ".netrc"), "SECRET");
    await writeFile(join(home.path, "notes"), "seen");
    // A home that is not under a private folder, as a user's is; /tmp would hide it whole.
    await using elsewhere = await makeFolder(".flotilla-test-", homedir());
    await mkdir(join(elsewhere.path, ".ssh"));
    await writeFile(join(elsewhere.path, ".ssh/id_ed25519"), "SECRET");
    await writeFile(join(elsewhere.path, ".netrc"), "SECRET");
    await writeFile(join(elsewhere.path, "notes"), "seen");
    await using workspace = await open(folder.path, "bubblewrap", { ...toolsOptions(), home: elsewhere.path });
    const read = async (path: string) => (await workspace.exec("sh", ["-c", 'cat "$1"', "-", path], patient)).stdout;
    expect(await read(join(elsewhere.path, "notes"))).toBe("seen");
    expect(await read(join(elsewhere.path, ".netrc"))).toBe("");
    expect(await read(join(elsewhere.path, ".ssh/id_ed25519"))).toBe("");
    expect(await read(join(home.path, "notes"))).toBe("");
    expect((await workspace.exec("ls", ["-A", "/run"], patient)).stdout).not.toContain("docker.sock");
  });

  test("a secret inside the workspace itself, or inside a folder that is shown again, stays hidden", async () => {
    await using home = await makeFolder();
    const project = join(home.path, "project");
    await mkdir(project);
    await mkdir(join(home.path, ".ssh"));
    await writeFile(join(home.path, ".ssh/id"), "SECRET");
    const options = { ...toolsOptions(), home: home.path };
    const everywhere = { ...options, toolchains: { PYENV_ROOT: home.path } };
    for (const [root, chosen] of [[home.path, options] as const, [project, everywhere] as const]) {
      await using workspace = await open(root, "bubblewrap", chosen);
      expect((await workspace.exec("ls", [home.path], patient)).stdout).toBe("project\n");
      expect((await workspace.exec("cat", [join(home.path, ".ssh/id")], patient)).stdout).toBe("");
    }
  });

  test("writes nowhere but in the checkout, the scratch folder and its own /tmp", async () => {
    await using folder = await makeFolder();
    await using other = await makeFolder(".flotilla-test-", homedir());
    await using workspace = await open(folder.path, "bubblewrap");
    const write = async (path: string) =>
      (await workspace.exec("sh", ["-c", 'echo x > "$1"', "-", path], patient)).exitCode;
    expect(await write(join(other.path, "no"))).not.toBe(0);
    expect(await write("/etc/flotilla-no")).not.toBe(0);
    expect(await write(join(workspace.root, "yes"))).toBe(0);
    expect(await write(join(workspace.scratch, "yes"))).toBe(0);
    expect(await write("/tmp/yes")).toBe(0);
    expect(await readdir(other.path)).toEqual([]);
  });

  test("has loopback only, sees no process of the machine", async () => {
    await using folder = await makeFolder();
    await using workspace = await open(folder.path, "bubblewrap");
    const links = await workspace.exec("sh", ["-c", "tail -n +3 /proc/net/dev | cut -d: -f1 | tr -d ' '"], patient);
    expect(links.stdout.trim()).toBe("lo");
    const pids = await workspace.exec("sh", ["-c", "ls /proc | grep -c '^[0-9]'"], patient);
    expect(Number(pids.stdout)).toBeLessThan(10);
  });

  test("git's configuration and hooks are read-only, and a commit still works", async () => {
    await using repository = await makeRepository({ files: { "a.txt": "one\n" } });
    await mkdir(join(repository.path, ".git/hooks"), { recursive: true });
    await using workspace = await open(repository.path, "bubblewrap");
    const run = (script: string) => workspace.exec("sh", ["-c", script], patient);
    expect((await run("echo '[alias]' >> .git/config")).exitCode).not.toBe(0);
    expect((await run("echo exit > .git/hooks/pre-commit")).exitCode).not.toBe(0);
    expect((await run("rm -rf .git/hooks/* .git/config; git config core.fsmonitor ./x")).exitCode).not.toBe(0);
    const commit = await run(
      "echo two > a.txt && git add a.txt && git -c user.name=n -c user.email=e@x commit -qm two",
    );
    expect(commit).toMatchObject({ exitCode: 0, stderr: "" });
    expect(await repository.git("log", "--format=%s")).toBe("two\nFirst");
  });

  test("an agent's clone reads the objects it borrows, though they lie in a folder that is hidden", async () => {
    await using source = await makeRepository({ files: { "a.txt": "one\n" } });
    await using folder = await makeFolder();
    const first = await cloneForAgent({
      source: source.path,
      into: join(folder.path, "1"),
      commit: await source.head(),
    });
    const second = await cloneForAgent({ source: first, into: join(folder.path, "2"), commit: await source.head() });
    await using workspace = await open(second, "bubblewrap");
    expect((await workspace.exec("git", ["show", "HEAD:a.txt"], patient)).stdout).toBe("one\n");
    expect((await workspace.exec("ls", [source.path], patient)).stdout).toBe("");
    expect((await workspace.exec("touch", [join(source.path, ".git/objects/x")], patient)).exitCode).not.toBe(0);
  });

  test("folders that a command adds to the alternates later are not shown", async () => {
    await using hidden = await makeFolder();
    await writeFile(join(hidden.path, "secret"), "SECRET");
    await using repository = await makeRepository({ files: { a: "" } });
    await using workspace = await open(repository.path, "bubblewrap");
    await workspace.exec("sh", ["-c", `echo ${hidden.path} > .git/objects/info/alternates`], patient);
    expect((await workspace.exec("cat", [join(hidden.path, "secret")], patient)).exitCode).not.toBe(0);
  });
});

/** A program that each tool chain has to build or run from nothing, in a HOME that holds nothing. */
const TOOLCHAINS = {
  python3: { files: { "m.py": "print('built')\n" }, run: "python3 m.py" },
  node: { files: { "m.mjs": "console.log('built')\n" }, run: "node m.mjs" },
  go: {
    files: {
      "go.mod": "module m\n\ngo 1.20\n",

      "m.go": 'package main\n\nimport "os"\n\nfunc main() { os.Stdout.WriteString("built\\n") }\n',
    },
    run: "go run .",
  },
  cargo: {
    files: {
      "Cargo.toml": '[package]\nname = "m"\nversion = "0.1.0"\nedition = "2021"\n',
      "src/main.rs": 'fn main() { println!("built") }\n',
    },
    run: "cargo run -q --offline",
  },
} as const;

for (const [program, { files, run }] of Object.entries(TOOLCHAINS)) {
  const missing = isMissing(program);
  test.skipIf(missing)(
    `${program} works in the private HOME${missing ? ` (skipped: no ${program} here)` : ""}`,
    { timeout: 120_000 },
    async () => {
      await using repository = await makeRepository({ files });
      await using workspace = await open(repository.path, forms.at(-1) ?? "none");
      const env = { CARGO_TARGET_DIR: join(workspace.scratch, "target") };
      expect(await workspace.exec("sh", ["-c", run], { timeoutMs: 110_000, env })).toMatchObject({
        exitCode: 0,
        stdout: "built\n",
      });
    },
  );
}

function isMissing(program: string): boolean {
  try {
    execFileSync(program, [program === "go" ? "version" : "--version"], { stdio: "ignore" });
    return false;
  } catch {
    return true;
  }
}
