// Port: what one actor lives in when it is apart from its node: a child process or a thread, each running actor-program.ts.
// It knows neither the actor nor the fleet (child.ts does) and decides nothing.
//
// VE1  Words arrive in the order in which they were sent, in both directions; a word to one that is no more is dropped.
// VE2  `ended` resolves once, when it is no more; whatever it said and printed before has been handed over by then, or is given up.
// VE3  `kill` ends it whatever its actor does, also one that never lets go of its thread. May be called twice.
// VE4  It does not outlive the node's process; where nothing else sees to that, `pid` is what the guard ends (guard.ts).

import { extname } from "node:path";
import type { Readable } from "node:stream";
import { fileURLToPath } from "node:url";
import type { Clock } from "../clock.ts";
import type { NodeWord } from "./words.ts";

export type VesselKind = "process" | "thread";

export interface Vessel {
  /** Of the operating system's process; undefined where there is none of its own, or it could not be started. */
  readonly pid: number | undefined;
  readonly stdout: Readable | null;
  readonly stderr: Readable | null;
  readonly ended: Promise<VesselEnd>;
  send(word: NodeWord): void;
  kill(): void;
}

/** How it ended. */
export interface VesselEnd {
  /** After its name: "ended with status 3". */
  readonly how: string;
  /** Which memory had reached which limit, in words, where that ended it. */
  readonly fullMemory?: string;
}

export interface VesselOptions {
  readonly name: string;
  /** Where compiled code is kept. */
  readonly folder: string;
  readonly clock: Clock;
  /** The most memory it may take; undefined: what Node allows a heap. */
  readonly memoryBytes: number | undefined;
  /** Takes each thing it sends: perhaps no word of ours (words.ts). */
  readonly hear: (word: unknown) => void;
}

/** The file that starts the program, for both forms, with the arguments FOLDER and PROGRAM. */
export const START = fileURLToPath(new URL("./cached-start.mjs", import.meta.url));
/** In whatever language it was published. */
export const PROGRAM = new URL("./actor-program.ts".replace(/\.ts$/, extname(import.meta.url)), import.meta.url).href;

const BYTES_IN_MIB = 2 ** 20;

export const mebibytes = (bytes: number): number => Math.floor(bytes / BYTES_IN_MIB);

/** "the limit of 256 MiB". */
export const limitInWords = (bytes: number): string => `the limit of ${mebibytes(bytes)} MiB`;
