// Reads the GPUs again and again, and tells what changed. What follows from a fault (nothing new on the device, draining) is for its owner.
//
// GW1  One reading at a time; the next is due `everyMs` after the last one ended.
// GW2  Every FULL_EVERYth reading asks for everything, the others only for what changes (TL2).
// GW3  Only the devices that were found at the start are watched: a new one needs a new start, and so do changed masks.
// GW4  A tool that fails or hangs says nothing about one device. After UNREAD_MAX such readings in a row each has the fault "unreadable",
//      until the tool answers: with a driver that is stuck, nothing started there would work.

import type { Clock, Timer } from "../../runtime/index.ts";
import type { FoundGpus } from "./discovery.ts";
import { toolOf } from "./discovery.ts";
import { type GpuHistory, gpuFaults, NO_HISTORY, withReading, withXids } from "./faults.ts";
import type { Gpu, GpuFault } from "./gpu.ts";
import type { GpuTool } from "./tool.ts";
import type { RunTool } from "./tool-run.ts";
import { parseXid, type Xid } from "./xid.ts";

export interface GpuWatchOptions {
  readonly found: FoundGpus;
  readonly run: RunTool;
  readonly clock: Clock;
  /** Default: what the tool may be asked, 5 s for nvidia-smi and 60 s for AMD's tools. */
  readonly everyMs?: number;
  /** New lines of the kernel's log; default: none. */
  readonly kernelLines?: () => readonly string[];
  /** Called after every reading that gave something. */
  readonly onReading?: (gpus: readonly Gpu[]) => void;
  /** Called when the faults of a device are other ones than before, with its present ones on it. */
  readonly onFaults?: (gpu: Gpu) => void;
  /** Called with why the tool could not be read, when it could before. */
  readonly onUnread?: (why: string) => void;
}

export const FULL_EVERY = 12;
export const UNREAD_MAX = 3;

export class GpuWatch {
  readonly #options: GpuWatchOptions;
  readonly #tool: GpuTool | undefined;
  readonly #histories = new Map<string, GpuHistory>();
  #gpus: readonly Gpu[];
  #readings = 0;
  #unread = 0;
  #timer: Timer | undefined;
  #isStopped = false;

  constructor(options: GpuWatchOptions) {
    this.#options = options;
    this.#tool = toolOf(options.found);
    this.#gpus = options.found.gpus;
    for (const gpu of this.#gpus) this.#histories.set(gpu.id, withReading(NO_HISTORY, gpu));
  }

  /** The devices as they were last read, with their faults. */
  get gpus(): readonly Gpu[] {
    return this.#gpus;
  }

  /** Declared devices cannot be read: nothing happens then. */
  start(): void {
    if (this.#tool === undefined || this.#timer !== undefined || this.#isStopped) return;
    const everyMs = this.#options.everyMs ?? this.#tool.everyMs;
    this.#timer = this.#options.clock.schedule(everyMs, () => void this.#readAndGoOn(this.#tool as GpuTool));
  }

  /** A reading that is under way is not told any more. May be called twice. */
  stop(): void {
    this.#isStopped = true;
    this.#timer?.cancel();
  }

  async #readAndGoOn(tool: GpuTool): Promise<void> {
    await this.#read(tool);
    this.#timer = undefined;
    this.start();
  }

  async #read(tool: GpuTool): Promise<void> {
    const { run, kernelLines, onReading, onUnread } = this.#options;
    const isFull = ++this.#readings % FULL_EVERY === 0;
    const answer = await (isFull ? tool.discover(run) : tool.refresh(run, this.#gpus));
    if (this.#isStopped) return;
    const xids = (kernelLines?.() ?? []).flatMap((line) => parseXid(line) ?? []);
    if (answer.kind === "found") {
      this.#unread = 0;
      this.#take(new Map(answer.gpus.map((gpu) => [gpu.id, gpu])), xids);
      onReading?.(this.#gpus);
      return;
    }
    if (++this.#unread === 1) onUnread?.(answer.why);
    this.#take(undefined, xids, answer.why);
  }

  /** `now`: what was read, undefined when nothing was. */
  #take(now: ReadonlyMap<string, Gpu> | undefined, xids: readonly Xid[], why = ""): void {
    const before = this.#gpus;
    this.#gpus = before.map((old) => {
      const own = xids.filter(({ pci }) => pci === old.pci);
      const reported = withXids(this.#histories.get(old.id) ?? NO_HISTORY, own);
      const history = now === undefined ? reported : withReading(reported, now.get(old.id));
      this.#histories.set(old.id, history);
      const read = now?.get(old.id) ?? old;
      // A reading without details must not forget where the device slows down.
      const gpu = { ...read, health: { ...old.health, ...read.health } };
      return { ...gpu, faults: [...gpuFaults(gpu, history), ...this.#unreadable(gpu, why)] };
    });
    this.#gpus.forEach((gpu, at) => {
      if (inWords(gpu.faults) !== inWords(before[at]?.faults ?? [])) this.#options.onFaults?.(gpu);
    });
  }

  #unreadable({ id }: Gpu, why: string): readonly GpuFault[] {
    return this.#unread < UNREAD_MAX ? [] : [{ kind: "unreadable", message: `${id}: ${why}` }];
  }
}

const inWords = (faults: readonly GpuFault[]): string => faults.map(({ message }) => message).join("\n");
