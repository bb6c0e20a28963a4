// The vessel that is a worker thread of the node's process: a heap and an event loop of its own, and nothing else of its own.
//
// TV1  It is ended when its heap and buffers are over their limit, which is looked at from outside every LOOK_MS. V8's own bound lies far above:
//      where that is reached within one growing array or map, V8 ends the whole process instead of the thread (measured on Node 24).
// TV2  What it prints is counted and bounded on its own side (actor-program.ts): what a thread writes is kept until its loop turns, and
//      would then arrive here as one message of any size.

import { getHeapStatistics } from "node:v8";
import { Worker } from "node:worker_threads";
import { limitInWords, mebibytes, PROGRAM, START, type Vessel, type VesselEnd, type VesselOptions } from "./vessel.ts";
import type { NodeWord } from "./words.ts";

/** At some hundred megabytes a second, as fast as V8 fills a heap, ROOM_BYTES last longer. */
const LOOK_MS = 250;
/** Above twice the limit, since an array that grows takes half as much again in one piece. */
const ROOM_BYTES = 512 * 2 ** 20;
const IS_FULL = "ERR_WORKER_OUT_OF_MEMORY";

export class ThreadVessel implements Vessel {
  readonly pid = undefined;
  readonly ended: Promise<VesselEnd>;
  readonly #options: VesselOptions;
  readonly #limitBytes: number;
  readonly #worker: Worker;
  #isFull = false;
  #isOver = false;
  #error: Error | undefined = undefined;

  constructor(options: VesselOptions) {
    this.#options = options;
    const { name, folder, memoryBytes, hear } = options;
    this.#limitBytes = memoryBytes ?? getHeapStatistics().heap_size_limit;
    // Its environment is a copy of the node's, as a process has one.
    const worker = new Worker(START, {
      name,
      argv: [folder, PROGRAM],
      stdout: true,
      stderr: true,
      resourceLimits: { maxOldGenerationSizeMb: mebibytes(2 * this.#limitBytes + ROOM_BYTES) },
    });
    this.#worker = worker;
    worker.on("message", hear);
    worker.on("error", (error: Error) => {
      this.#error = error;
    });
    this.ended = new Promise((resolve) => worker.once("exit", (status) => resolve(this.#end(status))));
    this.#lookLater();
  }

  get stdout() {
    return this.#worker.stdout;
  }

  get stderr() {
    return this.#worker.stderr;
  }

  send(word: NodeWord): void {
    this.#worker.postMessage(word);
  }

  kill(): void {
    void this.#worker.terminate();
  }

  #lookLater(): void {
    this.#options.clock.schedule(LOOK_MS, () => void this.#look());
  }

  /** TV1. */
  async #look(): Promise<void> {
    if (this.#isOver) return;
    // Refused while it starts, when it has taken nothing yet.
    const heap = await this.#worker.getHeapStatistics().catch(() => undefined);
    if (heap !== undefined && heap.used_heap_size + heap.external_memory > this.#limitBytes) {
      this.#isFull = true;
      return this.kill();
    }
    this.#lookLater();
  }

  #end(status: number): VesselEnd {
    this.#isOver = true;
    const error = this.#error as (Error & { readonly code?: string }) | undefined;
    if (this.#isFull || error?.code === IS_FULL) {
      return { how: "was ended", fullMemory: `its heap and buffers reached ${limitInWords(this.#limitBytes)}` };
    }
    return {
      how: error === undefined ? `ended with status ${status}` : `ended by ${String(error)}, which nobody caught`,
    };
  }
}
