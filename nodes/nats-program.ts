// Finds a nats-server program that is new enough, or gets one. It starts no server; nats-server.ts does.
//
//     PATH ─▶ the project's cache ─▶ go install into the cache ─▶ download into the cache ─▶ NatsServerMissing
//
// G1  A program is used only after it said its version: old servers accept what we rely on and silently do not do it.
// G2  What is got appears in the cache whole or not at all, whoever else is getting it at the same time.

import { createHash } from "node:crypto";
import { accessSync, constants } from "node:fs";
import { mkdir, mkdtemp, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type Clock, systemClock } from "../runtime/index.ts";
import { nodeError } from "./errors.ts";
import { type ProgramPlaces, programPlaces } from "./options.ts";

export const NATS_SERVER_MIN = "2.14.3";
export const NATS_SERVER_GOT = "2.15.2";
const MODULE = `github.com/nats-io/nats-server/v2@v${NATS_SERVER_GOT}`;
const RELEASES = "https://github.com/nats-io/nats-server/releases/download";
const BUILD_MAX_MS = 10 * 60_000;
const DOWNLOAD_MAX_MS = 5 * 60_000;
const VERSION_MAX_MS = 10_000;
const NAME = "nats-server";

export interface FindOptions {
  readonly places?: ProgramPlaces;
  /** Told of what takes long, in a sentence. */
  readonly say?: (line: string) => void;
  /** Where releases lie: `<releases>/v2.15.2/nats-server-v2.15.2-linux-amd64.tar.gz` beside SHA256SUMS. */
  readonly releases?: string;
  readonly clock?: Clock;
}

/** Path of a nats-server that is new enough. Builds or downloads one if need be, which may take minutes. Throws NatsServerMissing. */
export async function findNatsServer(options: FindOptions = {}): Promise<string> {
  const { places = programPlaces(), say = () => {}, releases = RELEASES, clock = systemClock } = options;
  const { found: here, tried } = await lookForNatsServer(places);
  if (here !== undefined) return here;
  const bin = join(places.cache, "bin");
  for (const get of [build, download]) {
    try {
      const place = { bin, go: places.go, say, releases, clock };
      const program = await intoCache(place, (folder) => get(place, folder));
      const found = await usable(program, tried);
      if (found !== undefined) return found;
    } catch (error) {
      tried.push((error as Error).message);
    }
  }
  throw nodeError(
    "NatsServerMissing",
    `no nats-server ${NATS_SERVER_MIN} or newer: none on the PATH or in ${bin}; ${tried.join("; ")}. Get one by: go install ${MODULE}, or from ${releases}/v${NATS_SERVER_GOT}/, or your system's packages`,
    { data: { tried } },
  );
}

/** The first that is here and new enough, if any, and what was here and was not. Gets none. */
export async function lookForNatsServer(
  places: ProgramPlaces,
): Promise<{ readonly found: string | undefined; readonly tried: string[] }> {
  const tried: string[] = [];
  for (const folder of [...places.path, join(places.cache, "bin")]) {
    const found = await usable(join(folder, NAME), tried);
    if (found !== undefined) return { found, tried };
  }
  return { found: undefined, tried };
}

interface Place {
  readonly bin: string;
  readonly go: readonly string[];
  readonly say: (line: string) => void;
  readonly releases: string;
  readonly clock: Clock;
}

/** `program` when it is there and new enough (G1). */
async function usable(program: string, tried: string[]): Promise<string | undefined> {
  if (!isExecutable(program)) return undefined;
  const { execa } = await import("execa");
  const { stdout } = await execa(program, ["--version"], { reject: false, timeout: VERSION_MAX_MS, stdin: "ignore" });
  const version = /v?(\d+\.\d+\.\d+)/.exec(String(stdout))?.[1];
  if (version !== undefined && isAtLeast(version, NATS_SERVER_MIN)) return program;
  tried.push(`${program} is ${version === undefined ? "no nats-server" : `version ${version}`}`);
  return undefined;
}

export function isAtLeast(version: string, min: string): boolean {
  const [found, wanted] = [version, min].map((text) => text.split(".").map(Number)) as [number[], number[]];
  const at = wanted.findIndex((part, index) => part !== found[index]);
  return at < 0 || (found[at] ?? 0) > (wanted[at] ?? 0);
}

export function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** Has `get` put the program into a folder beside its place, then moves it there (G2). */
async function intoCache({ bin }: Place, get: (folder: string) => Promise<void>): Promise<string> {
  await mkdir(bin, { recursive: true });
  const folder = await mkdtemp(join(bin, ".getting-"));
  try {
    await get(folder);
    await rename(join(folder, NAME), join(bin, NAME));
    return join(bin, NAME);
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

async function build({ go: folders, say }: Place, folder: string): Promise<void> {
  const go = folders.map((place) => join(place, "go")).find(isExecutable);
  if (go === undefined) throw new Error("there is no Go to build one with");
  say(`building nats-server ${NATS_SERVER_GOT} (go install, once, about a minute) …`);
  const { execa } = await import("execa");
  const { failed, stderr } = await execa(go, ["install", MODULE], {
    env: { GOBIN: folder, GOFLAGS: "" },
    reject: false,
    timeout: BUILD_MAX_MS,
    stdin: "ignore",
  });
  if (failed) throw new Error(`go install failed: ${String(stderr).trim().split("\n").slice(-3).join(" | ")}`);
}

async function download({ say, releases, clock }: Place, folder: string): Promise<void> {
  const machine = { x64: "amd64", arm64: "arm64", arm: "arm7" }[process.arch as string] ?? process.arch;
  const name = `${NAME}-v${NATS_SERVER_GOT}-${process.platform}-${machine}`;
  const release = `${releases}/v${NATS_SERVER_GOT}`;
  say(`downloading ${name} …`);
  const fetchFile = (file: string) => fetched(clock, `${release}/${file}`);
  const [sums, archive] = await Promise.all([fetchFile("SHA256SUMS"), fetchFile(`${name}.tar.gz`)]);
  const sum = createHash("sha256").update(archive).digest("hex");
  if (!sums.toString("utf8").includes(`${sum}  ${name}.tar.gz`)) {
    throw new Error(`the download of ${name} does not have the sum that SHA256SUMS says`);
  }
  await writeFile(join(folder, "archive.tar.gz"), archive);
  const { execa } = await import("execa");
  await execa("tar", ["-xzf", "archive.tar.gz", "--strip-components=1", `${name}/${NAME}`], { cwd: folder });
}

async function fetched(clock: Clock, url: string): Promise<Buffer> {
  const stopping = new AbortController();
  const limit = clock.schedule(DOWNLOAD_MAX_MS, () => stopping.abort(new Error("it took too long")));
  try {
    const answer = await fetch(url, { signal: stopping.signal });
    if (!answer.ok) throw new Error(`it answered ${answer.status}`);
    return Buffer.from(await answer.arrayBuffer());
  } catch (error) {
    const { cause, message } = error as Error;
    throw new Error(`${url} could not be fetched: ${cause instanceof Error ? cause.message : message}`);
  } finally {
    limit.cancel();
  }
}
