// Options of a model server as their users write them, turned once into full, checked values; and what this folder reads from the environment.
// It decides nothing about a server's life.
//
// EO1  An error names the option, what was expected and what came; an option that is not known is refused.
// EO2  No secret stands in an argument list: keys travel in headers and in the child's environment.

import { z } from "zod";
import { nodeError } from "../errors.ts";

/** At most `maxRestarts` within `withinMs`; the n-th waits firstMs · factor^(n−1), at most maxMs. */
export interface EngineRestart {
  readonly maxRestarts?: number;
  readonly withinMs?: number;
  readonly backoff?: { readonly firstMs?: number; readonly factor?: number; readonly maxMs?: number };
}

/** How a server is watched; nodes/engine/hang.ts has the rule. All in milliseconds. */
export interface EngineWatch {
  /** Between two health probes; default 500. */
  readonly everyMs?: number;
  /** A probe without an answer for this long has missed, and two in a row mean dead; default 1,000. */
  readonly timeoutMs?: number;
  /** A process that answers no probe for this long is ended and started again; until then it may come back by itself. Default 10,000. */
  readonly patienceMs?: number;
  /** No sign of progress for this long although requests are in hand: it is asked for one token. Default 2,000. */
  readonly quietMs?: number;
  /** The same while none are in hand. Default 30,000. */
  readonly idleMs?: number;
  /** No sign of progress for this long after it was asked: dead. Longer than any one step of the model, a long prefill too. Default 30,000. */
  readonly stallMs?: number;
}

/** A vLLM, or what takes its place, that this node starts and keeps running. */
export interface VllmOptions {
  readonly kind: "vllm";
  /** A folder or the name of a repository, as `vllm serve` takes it. */
  readonly model: string;
  /** What requests call it; default: `model`. */
  readonly servedName?: string;
  /**
   * The program, and arguments before ours; default: `vllm` on the PATH. Ours are `serve MODEL --port …`.
   * Where one of its own is {model}, {name}, {port}, {kvEvents} or {kvReplay}, these are filled in (0: no such port), and it gets
   * `extraArgs` but no others.
   */
  readonly program?: string | readonly string[];
  /** On 127.0.0.1. 0, the default: a free one, chosen at the start. */
  readonly port?: number;
  readonly tensorParallel?: number;
  /** Tokens of prompt and answer together. */
  readonly maxModelLen?: number;
  /** Share of each device's memory that it takes for itself, 0 to 1. */
  readonly gpuMemoryShare?: number;
  readonly prefixCaching?: boolean;
  /** Publishes its cache's events on this port, and replays them on the next one. `true`: free ports, chosen at the start. vLLM listens there on every interface. */
  readonly kvEvents?: number | true;
  /** Requests it has in hand at once. */
  readonly maxNumSeqs?: number;
  /** Whether it can be put to sleep. Opens vLLM's development routes on its port. */
  readonly sleepMode?: boolean;
  /** Put to sleep when nobody used it for this long; needs `sleepMode`. */
  readonly idleSleepMs?: number;
  /** Not started before somebody wants it. */
  readonly onDemand?: boolean;
  /** Further arguments, last. */
  readonly extraArgs?: readonly string[];
  /** Added to this process's own, CUDA_VISIBLE_DEVICES among it. */
  readonly environment?: Readonly<Record<string, string>>;
  /** What it asks of its clients. */
  readonly apiKey?: string;
  readonly restart?: EngineRestart;
  /** Default 600,000. */
  readonly readyTimeoutMs?: number;
  /** How long requests in hand may go on when it is stopped; default 30,000. */
  readonly graceMs?: number;
  readonly watch?: EngineWatch;
}

/** An OpenAI-compatible server that somebody else keeps running. */
export interface AdoptedOptions {
  readonly kind: "adopted";
  /** "http://host:8000", with or without /v1. */
  readonly url: string;
  /** Which of its models; default: the first that it lists. */
  readonly model?: string;
  readonly apiKey?: string;
  /** Requests it can have in hand at once, where it does not say so itself. */
  readonly slots?: number;
  /** Put to sleep when nobody used it for this long, where it can. */
  readonly idleSleepMs?: number;
  readonly graceMs?: number;
  readonly watch?: EngineWatch;
}

export type EngineOptions = VllmOptions | AdoptedOptions;

const MAX_MS = 2 ** 31 - 1;
const PORT_MAX = 65_535;
/** vLLM is told these by options of their own. */
const OURS = /^--(host|port|served-model-name|api-key|uds)(=|$)/;

const KEY = "a key without blanks or control characters";

const whole = (min: number, max: number) => {
  const error = `a whole number from ${min} to ${max}`;
  return z.int({ error }).min(min, { error }).max(max, { error });
};
const ms = (min: number) => {
  const error = `${min} to ${MAX_MS} milliseconds`;
  return z.number({ error }).min(min, { error }).max(MAX_MS, { error });
};
const words = (error = "a text that is not empty") => z.string({ error }).min(1, { error });
const flag = z.boolean({ error: "true or false" });

const watch = z
  .strictObject({
    everyMs: ms(10).default(500),
    timeoutMs: ms(10).default(1_000),
    patienceMs: ms(0).default(10_000),
    quietMs: ms(10).default(2_000),
    idleMs: ms(10).default(30_000),
    stallMs: ms(10).default(30_000),
  })
  .prefault({});

const restart = z
  .strictObject({
    maxRestarts: whole(0, 1_000_000).default(5),
    // A large model takes minutes to load: within a short window a crash loop would never use its budget up.
    withinMs: ms(1).default(3_600_000),
    backoff: z
      .strictObject({
        firstMs: ms(0).default(1_000),
        factor: z.number({ error: "a number from 1" }).min(1, { error: "a number from 1" }).default(2),
        maxMs: ms(0).default(60_000),
      })
      .prefault({}),
  })
  .prefault({});

const shared = {
  apiKey: z
    .string({ error: KEY })
    .regex(/^[\x21-\x7e]+$/, { error: KEY })
    .optional(),
  idleSleepMs: ms(1).optional(),
  graceMs: ms(0).default(30_000),
  watch,
};

const program = z
  .union([words(), z.array(z.string()).min(1)], { error: "a program, or an array of one and its first arguments" })
  .default("vllm")
  .transform((given): readonly string[] => (typeof given === "string" ? [given] : given));

const vllm = z
  .strictObject({
    kind: z.literal("vllm"),
    model: words("a folder or the name of a model"),
    servedName: words().optional(),
    program,
    port: whole(0, PORT_MAX).default(0),
    tensorParallel: whole(1, 1_024).optional(),
    maxModelLen: whole(1, 1_000_000_000).optional(),
    gpuMemoryShare: z
      .number({ error: "a share above 0, up to 1" })
      .gt(0, { error: "a share above 0, up to 1" })
      .max(1, { error: "a share above 0, up to 1" })
      .optional(),
    prefixCaching: flag.optional(),
    kvEvents: z.union([z.literal(true), whole(1, PORT_MAX - 1)], { error: "a port, or true" }).optional(),
    maxNumSeqs: whole(1, 1_000_000).optional(),
    sleepMode: flag.default(false),
    onDemand: flag.default(false),
    extraArgs: z
      .array(
        z.string({ error: "a text" }).refine((text) => !OURS.test(text), {
          error: "none of --host, --port, --served-model-name, --api-key and --uds, which have options of their own",
        }),
      )
      .default([]),
    environment: z.record(z.string(), z.string({ error: "a text" })).default({}),
    restart,
    readyTimeoutMs: ms(1).default(600_000),
    ...shared,
  })
  .refine(({ idleSleepMs, sleepMode }) => idleSleepMs === undefined || sleepMode, {
    path: ["sleepMode"],
    error: "true beside idleSleepMs",
  });

const adopted = z.strictObject({
  kind: z.literal("adopted"),
  url: z
    .url({ protocol: /^https?$/, error: "an address that begins with http:// or https://" })
    .transform((url) => url.replace(/\/+$/, "").replace(/\/v1$/, "")),
  model: words().optional(),
  slots: whole(1, 1_000_000).optional(),
  ...shared,
});

const options = z.discriminatedUnion("kind", [vllm, adopted], { error: '"vllm" or "adopted"' });

export type EngineSettings = Readonly<z.output<typeof options>>;
export type VllmSettings = Readonly<z.output<typeof vllm>>;
export type AdoptedSettings = Readonly<z.output<typeof adopted>>;
export type WatchSettings = VllmSettings["watch"];

/** The options whole and checked (EO1). Throws InvalidOption. */
export function engineSettings(given: EngineOptions): EngineSettings {
  const read = options.safeParse(given);
  if (read.success) return read.data;
  const [issue] = read.error.issues;
  if (issue === undefined) throw read.error;
  if (issue.code === "unrecognized_keys") {
    const option = [...issue.path, issue.keys[0]].map(String).join(".");
    throw nodeError("InvalidOption", `there is no option "${option}" of an engine`, { data: { option } });
  }
  const option = issue.path.map(String).join(".");
  const message = `${option === "" ? "options" : `option ${option}`}: expected ${issue.message}, got ${shown(valueAt(given, issue.path))}`;
  throw nodeError("InvalidOption", message, { data: { option, expected: issue.message } });
}

function valueAt(given: unknown, path: readonly PropertyKey[]): unknown {
  return path.reduce<unknown>((value, key) => (value as Record<PropertyKey, unknown> | undefined)?.[key], given);
}

function shown(value: unknown): string {
  if (typeof value === "string") return `"${value.slice(0, 100)}"`;
  if (typeof value !== "object" || value === null) return String(value);
  return Array.isArray(value) ? "an array" : "an object";
}

/** What a child has in its environment: what this process has, and its own beside it. */
export const childEnvironment = (own: Readonly<Record<string, string>>): Readonly<NodeJS.ProcessEnv> => ({
  ...process.env,
  ...own,
});
