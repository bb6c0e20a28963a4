// Makes a fresh checkout ready, then runs a program of it: `node setup.mjs PROGRAM [ARGUMENT…]`. Every npm script starts here.
// It is not part of the product: plain JavaScript for Node 20, because it must run before anything is installed.
//
// S1  It installs exactly the locked packages, and only when what is installed differs from package-lock.json.
// S2  It writes nothing to stdout: that belongs to the program (`--json`).
// S3  Of several started at once, one installs and the others wait for it: `npm ci` deletes node_modules first.
// S4  Arguments, exit status and signals pass through.

import { spawn } from "node:child_process";
import { accessSync, constants as files, linkSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { constants as system } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { setTimeout as wait } from "node:timers/promises";
import { fileURLToPath } from "node:url";

const NODE_MIN = 20;
const LOCK_POLL_MS = 200;
const LOCK_WAIT_MAX_MS = 15 * 60_000;
const ERROR_LINES = 15;
const SIGNALS = ["SIGINT", "SIGTERM", "SIGHUP"];

const root = dirname(fileURLToPath(import.meta.url));
const binaries = join(root, "node_modules", ".bin");
const lock = join(root, ".flotilla", "setup.lock");

const say = (line) => process.stderr.write(`setup: ${line}\n`);

function fail(line) {
  say(line);
  process.exit(1);
}

function readJson(path) {
  try {
    return JSON.parse(readFileSync(join(root, path), "utf8"));
  } catch {
    return undefined;
  }
}

/** True when npm's own record of node_modules agrees with the lock file, for this kind of machine (S1). */
function isInstalled() {
  const wanted = readJson("package-lock.json")?.packages;
  // npm writes this file last, so an interrupted installation does not have it.
  const present = readJson("node_modules/.package-lock.json")?.packages;
  if (wanted === undefined || present === undefined) return false;
  const fits = ([path, entry]) => {
    const found = present[path];
    if (found === undefined) return path === "" || entry.optional === true;
    const forThisMachine = found.os === undefined || found.os.includes(process.platform);
    return forThisMachine && found.version === entry.version && found.integrity === entry.integrity;
  };
  return Object.entries(wanted).every(fits) && isExecutable(join(binaries, "node"));
}

function isExecutable(path) {
  try {
    accessSync(path, files.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** The user's PATH without our own binaries: npm must not run on the Node it is about to replace. */
const searchPath = () => (process.env.PATH ?? "").split(delimiter).filter((folder) => folder !== binaries);

const has = (program) => searchPath().some((folder) => isExecutable(join(folder, program)));

function requireMachine() {
  const major = Number(process.versions.node.split(".")[0]);
  if (major < NODE_MIN)
    fail(`Node ${process.versions.node} is too old; install Node ${NODE_MIN} or newer (nodejs.org).`);
  if (!has("git"))
    fail("git was not found on the PATH; install it (apt install git, brew install git) and run this again.");
}

/** Takes the lock, or waits while a living process has it (S3). */
async function takeLock() {
  mkdirSync(dirname(lock), { recursive: true });
  const own = `${lock}.${process.pid}`;
  // A link appears with its content or not at all, so nobody reads an empty lock and takes it for a dead one.
  writeFileSync(own, String(process.pid));
  try {
    for (let waitedMs = 0; !tryLink(own); waitedMs += LOCK_POLL_MS) {
      if (waitedMs === 0) say("another set-up is installing packages here; waiting for it …");
      if (waitedMs > LOCK_WAIT_MAX_MS) fail(`waited 15 minutes for another set-up; if there is none, delete ${lock}`);
      await wait(LOCK_POLL_MS);
    }
  } finally {
    rmSync(own, { force: true });
  }
}

function tryLink(own) {
  if (!isHeld()) rmSync(lock, { force: true });
  try {
    linkSync(own, lock);
    return true;
  } catch (error) {
    if (error.code !== "EEXIST") throw error;
    return false;
  }
}

function isHeld() {
  try {
    process.kill(Number(readFileSync(lock, "utf8")), 0);
    return true;
  } catch (error) {
    return error.code === "EPERM";
  }
}

async function install() {
  if (!has("npm"))
    fail("npm was not found on the PATH; it comes with Node (nodejs.org). Install it and run this again.");
  const count = Object.keys(readJson("package-lock.json")?.packages ?? {}).length - 1;
  if (count < 0) fail("package-lock.json is missing or damaged; restore it with: git checkout package-lock.json");
  say(`installing the locked packages (npm ci, ${count} at most) …`);
  const startedMs = Date.now();
  const { status, output } = await run("npm", ["ci", "--include=dev", "--no-audit", "--no-fund", "--loglevel=error"], {
    cwd: root,
    env: { ...process.env, PATH: searchPath().join(delimiter) },
    stdio: ["ignore", "ignore", "pipe"],
  });
  if (status > 128) process.exit(status);
  if (status !== 0) fail(explain(output));
  if (!isExecutable(join(binaries, "node"))) {
    fail(
      "npm did not install Node 24 (package `node`) because install scripts are off; `npm config delete ignore-scripts`, remove node_modules and run this again.",
    );
  }
  say(`installed in ${((Date.now() - startedMs) / 1000).toFixed(1)} s.`);
}

/** One sentence for what npm said, followed by what it said. */
function explain(output) {
  const code = /npm (?:error|ERR!) code (\w+)/.exec(output)?.[1] ?? "";
  const said = output
    .split("\n")
    .filter((line) => /^npm (error|ERR!) \S/.test(line) && !line.includes("A complete log"));
  const tail = said.slice(0, ERROR_LINES).join("\n");
  const unreachable =
    /^(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ENETUNREACH|EHOSTUNREACH|ERR_SOCKET_TIMEOUT|E5\d\d)$/;
  if (unreachable.test(code)) {
    return `npm could not reach its package registry (${code}); check the network, the proxy and \`npm config get registry\`, then run this again.\n${tail}`;
  }
  if (code === "ENOSPC") return `the disk is full; about 500 MB are needed.\n${tail}`;
  if (code === "EUSAGE")
    return `package-lock.json does not fit package.json; run npm install and commit both.\n${tail}`;
  return `npm ci failed${code === "" ? "" : ` (${code})`}; what npm said:\n${tail}`;
}

/** Runs a program to its end, signals forwarded; an end by signal n reads as status 128 + n, as in a shell (S4). */
function run(file, args, options) {
  return new Promise((resolve) => {
    const child = spawn(file, args, options);
    let output = "";
    child.stderr?.on("data", (chunk) => (output += chunk));
    // A terminal sends Ctrl-C to the whole group; a second one would read as impatience and cut the program's cleaning up short.
    const forward = (signal) => (signal === "SIGINT" && process.stdin.isTTY ? undefined : child.kill(signal));
    for (const signal of SIGNALS) process.on(signal, forward);
    child.on("error", (error) => fail(`${file} could not be started: ${error.message}`));
    child.on("close", (code, signal) => {
      for (const name of SIGNALS) process.off(name, forward);
      resolve({ status: signal === null ? code : 128 + system.signals[signal], output });
    });
  });
}

/** Our programs by path, everybody else's by name, all on Node 24. npm moves to the package's folder; ours run where the user typed. */
async function start(program, args) {
  const isOurs = /\.(ts|mjs)$/.test(program);
  const file = join(binaries, isOurs ? "node" : program);
  const env = { ...process.env, PATH: [binaries, ...searchPath()].join(delimiter) };
  const typedIn = process.env.npm_package_json === join(root, "package.json") ? process.env.INIT_CWD : undefined;
  const cwd = isOurs ? typedIn : root;
  const { status } = await run(file, isOurs ? [join(root, program), ...args] : args, { stdio: "inherit", env, cwd });
  process.exit(status);
}

const [program, ...args] = process.argv.slice(2);
if (program === undefined) fail("name a program to run, for example: node setup.mjs api/start.mjs demo");
requireMachine();
if (!isInstalled()) {
  await takeLock();
  try {
    if (!isInstalled()) await install();
  } finally {
    rmSync(lock, { force: true });
  }
}
await start(program, args);
