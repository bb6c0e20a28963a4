// The vessel that is a child process of the node: its own heap, environment and crash, and where the machine allows it a bound on all of its memory.
//
// PV1  Its heap is bounded from its start: V8 takes no other bound later (measured on Node 24: a flag set in a running process does nothing).
// PV2  With a cgroup it is in there before it hears its first word, so what its actor takes is counted; one that cannot be put in is ended.

import { type ChildProcess, fork } from "node:child_process";
import { getHeapStatistics } from "node:v8";
import { finishesWithin } from "../clock.ts";
import type { Cgroup } from "./cgroup.ts";
import { limitInWords, mebibytes, PROGRAM, START, type Vessel, type VesselEnd, type VesselOptions } from "./vessel.ts";
import type { NodeWord } from "./words.ts";

/** What V8 prints before it aborts. */
const HEAP_IS_FULL = "JavaScript heap out of memory";
/** Between an abort and the end of what was printed; a program that its actor has started may hold the other end for ever. */
const LAST_WORDS_MS = 500;

export class ProcessVessel implements Vessel {
  readonly ended: Promise<VesselEnd>;
  readonly #options: VesselOptions;
  readonly #cgroup: Cgroup | undefined;
  readonly #process: ChildProcess;
  readonly #entered: Promise<void>;
  #notEntered: string | undefined = undefined;
  #isHeapFull = false;

  constructor(options: VesselOptions, cgroup: Cgroup | undefined) {
    this.#options = options;
    this.#cgroup = cgroup;
    const { folder, memoryBytes, hear } = options;
    const bounds = memoryBytes === undefined ? [] : [`--max-old-space-size=${mebibytes(memoryBytes)}`];
    // A session of its own: Ctrl-C in the node's terminal must reach the node first.
    const child = fork(START, [folder, PROGRAM], {
      stdio: ["ignore", "pipe", "pipe", "ipc"],
      detached: true,
      execArgv: [...process.execArgv, ...bounds],
    });
    this.#process = child;
    child.on("message", hear);
    this.#listenForFullHeap();
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => void this.#end(`cannot be started: ${error.message}`, null).then(resolve));
      child.once(
        "exit",
        (code, signal) => void this.#end(`ended ${signal ?? `with status ${code}`}`, signal).then(resolve),
      );
    });
    this.#entered = this.#enter();
  }

  get pid(): number | undefined {
    return this.#process.pid;
  }

  get stdout() {
    return this.#process.stdout;
  }

  get stderr() {
    return this.#process.stderr;
  }

  send(word: NodeWord): void {
    void this.#entered.then(() => {
      if (this.#process.connected) this.#process.send(word, () => {});
    });
  }

  kill(): void {
    this.#process.kill("SIGKILL");
  }

  /** PV2. */
  async #enter(): Promise<void> {
    const { pid } = this.#process;
    if (pid === undefined) return;
    await this.#cgroup?.add(pid).catch((error: unknown) => {
      this.#notEntered = `could not be put under its memory limit (${String(error)})`;
      this.kill();
    });
  }

  #listenForFullHeap(): void {
    let tail = "";
    this.stderr?.on("data", (chunk: Uint8Array) => {
      const text = tail + Buffer.from(chunk).toString("latin1");
      this.#isHeapFull ||= text.includes(HEAP_IS_FULL);
      tail = text.slice(-HEAP_IS_FULL.length);
    });
  }

  async #end(how: string, signal: NodeJS.Signals | null): Promise<VesselEnd> {
    if (signal === "SIGABRT") await this.#hasSaidAll();
    const { memoryBytes = getHeapStatistics().heap_size_limit } = this.#options;
    const limit = limitInWords(memoryBytes);
    const isGroupFull = (await this.#cgroup?.close()) === true;
    if (this.#notEntered !== undefined) return { how: this.#notEntered };
    if (isGroupFull) return { how, fullMemory: `its memory, with that of what it had started, reached ${limit}` };
    return signal === "SIGABRT" && this.#isHeapFull ? { how, fullMemory: `its heap reached ${limit}` } : { how };
  }

  async #hasSaidAll(): Promise<void> {
    const { stderr } = this;
    if (stderr === null || stderr.closed) return;
    await finishesWithin(this.#options.clock, LAST_WORDS_MS, (done) => void stderr.once("close", done));
  }
}
