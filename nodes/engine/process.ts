// A model server as a process with all it starts, from its start to the last of them. What it is started for is life.ts's part.
//
//     this process ──pipe──▶ watcher ─┐
//                                     ├─ one session and one process group, whose id is the server's pid
//     server ──▶ engine core, workers ┘
//
// EP1  The server, and whatever it starts, is gone when `ended` resolves: the group is killed when the server ends, however it ends.
// EP2  It does not outlive its owner: the watcher, in the same group, reads the owner's pipe, asks the group to end when that closes, and kills
//      it after ORPHAN_MAX_S. It is no child of the server, so that nothing there waits for it or ends it.
// EP3  What it prints is kept in a bounded tail, without colours and control characters, and without its notes of our own probes: two of
//      them a second would push out everything else.
// EP4  What starts a session of its own leaves the group, and is not ended with it. vLLM and its workers do not.

import { type ChildProcess, spawn } from "node:child_process";
import { readdir, readFile } from "node:fs/promises";
import { stripVTControlCharacters } from "node:util";
import { type Clock, OutputLines, sleep } from "../../runtime/index.ts";
import type { Exit } from "./failure.ts";

const ORPHAN_MAX_S = 5;
const ORPHAN_POLLS = ORPHAN_MAX_S * 10;
/** Between SIGKILL and its being so. */
const GONE_MAX_MS = 2_000;
const GONE_POLL_MS = 10;
/** What it printed before it ended may still be on its way. */
const LAST_WORDS_MS = 500;
/** A failing start prints one traceback for each worker, the cause in the first. */
const LOG_LINES = 400;
const LOG_LINE_CHARS = 1_000;

/** A line of an access log. */
const PROBED = /"GET \/(?:health|metrics|version|is_sleeping|v1\/models) HTTP/;

/**
 * Becomes the program given as arguments. In a subshell, $$ is still the pid that the program then has. A dead one that nobody has asked
 * for yet still takes signals; /proc shows it.
 */
const GUARD = `exec 3<&0 </dev/null
(
  trap '' TERM INT HUP
  {
    cat <&3
    kill -TERM 0
    polls=0
    while [ "$polls" -lt ${ORPHAN_POLLS} ] && kill -0 "$$"; do
      case $(cat "/proc/$$/stat") in *") Z "*) break ;; esac
      polls=$((polls + 1))
      sleep 0.1
    done
    kill -KILL 0
  } >/dev/null 2>&1 &
)
exec 3<&-
exec "$@"`;

export class EngineProcess {
  /** Of the server, and of its group. 0: it could not be started. */
  readonly pid: number;
  /** Resolves when the server has ended; others of its group may still be going. */
  readonly exited: Promise<Exit>;
  /** Resolves when the whole group is gone (EP1). */
  readonly ended: Promise<Exit>;
  readonly #clock: Clock;
  readonly #log: string[] = [];
  /** Resolves when all it printed is in the log. */
  readonly #said: Promise<unknown>;
  #isOver = false;

  constructor(command: readonly string[], environment: Readonly<NodeJS.ProcessEnv>, clock: Clock) {
    this.#clock = clock;
    const child = spawn("sh", ["-c", GUARD, "sh", ...command], {
      stdio: ["pipe", "pipe", "pipe"],
      detached: true,
      env: { ...environment },
    });
    this.pid = child.pid ?? 0;
    child.stdin?.on("error", () => {});
    this.#said = Promise.all([this.#keep(child.stdout), this.#keep(child.stderr)]);
    this.exited = new Promise((resolve) => {
      child.once("error", (error) => {
        this.#log.push(error.message);
        resolve({ code: null, signal: null });
      });
      child.once("exit", (code, signal) => resolve({ code, signal }));
    });
    this.ended = this.#end(child);
  }

  /** Whether the server has ended. */
  get isOver(): boolean {
    return this.#isOver;
  }

  /** Its last lines, the newest last. */
  get log(): readonly string[] {
    return this.#log;
  }

  /** Asks the group to end, kills it after `withinMs`, and resolves when it is gone. */
  async end(withinMs: number): Promise<void> {
    this.#signal("SIGTERM");
    const late = this.#clock.schedule(withinMs, () => this.#signal("SIGKILL"), true);
    await this.ended;
    late.cancel();
  }

  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.ended;
  }

  async #end(child: ChildProcess): Promise<Exit> {
    const exit = await this.exited;
    this.#isOver = true;
    this.#signal("SIGKILL");
    await this.#gone();
    const close = () => {
      child.stdout?.destroy();
      child.stderr?.destroy();
    };
    const late = this.#clock.schedule(LAST_WORDS_MS, close, true);
    await this.#said;
    late.cancel();
    child.stdin?.destroy();
    return exit;
  }

  /** Whether anybody was there to get it. */
  #signal(signal: NodeJS.Signals | 0): boolean {
    if (this.pid === 0) return false;
    try {
      return process.kill(-this.pid, signal);
    } catch {
      return false;
    }
  }

  /** The bound is for those that the system cannot end: one that waits for a device that has fallen off the bus. */
  async #gone(): Promise<void> {
    const endMs = this.#clock.monotonic() + GONE_MAX_MS;
    while (this.#signal(0) && (await hasLiveMember(this.pid)) && this.#clock.monotonic() < endMs) {
      await sleep(this.#clock, GONE_POLL_MS);
    }
  }

  async #keep(output: ChildProcess["stdout"]): Promise<void> {
    // A spawn that failed may have made none.
    if (!output) return;
    const lines = new OutputLines((line) => {
      // A progress bar is written over itself: only what it showed last is left of it.
      const text = stripVTControlCharacters(line.split("\r").at(-1) ?? "").slice(0, LOG_LINE_CHARS);
      if (text.trim() === "" || PROBED.test(text)) return;
      this.#log.push(text);
      if (this.#log.length > LOG_LINES) this.#log.shift();
    });
    output.on("data", (chunk: Uint8Array) => lines.write(chunk));
    output.on("error", () => {});
    await new Promise((resolve) => output.once("close", resolve));
    lines.end();
  }
}

/** A signal also reaches the dead whose parent has not asked for them (a container without an init): only /proc tells them apart. */
async function hasLiveMember(group: number): Promise<boolean> {
  const names = await readdir("/proc").catch(() => undefined);
  if (names === undefined) return true;
  for (const pid of names.filter((name) => /^\d+$/.test(name))) {
    const stat = await readFile(`/proc/${pid}/stat`, "latin1").catch(() => "");
    const [state, , of] = stat.slice(stat.lastIndexOf(") ") + 2).split(" ");
    if (Number(of) === group && state !== "Z") return true;
  }
  return false;
}
