// What this machine has to grant besides GPUs: cores and memory, within the limits of the cgroup that this process runs in.
//
// MA1  The tightest limit on the way from the process's own cgroup to the root counts: a pod's, a slice's, a container's.
// MA2  Memory that the machine itself and the daemon need is kept: a tenth, at most RESERVE_MAX_BYTES. Cores are not kept: those who share
//      them slow down, those who share memory are killed.

import { readFileSync } from "node:fs";
import { availableParallelism, totalmem } from "node:os";
import { dirname, join } from "node:path";
import type { Amounts } from "../../runtime/index.ts";

export const RESERVE_MAX_BYTES = 2 * 2 ** 30;
const RESERVE_SHARE = 0.1;

export interface MachineLimits {
  /** Cores that may be used at once; may be a fraction. */
  readonly cpus?: number;
  readonly memoryBytes?: number;
}

/** `cpus` and `memoryBytes` of this machine that can be granted. */
export function discoverAmounts(): Amounts {
  return grantable(availableParallelism(), totalmem(), cgroupLimits());
}

/** Pure: what can be granted of these cores and this memory within these limits (MA2). */
export function grantable(cores: number, totalBytes: number, limits: MachineLimits): Amounts {
  const bytes = Math.min(totalBytes, limits.memoryBytes ?? totalBytes);
  const kept = Math.min(bytes * RESERVE_SHARE, RESERVE_MAX_BYTES);
  return { cpus: Math.min(cores, limits.cpus ?? cores), memoryBytes: Math.floor(bytes - kept) };
}

/** Limits of this process's cgroup, version 2 or 1, in the files under `proc` and `mount` (MA1). None where there are no cgroups. */
export function cgroupLimits(proc = "/proc/self/cgroup", mount = "/sys/fs/cgroup"): MachineLimits {
  const paths = pathsIn(textOf(proc) ?? "");
  const quotas = [
    ...upFrom(mount, paths.get("")).map((folder) => quotaOf(textOf(join(folder, "cpu.max")))),
    ...upFrom(join(mount, "cpu"), paths.get("cpu")).map((folder) => {
      const [quota, period] = ["cpu.cfs_quota_us", "cpu.cfs_period_us"].map((name) => textOf(join(folder, name)));
      return quotaOf(`${quota ?? ""} ${period ?? ""}`);
    }),
  ];
  const memories = [
    ...upFrom(mount, paths.get("")).map((folder) => bytesOf(textOf(join(folder, "memory.max")))),
    ...upFrom(join(mount, "memory"), paths.get("memory")).map((folder) =>
      bytesOf(textOf(join(folder, "memory.limit_in_bytes"))),
    ),
  ];
  const [cpus, memoryBytes] = [Math.min(...quotas), Math.min(...memories)];
  return { ...(Number.isFinite(cpus) ? { cpus } : {}), ...(Number.isFinite(memoryBytes) ? { memoryBytes } : {}) };
}

/** Path by controller: "0::/user.slice" is version 2's and has none, "4:memory:/pod" is version 1's. */
function pathsIn(text: string): ReadonlyMap<string, string> {
  const paths = new Map<string, string>();
  for (const line of text.split("\n")) {
    const [, controllers, path] = /^\d+:([^:]*):(\/.*)$/.exec(line) ?? [];
    for (const controller of controllers?.split(",") ?? []) paths.set(controller, path ?? "/");
  }
  return paths;
}

/** Folders from the process's own up to the mount. Inside a container its path may be one of the host's, which is not there: then only the mount has files. */
function upFrom(mount: string, path: string | undefined): readonly string[] {
  if (path === undefined) return [];
  const folders = [path];
  for (let at = path; at !== "/"; at = dirname(at)) folders.push(dirname(at));
  return [...new Set(folders)].map((folder) => join(mount, folder));
}

/** "200000 100000": two cores; "max 100000" or "-1 100000": no limit. */
function quotaOf(text: string | undefined): number {
  const [quota, period] = (text ?? "").trim().split(/\s+/).map(Number);
  return quota !== undefined && period !== undefined && quota > 0 && period > 0
    ? quota / period
    : Number.POSITIVE_INFINITY;
}

/** Version 1 writes a number beyond every machine where there is no limit; the smaller of it and the machine's own memory is taken anyway. */
function bytesOf(text: string | undefined): number {
  const bytes = Number(text?.trim() || Number.NaN);
  return bytes >= 0 ? bytes : Number.POSITIVE_INFINITY;
}

function textOf(path: string): string | undefined {
  try {
    return readFileSync(path, "utf8");
  } catch {
    return undefined;
  }
}
