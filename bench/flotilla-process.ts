// The program `flotilla` beside this process, as an operator starts it: a daemon, or a model server that is simulated. And what it costs, as the
// system counts it: Linux only.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { readdirSync, readFileSync } from "node:fs";
import { createInterface } from "node:readline";
import { fileURLToPath } from "node:url";
import { systemClock, systemRandom } from "../runtime/index.ts";
import { environmentWith } from "./options.ts";
import { NotMeasured } from "./scenario.ts";

const PROGRAM = fileURLToPath(new URL("../api/start.mjs", import.meta.url));
const SAID_MAX_CHARS = 4_000;
const BYTES_IN_KIB = 1_024;
/** Linux counts processor time in hundredths of a second, on every machine. */
const TICK_MS = 10;

export class FlotillaProcess implements AsyncDisposable {
  readonly pid: number;
  /** Milliseconds from its start until it was ready. */
  readonly readyMs: number;
  /** The line that said so. */
  readonly line: string;
  readonly #child: ChildProcess;
  readonly #exit: Promise<unknown>;

  private constructor(child: ChildProcess, exit: Promise<unknown>, readyMs: number, line: string) {
    this.#child = child;
    this.#exit = exit;
    this.pid = child.pid ?? 0;
    this.readyMs = readyMs;
    this.line = line;
  }

  /** Starts `flotilla …ARGS` and waits until it prints a line that `isReady` likes. Throws with what it said when it ends before. */
  static async start(
    args: readonly string[],
    isReady: (line: string) => boolean,
    env: Readonly<Record<string, string>> = {},
  ): Promise<FlotillaProcess> {
    const startedMs = systemClock.monotonic();
    const child = spawn(process.execPath, [PROGRAM, ...args], {
      env: environmentWith(env),
      stdio: ["ignore", "pipe", "pipe"],
    });
    let said = "";
    child.stderr.on("data", (text: Buffer) => (said = (said + text).slice(-SAID_MAX_CHARS)));
    const exit = once(child, "exit");
    const ready = Promise.withResolvers<string>();
    createInterface({ input: child.stdout }).on("line", (line) => isReady(line) && ready.resolve(line));
    const line = await Promise.race([ready.promise, exit.then(() => undefined)]);
    if (line === undefined) throw new Error(`flotilla ${args[0]} ended before it was ready: ${said}`);
    return new FlotillaProcess(child, exit, systemClock.monotonic() - startedMs, line);
  }

  /** Processor time that it has used, without its children's. Throws NotMeasured. */
  cpuMs(): number {
    const [, , , , , , , , , , , user, system] = procFile(this.pid, "stat")
      .replace(/^.*\) /s, "")
      .split(" ");
    return (Number(user) + Number(system)) * TICK_MS;
  }

  /** Resident memory in bytes. Throws NotMeasured. */
  rssBytes(): number {
    return Number(/VmRSS:\s+(\d+)/.exec(procFile(this.pid, "status"))?.[1]) * BYTES_IN_KIB;
  }

  /** Ids of the processes that it has started itself and whose command line has this word in it. */
  children(word: string): readonly number[] {
    return readdirSync("/proc")
      .filter((name) => /^\d+$/.test(name))
      .map(Number)
      .filter((pid) => {
        try {
          return (
            new RegExp(`PPid:\\s+${this.pid}\\n`).test(procFile(pid, "status")) &&
            procFile(pid, "cmdline").includes(word)
          );
        } catch {
          // It has ended meanwhile.
          return false;
        }
      });
  }

  kill(): void {
    this.#child.kill("SIGKILL");
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#child.kill("SIGTERM");
    await this.#exit;
  }
}

function procFile(pid: number, name: string): string {
  try {
    return readFileSync(`/proc/${pid}/${name}`, "utf8");
  } catch (error) {
    throw new NotMeasured(`/proc/${pid}/${name} cannot be read: ${(error as Error).message}`);
  }
}

export interface BenchDaemon {
  readonly process: FlotillaProcess;
  /** Its node's id. */
  readonly node: string;
}

/** A daemon of the fleet at `servers`, without GPUs and HTTP. */
export async function startDaemon(
  servers: string,
  flags: readonly string[] = [],
  env: Readonly<Record<string, string>> = {},
): Promise<BenchDaemon> {
  const [address = "", login = ""] = [servers.replace(/\/\/[^@]*@/, "//"), /\/\/([^@]*)@/.exec(servers)?.[1]];
  const [user = "", pass = ""] = login.split(":");
  const args = [
    "node",
    "--servers",
    address,
    "--name",
    `bench-${systemRandom.id()}`,
    "--gpus",
    "none",
    "--http",
    "off",
  ];
  const process = await FlotillaProcess.start([...args, "--json", ...flags], (line) => line.startsWith("{"), {
    FLOTILLA_USER: user,
    FLOTILLA_PASS: pass,
    ...env,
  });
  return { process, node: String((JSON.parse(process.line) as { node?: unknown }).node) };
}

export interface BenchSim {
  readonly process: FlotillaProcess;
  /** "http://127.0.0.1:41234". */
  readonly url: string;
}

export const SIM_MODEL = "bench";

/** A simulated model server that serves SIM_MODEL. */
export async function startSim(flags: readonly string[] = []): Promise<BenchSim> {
  const args = ["vllm-sim", "--model", SIM_MODEL, "--port", "0", ...flags];
  const process = await FlotillaProcess.start(args, (line) => line.includes("http://"));
  return { process, url: /http:\/\/[\d.:]+/.exec(process.line)?.[0] ?? "" };
}
