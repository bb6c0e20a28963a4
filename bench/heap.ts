// What this process's heap holds.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

/** Bytes in use after a full collection, buffers outside the engine's own heap included. */
export function heapBytes(): number {
  // The collector's own entry, had without a flag on the command line.
  setFlagsFromString("--expose-gc");
  runInNewContext("gc")();
  const { heapUsed, arrayBuffers } = process.memoryUsage();
  return heapUsed + arrayBuffers;
}
