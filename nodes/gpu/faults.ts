// Decides from a device's readings whether anything new may be put there. Pure: readings in, faults out.
//
// GF1  What one reading shows for certain is a fault at once: a failed row remap, a recovery that the driver asks for.
// GF2  Errors count from this process's first reading on: what happened before is for the operator who put the device back.
// GF3  A temperature counts when HOT_READINGS readings in a row were at or over the slowdown threshold, and until as many were below it.
// GF4  A report of the kernel, an uncorrected error and a device that vanished stay faults until the process starts anew: a device that came
//      back by itself is not trusted.

import type { Gpu, GpuFault } from "./gpu.ts";
import { graveXid, type Xid } from "./xid.ts";

export const HOT_READINGS = 3;

/** What was seen of a device before its last reading. */
export interface GpuHistory {
  /** Errors at the first reading that told some. */
  readonly errorsAtFirst?: number;
  /** Readings that speak for it being hot: up by one when at the threshold, down by one when below, 0 to HOT_READINGS. */
  readonly hot: number;
  readonly isHot: boolean;
  readonly isGone: boolean;
  readonly xids: readonly Xid[];
  readonly hasNewErrors: boolean;
}

export const NO_HISTORY: GpuHistory = { hot: 0, isHot: false, isGone: false, xids: [], hasNewErrors: false };

/** The history with one more reading: `gpu` is undefined when the device did not answer while the tool did. */
export function withReading(history: GpuHistory, gpu: Gpu | undefined): GpuHistory {
  if (gpu === undefined) return { ...history, isGone: true };
  const errors = gpu.health.uncorrectedErrors;
  const errorsAtFirst = history.errorsAtFirst ?? errors;
  const hot = Math.min(HOT_READINGS, Math.max(0, history.hot + (isAtThreshold(gpu) ? 1 : -1)));
  return {
    ...history,
    ...(errorsAtFirst === undefined ? {} : { errorsAtFirst }),
    hot,
    isHot: hot === HOT_READINGS || (history.isHot && hot > 0),
    hasNewErrors: history.hasNewErrors || (errors !== undefined && errors > (errorsAtFirst ?? errors)),
  };
}

/** The history with reports of the kernel. One of each code is enough: a broken device may report thousands. */
export function withXids(history: GpuHistory, xids: readonly Xid[]): GpuHistory {
  const seen = [...history.xids];
  for (const xid of xids) {
    if (graveXid(xid) !== undefined && !seen.some(({ code }) => code === xid.code)) seen.push(xid);
  }
  return seen.length === history.xids.length ? history : { ...history, xids: seen };
}

function isAtThreshold({ temperatureC, health }: Gpu): boolean {
  return temperatureC !== undefined && health.slowdownC !== undefined && temperatureC >= health.slowdownC;
}

/** What is wrong with a device, by its last reading and what was seen before. */
export function gpuFaults(gpu: Gpu, history: GpuHistory = NO_HISTORY): readonly GpuFault[] {
  const { id, health } = gpu;
  const faults: GpuFault[] = [];
  const add = (kind: GpuFault["kind"], what: string) => faults.push({ kind, message: `${id}: ${what}` });
  for (const xid of history.xids) add("xid", `${graveXid(xid)} (Xid ${xid.code} in the kernel's log)`);
  if (history.isGone) add("gone", "it does not answer any more");
  if (history.hasNewErrors) add("ecc", "its memory had errors that could not be corrected");
  if (health.remapFailed) add("memory", "a broken row of its memory could not be replaced");
  if (health.tooManyErrors) add("memory", "its on-chip memory had more errors than NVIDIA allows");
  if (health.recovery !== undefined && health.recovery !== "None")
    add("recovery", `the driver wants: ${health.recovery}`);
  if (history.isHot) add("hot", `${HOT_READINGS} readings at or over ${health.slowdownC} °C, where it slows down`);
  return faults;
}
