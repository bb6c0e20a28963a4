// What follows from the readings of a host's GPUs: memory that others use is not granted, a faulty device is taken out of use, and a fault
// that does not pass by itself is told to the daemon, which drains. How they are read is gpu/'s part.

import type { Clock, LogLevel } from "../../runtime/index.ts";
import { type Gpu, usedByOthers } from "../gpu/gpu.ts";
import { type KernelLog, openKernelLog } from "../gpu/kernel-log.ts";
import type { RunTool } from "../gpu/tool-run.ts";
import { GpuWatch } from "../gpu/watch.ts";
import type { Ledger } from "../resources/ledger.ts";
import { descendsFrom } from "./descent.ts";
import type { Machine } from "./machine.ts";

export interface DeviceWatchOptions {
  readonly machine: Machine;
  readonly ledger: Ledger;
  readonly clock: Clock;
  readonly run: RunTool;
  readonly log: (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) => void;
  /** Called when a device has a fault that does not pass by itself; once. */
  readonly onLasting: () => void;
}

/** Faults that may pass: the device is only out of use meanwhile. */
const PASSING: ReadonlySet<string> = new Set(["hot", "unreadable"]);

export class DeviceWatch {
  readonly #options: DeviceWatchOptions;
  readonly #faults = new Map<string, readonly string[]>();
  #kernel: KernelLog | undefined = undefined;
  #watch: GpuWatch | undefined = undefined;
  #hasLasting = false;

  constructor(options: DeviceWatchOptions) {
    this.#options = options;
  }

  /** What is wrong with devices now, in words. */
  get faults(): readonly string[] {
    return [...this.#faults.values()].flat();
  }

  /** Takes what was read at the start, and reads again and again from now on. Nothing to do where no GPU was found. */
  start(): void {
    const { machine, clock, log, run } = this.#options;
    const { discovery } = machine;
    if (discovery.kind !== "found") return;
    this.#read(machine.gpus);
    for (const gpu of machine.gpus) if (gpu.faults.length > 0) this.#faulty(gpu);
    const kernel = openKernelLog();
    if ("why" in kernel) log("info", `GPU errors in the kernel's log cannot be read: ${kernel.why}`, {});
    else this.#kernel = kernel;
    this.#watch = new GpuWatch({
      found: discovery,
      run,
      clock,
      ...(this.#kernel !== undefined && { kernelLines: this.#kernel.lines }),
      onReading: (gpus) => this.#read(gpus),
      onFaults: (gpu) => this.#faulty(gpu),
      onUnread: (why) => log("warn", `the GPUs cannot be read: ${why}`, {}),
    });
    this.#watch.start();
  }

  /** What our own processes use was granted to them. */
  #read(gpus: readonly Gpu[]): void {
    const isOurs = (pid: number) => descendsFrom(pid, process.pid);
    for (const gpu of gpus) this.#options.ledger.setUsed(gpu.id, usedByOthers(gpu, isOurs));
  }

  #faulty({ id, faults }: Gpu): void {
    const { ledger, log, onLasting } = this.#options;
    const told = faults.map(({ message }) => message);
    if (told.length > 0) this.#faults.set(id, told);
    else this.#faults.delete(id);
    ledger.setShut(id, told.length > 0 ? told.join("; ") : undefined);
    if (told.length === 0) return log("info", `${id} has no fault any more`, {});
    log("error", `a GPU is faulty: ${told.join("; ")}`, { gpu: id });
    if (this.#hasLasting || faults.every(({ kind }) => PASSING.has(kind))) return;
    this.#hasLasting = true;
    onLasting();
  }

  close(): void {
    this.#watch?.stop();
    this.#kernel?.close();
  }
}
