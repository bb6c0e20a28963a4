// Checks of programs that a node uses: whether they are here, which version, and whether they work.

import { access } from "node:fs/promises";
import { join } from "node:path";
import { isAtLeast, isExecutable, lookForNatsServer, NATS_SERVER_MIN } from "../nats-program.ts";
import type { ProgramPlaces } from "../options.ts";
import { bad, ok, skipped, type Verdict, warn } from "./check.ts";

/** What a program answered. */
interface Answer {
  readonly isGood: boolean;
  /** Its first line, of stdout or else of stderr. */
  readonly line: string;
  readonly lines: readonly string[];
}

/** The first program of that name on the PATH. */
export const findProgram = (name: string, path: readonly string[]): string | undefined =>
  path.map((folder) => join(folder, name)).find(isExecutable);

/** Runs a program until it ends or the signal aborts; it is then ended, too. */
export async function askProgram(program: string, args: readonly string[], signal: AbortSignal): Promise<Answer> {
  const { execa } = await import("execa");
  const { failed, stdout, stderr, shortMessage } = await execa(program, args, {
    reject: false,
    stdin: "ignore",
    cancelSignal: signal,
    forceKillAfterDelay: 500,
    maxBuffer: 1_000_000,
  });
  const said = [stdout, stderr].map((text) => String(text ?? "").trim()).filter((text) => text !== "");
  const lines = said.flatMap((text) => text.split("\n"));
  return { isGood: !failed, lines, line: lines[0] ?? shortMessage ?? "it said nothing" };
}

/** `min`: as "engines" of package.json says it, ">=22.19". */
export function nodeVerdict(version: string, engines: string): Verdict {
  const min = engines.replace(/^>=\s*/, "");
  return isAtLeast(version, min)
    ? ok(`${version}; ${min} or newer is needed`)
    : bad(`${version} is too old`, `Install Node ${min} or newer.`);
}

export async function natsProgramVerdict(places: ProgramPlaces, signal: AbortSignal): Promise<Verdict> {
  const { found, tried } = await lookForNatsServer(places);
  if (found !== undefined) {
    const { line } = await askProgram(found, ["--version"], signal);
    return ok(`${/\d+\.\d+\.\d+/.exec(line)?.[0] ?? line} at ${found}`);
  }
  const others = tried.length > 0 ? `; ${tried.join("; ")}` : "";
  return warn(
    `none of version ${NATS_SERVER_MIN} or newer is here${others}`,
    "Nothing to do where a fleet has its server already. Else flotilla up gets one by itself, with Go or from the release page; or install it.",
  );
}

export async function gitVerdict({ path }: ProgramPlaces, signal: AbortSignal): Promise<Verdict> {
  const program = findProgram("git", path);
  const remedy = "Install git: agents work in clones of repositories.";
  if (program === undefined) return warn("not on the PATH", remedy);
  const { isGood, line } = await askProgram(program, ["--version"], signal);
  return isGood ? ok(`${line.replace(/^git version /, "")} at ${program}`) : warn(`${program} fails: ${line}`, remedy);
}

/** As the workspaces of agents use it: namespaces of its own, a private /proc and no network. */
const SANDBOX = "--ro-bind / / --dev /dev --proc /proc --tmpfs /tmp --unshare-all --die-with-parent true".split(" ");
const UNCONFINED = "commands of agents run with all rights of the node";

export async function sandboxVerdict({ path }: ProgramPlaces, signal: AbortSignal): Promise<Verdict> {
  if (process.platform !== "linux") return skipped(`there is no bubblewrap for ${process.platform}: ${UNCONFINED}`);
  const program = findProgram("bwrap", path);
  if (program === undefined) {
    return warn(
      `bubblewrap is not installed: ${UNCONFINED}`,
      "Install it: apt install bubblewrap, or dnf install bubblewrap.",
    );
  }
  const { isGood, line } = await askProgram(program, SANDBOX, signal);
  if (isGood) return ok(`bubblewrap works, at ${program}`);
  return warn(
    `bubblewrap is here and does not work (${line}): ${UNCONFINED}`,
    "Allow user namespaces: sysctl kernel.unprivileged_userns_clone=1, an AppArmor profile for bwrap, or in a container seccomp=unconfined.",
  );
}

export const VLLM_LIMIT_MS = 20_000;

export async function vllmVerdict({ path }: ProgramPlaces, signal: AbortSignal): Promise<Verdict> {
  const program = findProgram("vllm", path);
  if (program === undefined) {
    return skipped(
      "not on the PATH: model servers are adopted, not started",
      "To have them started: pip install vllm into a virtual environment, and put its bin on the PATH.",
    );
  }
  const { isGood, lines, line } = await askProgram(program, ["--version"], signal);
  const version = lines.map((text) => /^(?:vllm\s+)?v?(\d+\.\d+\S*)$/.exec(text.trim())?.[1]).find(Boolean);
  if (isGood && version !== undefined) return ok(`${version} at ${program}`);
  const last = lines.at(-1) ?? line;
  return bad(`${program} does not say its version: ${last}`, "Mend its Python environment, or install vLLM anew.");
}

export const isThere = (file: string): Promise<boolean> =>
  access(file).then(
    () => true,
    () => false,
  );
