// New lines of the kernel's log, by /dev/kmsg. Reading them needs root or CAP_SYSLOG on most machines; without it there are none.
//
// KL1  What was logged before it was opened is passed over: a device may have been reset since, and what still is wrong the tools tell.
// KL2  A read never waits: the device is opened non-blocking, one record a read, until there is none.

import { closeSync, constants, openSync, readSync } from "node:fs";

/** A record is cut at this length by the kernel. */
const RECORD_MAX_BYTES = 8_192;
const RECORDS_MAX = 20_000;

export interface KernelLog {
  /** Lines since the last call. */
  lines(): readonly string[];
  close(): void;
}

/** The log, or why it cannot be read. */
export function openKernelLog(path = "/dev/kmsg"): KernelLog | { readonly kind: "unreadable"; readonly why: string } {
  let descriptor: number;
  try {
    descriptor = openSync(path, constants.O_RDONLY | constants.O_NONBLOCK);
  } catch (error) {
    return { kind: "unreadable", why: `${path} cannot be read: ${(error as Error).message}` };
  }
  const buffer = Buffer.alloc(RECORD_MAX_BYTES);
  const log = {
    lines: () => recordsIn(descriptor, buffer),
    close: () => {
      if (descriptor >= 0) closeSync(descriptor);
      descriptor = -1;
    },
  };
  log.lines();
  return log;
}

function recordsIn(descriptor: number, buffer: Buffer): string[] {
  const records: string[] = [];
  for (let count = 0; descriptor >= 0 && count < RECORDS_MAX; count++) {
    const read = readRecord(descriptor, buffer);
    if (read === "end") break;
    // "6,1234,5678901,-;NVRM: Xid (PCI:0000:3b:00): 79, …" and further lines about the record.
    if (read !== "overwritten") records.push(read.slice(read.indexOf(";") + 1).split("\n", 1)[0] ?? "");
  }
  return records;
}

function readRecord(descriptor: number, buffer: Buffer): string {
  try {
    const length = readSync(descriptor, buffer, 0, RECORD_MAX_BYTES, null);
    return length === 0 ? "end" : buffer.toString("utf8", 0, length);
  } catch (error) {
    // EPIPE: the next record was overwritten before it was read; the one after it can be.
    return (error as NodeJS.ErrnoException).code === "EPIPE" ? "overwritten" : "end";
  }
}
