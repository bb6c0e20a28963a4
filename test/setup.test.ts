// setup.mjs on a checkout of its own, with an npm that only pretends: what it installs, when, and what it says when it cannot.

import { execFile } from "node:child_process";
import { chmod, copyFile, mkdir, readFile, symlink, writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { describe, expect, it } from "vitest";
import { makeFolder } from "./support/git-repository.ts";
import { ROOT } from "./tidy/source.ts";

const LOCK = JSON.stringify({
  packages: { "": {}, "node_modules/a": { version: "1.0.0" }, "node_modules/b": { version: "2.0.0", optional: true } },
});

/** Installs what the lock says, slowly enough for two to meet, and counts its runs. */
const NPM = `#!/bin/sh
echo "$@" >> npm-runs
sleep 0.3
mkdir -p node_modules/.bin
ln -sf ${process.execPath} node_modules/.bin/node
cp package-lock.json node_modules/.package-lock.json
echo "npm's own words"
`;
const failing = (code: string) =>
  `#!/bin/sh\necho "npm error code ${code}\nnpm error something went wrong" >&2\nexit 1\n`;

interface Checkout extends AsyncDisposable {
  readonly path: string;
  readonly programs: string;
  run(...args: string[]): Promise<{ status: number | string | null; stdout: string; stderr: string }>;
}

async function makeCheckout(npm: string | undefined, { git = true } = {}): Promise<Checkout> {
  const folder = await makeFolder("flotilla-setup-");
  const programs = join(folder.path, "programs");
  await mkdir(programs);
  await copyFile(join(ROOT, "setup.mjs"), join(folder.path, "setup.mjs"));
  await writeFile(join(folder.path, "package-lock.json"), LOCK);
  await writeFile(join(folder.path, "program.ts"), "console.log(process.argv.slice(2).join());\nprocess.exit(7);\n");
  const put = async (name: string, text: string) => {
    await writeFile(join(programs, name), text);
    await chmod(join(programs, name), 0o755);
  };
  for (const tool of ["sh", "sleep", "mkdir", "ln", "cp"]) await symlink(`/bin/${tool}`, join(programs, tool));
  if (git) await put("git", "#!/bin/sh\n");
  if (npm !== undefined) await put("npm", npm);
  const run: Checkout["run"] = (...args) =>
    new Promise((resolve) => {
      const env = { PATH: [programs, "/nowhere"].join(delimiter) };
      execFile(
        process.execPath,
        [join(folder.path, "setup.mjs"), ...args],
        { cwd: "/", env },
        (error, stdout, stderr) => resolve({ status: error === null ? 0 : (error.code ?? null), stdout, stderr }),
      );
    });
  return { path: folder.path, programs, run, [Symbol.asyncDispose]: folder[Symbol.asyncDispose] };
}

const runsOf = async ({ path }: Checkout) => (await readFile(join(path, "npm-runs"), "utf8")).trim().split("\n");

describe("setup", () => {
  it("installs once, then runs the program with its arguments and status, and keeps stdout for it", async () => {
    await using checkout = await makeCheckout(NPM);
    const first = await checkout.run("program.ts", "a", "--b");
    expect(first).toMatchObject({ status: 7, stdout: "a,--b\n" });
    expect(first.stderr).toMatch(/^setup: installing the locked packages.*\nsetup: installed in \d+\.\d s\.\n$/);
    expect(await checkout.run("program.ts")).toEqual({ status: 7, stdout: "\n", stderr: "" });
    expect(await runsOf(checkout)).toEqual([expect.stringMatching(/^ci /)]);
  });

  it("installs again when the lock file says something else", async () => {
    await using checkout = await makeCheckout(NPM);
    await checkout.run("program.ts");
    await writeFile(join(checkout.path, "package-lock.json"), LOCK.replace("1.0.0", "1.0.1"));
    expect((await checkout.run("program.ts")).stderr).toContain("installing");
    expect(await runsOf(checkout)).toHaveLength(2);
  });

  it("installs once when two start together, and again after a set-up that died", async () => {
    await using checkout = await makeCheckout(NPM);
    await mkdir(join(checkout.path, ".flotilla"));
    // No process has this number: Linux ends at 2^22, macOS at 99,999.
    await writeFile(join(checkout.path, ".flotilla/setup.lock"), "9999999");
    const both = await Promise.all([checkout.run("program.ts"), checkout.run("program.ts")]);
    expect(both.map(({ status }) => status)).toEqual([7, 7]);
    expect(await runsOf(checkout)).toHaveLength(1);
  });

  it.each([
    ["ENOTFOUND", /could not reach its package registry \(ENOTFOUND\); check the network/],
    ["EUSAGE", /package-lock\.json does not fit package\.json/],
    ["ENOSPC", /the disk is full/],
    ["EWHATEVER", /npm ci failed \(EWHATEVER\)[\s\S]*something went wrong/],
  ])("says what to do about npm's %s", async (code, words) => {
    await using checkout = await makeCheckout(failing(code));
    const { status, stdout, stderr } = await checkout.run("program.ts");
    expect({ status, stdout }).toEqual({ status: 1, stdout: "" });
    expect(stderr).toMatch(words);
  });

  it("names the program that is missing", async () => {
    await using bare = await makeCheckout(undefined);
    await using gitless = await makeCheckout(NPM, { git: false });
    expect(await bare.run("program.ts")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^setup: npm was not found/),
    });
    expect(await gitless.run("program.ts")).toMatchObject({
      status: 1,
      stderr: expect.stringMatching(/^setup: git was not found/),
    });
  });
});
