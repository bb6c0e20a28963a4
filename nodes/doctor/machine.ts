// Checks of the machine: disk, folders, limits, memory, control groups, ports.
//
// MA1  What a check writes it removes.

import { constants } from "node:fs";
import { access, mkdtemp, open, readFile, rm, stat, statfs } from "node:fs/promises";
import { createServer } from "node:net";
import { dirname, join } from "node:path";
import type { Clock } from "../../runtime/index.ts";
import type { ProgramPlaces } from "../options.ts";
import { bad, ok, skipped, type Verdict, warn } from "./check.ts";
import { askProgram, findProgram, isThere } from "./programs.ts";

const GIB = 1024 ** 3;
const MIB = 1024 ** 2;

/** "5.3 GiB", "812 MiB". */
export const sizeText = (bytes: number): string =>
  bytes >= GIB ? `${(bytes / GIB).toFixed(1)} GiB` : `${Math.round(bytes / MIB)} MiB`;

/** What a fleet's streams may grow to, with their own limits and some room. */
const DISK_WARN_BYTES = 6 * GIB;
const DISK_MIN_BYTES = 512 * MIB;
const SYNC_WARN_MS = 50;
/** The quickest of a few counts: others write to the disk, too. */
const SYNCS = 3;
const TMPFS = 0x01021994;
const BLOCK = new Uint8Array(4_096);

/** The folder, or what is there of the way to it. */
async function nearest(folder: string): Promise<string> {
  const up = dirname(folder);
  return up === folder || (await isThere(folder)) ? folder : nearest(up);
}

/** Room, and whether a synced write works and how long it takes. */
export async function diskVerdict(folder: string, clock: Clock): Promise<Verdict> {
  const place = await nearest(folder);
  const { bavail, bsize, type } = await statfs(place);
  const free = bavail * bsize;
  let syncMs: number;
  try {
    syncMs = await syncTime(place, clock);
  } catch (error) {
    const problem = `a synced write in ${place} failed (${(error as NodeJS.ErrnoException).code})`;
    return bad(problem, "Give a folder on a local disk that this user may write to (--folder).");
  }
  const found = `${sizeText(free)} free in ${place}, a synced write takes ${syncMs.toFixed(1)} ms`;
  const more = "Free some, or give a folder on a larger disk (--folder).";
  if (free < DISK_MIN_BYTES) return bad(found, more);
  if (type === TMPFS)
    return warn(`${found}; it lies in memory (tmpfs), a restart empties it`, "Give a folder on a disk (--folder).");
  if (free < DISK_WARN_BYTES) return warn(`${found}; a fleet's streams may take 5 GiB`, more);
  if (syncMs > SYNC_WARN_MS)
    return warn(`${found}: slow`, "A durable server waits that long for each write: give it a faster disk.");
  return ok(found);
}

async function syncTime(place: string, clock: Clock): Promise<number> {
  const folder = await mkdtemp(join(place, ".flotilla-doctor-"));
  try {
    await using file = await open(join(folder, "block"), "w");
    let quickestMs = Number.POSITIVE_INFINITY;
    for (let write = 0; write < SYNCS; write++) {
      const startMs = clock.monotonic();
      await file.write(BLOCK);
      await file.sync();
      quickestMs = Math.min(quickestMs, clock.monotonic() - startMs);
    }
    return quickestMs;
  } finally {
    await rm(folder, { recursive: true, force: true });
  }
}

/** Who may look into the folder. */
export async function folderVerdict(folder: string): Promise<Verdict> {
  const place = await nearest(folder);
  const { mode, uid } = await stat(place);
  const isWritable = await access(place, constants.W_OK | constants.X_OK).then(
    () => true,
    () => false,
  );
  if (!isWritable)
    return bad(`this user may not write to ${place}`, `chown it to this user, or give another folder (--folder).`);
  if (place !== folder) return ok(`${folder} is not there yet and can be made`);
  const me = process.getuid?.();
  if (me !== undefined && uid !== me && me !== 0) {
    return warn(`${folder} belongs to another user (${uid})`, `chown it to this user: credentials lie in it.`);
  }
  if ((mode & 0o077) === 0) return ok(`${folder} is this user's alone`);
  return warn(`others on this machine can look into ${folder}`, `chmod 700 '${folder}': credentials lie in it.`);
}

/** Who may read the credentials. */
export async function credsVerdict(file: string): Promise<Verdict> {
  const { mode } = await stat(file);
  return (mode & 0o077) === 0
    ? ok(`${file} is readable by its owner alone`)
    : warn(`others on this machine can read ${file}`, `chmod 600 '${file}'`);
}

const FILES_MIN = 4_096;

export async function openFilesVerdict(signal: AbortSignal): Promise<Verdict> {
  const { line } = await askProgram("/bin/sh", ["-c", "ulimit -n"], signal);
  return filesVerdict(line);
}

/** `limit`: what `ulimit -n` prints. */
export function filesVerdict(limit: string): Verdict {
  if (limit === "unlimited" || Number(limit) >= FILES_MIN) return ok(`${limit}; ${FILES_MIN} or more are needed`);
  return warn(
    `${limit}, and ${FILES_MIN} or more are needed where many connect`,
    "Raise it: ulimit -n 65536, LimitNOFILE= in a systemd unit, or nofile in /etc/security/limits.conf.",
  );
}

const MEMORY_WARN_BYTES = GIB;
const MEMORY_MIN_BYTES = 256 * MIB;

export function memoryVerdict(availableBytes: number, totalBytes: number): Verdict {
  const found = `${sizeText(availableBytes)} of ${sizeText(totalBytes)} available`;
  const remedy = "End what is not needed, or raise this container's memory limit.";
  if (availableBytes < MEMORY_MIN_BYTES) return bad(found, remedy);
  return availableBytes < MEMORY_WARN_BYTES
    ? warn(`${found}; processes of actors take about 80 MiB each`, remedy)
    : ok(found);
}

const UNLIMITED = "memory limits of actors' processes rest on Node's own (--max-old-space-size) alone";
const DELEGATE = "Run the node as a systemd service with Delegate=yes (nodes/deploy/flotilla-node.service).";

/** Whether this process may make control groups with memory limits below its own. `root`: where the machine's files are, for tests. */
export async function cgroupVerdict(root = "/", platform: string = process.platform): Promise<Verdict> {
  if (platform !== "linux") return skipped(`there are no control groups on ${platform}: ${UNLIMITED}`);
  const own = await readFile(join(root, "proc/self/cgroup"), "utf8").catch(() => "");
  const path = /^0::(\/.*)$/m.exec(own)?.[1];
  const mount = join(root, "sys/fs/cgroup");
  const controllers = path && (await readFile(join(mount, path, "cgroup.controllers"), "utf8").catch(() => undefined));
  if (path === undefined || controllers === undefined) {
    return warn(`control groups of version 2 are not to be seen here: ${UNLIMITED}`, DELEGATE);
  }
  if (!controllers.split(/\s+/).includes("memory")) {
    return warn(`the group ${path} has no memory controller: ${UNLIMITED}`, DELEGATE);
  }
  // A process that shares its group with others makes theirs beside it: a group that has processes has no limited children.
  for (const place of [path, dirname(path)]) {
    const isOurs = await access(join(mount, place, "cgroup.subtree_control"), constants.W_OK).then(
      () => true,
      () => false,
    );
    if (isOurs) return ok(`${place} is delegated, with memory limits`);
  }
  return warn(`the group ${path} is not delegated to this user: ${UNLIMITED}`, DELEGATE);
}

/** A port of this machine that Flotilla or a model server would take. */
export interface PortUse {
  readonly port: number;
  /** "NATS". */
  readonly use: string;
  /** What to do when it is taken. */
  readonly remedy: string;
}

/** Tries to listen there; `isExpected`: somebody is meant to. */
export async function portVerdict(
  { port, remedy }: PortUse,
  isExpected: boolean,
  places: ProgramPlaces,
  signal: AbortSignal,
): Promise<Verdict> {
  const code = await codeOfListening(port);
  if (code === undefined) return ok("free");
  if (code !== "EADDRINUSE") return warn(`this user may not listen on it (${code})`, remedy);
  const found = `in use${await ownerOf(port, places, signal)}`;
  return isExpected ? ok(`${found}, as --servers says`) : warn(found, remedy);
}

function codeOfListening(port: number): Promise<string | undefined> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once("error", (error: NodeJS.ErrnoException) => resolve(error.code ?? error.message));
    server.listen({ port, host: "127.0.0.1", exclusive: true }, () => server.close(() => resolve(undefined)));
  });
}

/** " by nats-server (pid 17)"; nothing where that cannot be known: other users' processes are hidden. */
async function ownerOf(port: number, { path }: ProgramPlaces, signal: AbortSignal): Promise<string> {
  const ss = findProgram("ss", path);
  if (ss === undefined) return "";
  const { lines } = await askProgram(ss, ["-Hltnp", `sport = :${port}`], signal);
  const [, name, pid] = /users:\(\("([^"]+)",pid=(\d+)/.exec(lines.join("\n")) ?? [];
  return name === undefined ? "" : ` by ${name} (pid ${pid})`;
}
