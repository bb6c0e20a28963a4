// A container played by real processes of this host, for those who play an engine or a kubelet: it runs the command, keeps what it prints with
// the time of each message, and leaves nobody when its first process has ended. It isolates nothing.
//
// Its folders are those of this host: a path like /workspace/x in an argument or a variable is replaced by where that folder really is.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { endTree } from "../../tools/workspace/process-tree.ts";

export interface PlayedMessage {
  readonly stream: "stdout" | "stderr";
  readonly atMs: number;
  /** With its newline; a part of a long line has none. */
  readonly bytes: Buffer;
}

export interface PlayedCommand {
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  /** Path inside → folder of this host. */
  readonly folders: Readonly<Record<string, string>>;
  /** As the container sees it. */
  readonly cwd: string;
}

const MARKER = "FLOTILLA_PLAYED";
/** Engines and kubelets keep longer lines in parts of this size. */
const PART_BYTES = 16 * 1_024;
const NEWLINE = 10;

export class PlayedContainer {
  readonly messages: PlayedMessage[] = [];
  readonly startedAtMs = systemClock.now();
  /** Exit code, or 128 and the signal's number; nobody is left by then, and all was kept that was printed. */
  readonly exited: Promise<number>;
  readonly pid: number;
  readonly #child: ChildProcess;
  readonly #marker: string;
  #isOver = false;
  #more = Promise.withResolvers<void>();

  private constructor(child: ChildProcess, marker: string) {
    this.#child = child;
    this.pid = child.pid ?? 0;
    this.#marker = marker;
    for (const stream of ["stdout", "stderr"] as const) this.#keep(stream);
    this.exited = this.#end();
  }

  /** Rejects with what a runtime says when the program is not there. */
  static async start({ command, env, folders, cwd }: PlayedCommand): Promise<PlayedContainer> {
    const real = (text: string) => realPath(text, folders);
    const marker = `${MARKER}=${systemRandom.id()}`;
    const [program = "", ...args] = command.map(real);
    const variables = Object.entries(env).map(([name, value]) => [name, real(value)]);
    const child = spawn(program, args, {
      cwd: real(cwd),
      env: { PATH: process.env.PATH, ...Object.fromEntries(variables), [MARKER]: marker.slice(MARKER.length + 1) },
      // A group of its own, as endTree wants its leader.
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
    });
    try {
      await once(child, "spawn");
    } catch {
      throw new Error(`exec: "${program}": executable file not found in $PATH`);
    }
    return new PlayedContainer(child, marker);
  }

  /** SIGTERM to its first process, SIGKILL to all of it after the grace. */
  async stop(graceMs: number): Promise<void> {
    if (this.#isOver) return;
    this.#child.kill("SIGTERM");
    const timer = systemClock.schedule(graceMs, () => this.#child.kill("SIGKILL"));
    await this.exited;
    timer.cancel();
  }

  kill(): Promise<void> {
    return this.stop(0);
  }

  /** What was printed from this moment on, and what is until it ends. */
  async *follow(sinceMs: number, isFollowed = true): AsyncGenerator<PlayedMessage, void> {
    for (let next = 0; ; ) {
      const { promise } = this.#more;
      const isOver = this.#isOver;
      for (; next < this.messages.length; next += 1) {
        const message = this.messages[next];
        if (message !== undefined && message.atMs >= sinceMs) yield message;
      }
      if (isOver || !isFollowed) return;
      await promise;
    }
  }

  #keep(stream: "stdout" | "stderr"): void {
    let held = Buffer.alloc(0);
    const add = (bytes: Buffer) => this.messages.push({ stream, atMs: systemClock.now(), bytes });
    this.#child[stream]?.on("data", (chunk: Buffer) => {
      held = Buffer.concat([held, chunk]);
      for (;;) {
        const end = held.indexOf(NEWLINE) + 1;
        const size = end > 0 && end <= PART_BYTES ? end : held.length >= PART_BYTES ? PART_BYTES : 0;
        if (size === 0) break;
        add(Buffer.from(held.subarray(0, size)));
        held = held.subarray(size);
      }
      this.#tell();
    });
    this.#child[stream]?.on("end", () => held.length > 0 && add(held));
  }

  #tell(): void {
    this.#more.resolve();
    this.#more = Promise.withResolvers();
  }

  async #end(): Promise<number> {
    const closed = once(this.#child, "close");
    const [code, signal] = (await once(this.#child, "exit")) as [number | null, NodeJS.Signals | null];
    // As the end of a PID namespace does.
    await endTree({ leader: this.pid, marker: this.#marker }, systemClock, false);
    await closed;
    this.#isOver = true;
    this.#tell();
    return code ?? 128 + (SIGNALS[signal ?? "SIGKILL"] ?? 0);
  }
}

const SIGNALS: Readonly<Record<string, number>> = { SIGTERM: 15, SIGKILL: 9 };

function realPath(text: string, folders: Readonly<Record<string, string>>): string {
  const found = Object.entries(folders).find(([inside]) => text === inside || text.startsWith(`${inside}/`));
  return found === undefined ? text : found[1] + text.slice(found[0].length);
}

/** A time as engines and kubelets write it, to the nanosecond. */
export const stampOf = (atMs: number): string => `${new Date(atMs).toISOString().slice(0, -1)}000000Z`;
