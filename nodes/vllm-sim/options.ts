// How a simulator is told to be: options as users write them, made once into a full, checked object.
// It is not the command line (api/vllm-sim.ts), which has the same names.

import { z } from "zod";
import type { Clock } from "../../runtime/index.ts";
import { nodeError } from "../errors.ts";

/** One scripted reply: the first rule that matches answers. Exactly one of text, json and tool. */
export interface SimRule {
  /** A regular expression, looked for in the last user message and in the system text. */
  readonly match: string;
  readonly text?: string;
  /** Written as JSON text. */
  readonly json?: unknown;
  /** Answered as a call of this tool, whatever tools the request offers. */
  readonly tool?: { readonly name: string; readonly arguments: Readonly<Record<string, unknown>> };
  /** Milliseconds between the end of the prefill and the first token. */
  readonly delayMs?: number;
}

/** Every option of a simulated vLLM server, with vLLM's own names where vLLM has the option. */
export interface VllmSimOptions {
  /** Name under which the model is served. */
  readonly model: string;
  /** On 127.0.0.1; 0, the default: any free one. */
  readonly port?: number;
  /** Needed as a bearer token on /v1 routes when given. */
  readonly apiKey?: string;
  /** Most tokens of prompt and reply together. Default 32,768. */
  readonly maxModelLen?: number;
  /** Most requests that run at once; others wait in order. Default 256. */
  readonly maxNumSeqs?: number;
  /** Most prompt tokens computed in one step. Default 2,048. */
  readonly maxNumBatchedTokens?: number;
  /** Most unfinished requests, running and waiting; one more is answered with 503. Default: no limit, as in vLLM. */
  readonly maxNumQueuedReqs?: number;
  /** Blocks of the KV cache. Default 8,192. */
  readonly numBlocks?: number;
  /** Tokens in a block. Default 16. */
  readonly blockSize?: number;
  /** Milliseconds that one prompt token which is not cached takes. Default 0. */
  readonly prefillMsPerToken?: number;
  /** Milliseconds that one step takes in which running requests get a token each. Default 0. */
  readonly decodeMsPerToken?: number;
  /** Milliseconds until the engine is ready. Default 0. */
  readonly startupMs?: number;
  /** While starting refuse connections, as vLLM does, instead of answering 503. Default false. */
  readonly startupRefuses?: boolean;
  /** Tokens of a reply that no rule gives. Default 64. */
  readonly replyTokens?: number;
  readonly rules?: readonly SimRule[];
  /** Publish KV events on this port of 127.0.0.1; 0: any free one. Default: no events. */
  readonly kvEventsPort?: number;
  /** Answer replay requests on this port; 0: any free one. Needs kvEventsPort. Default: no replay. */
  readonly kvReplayPort?: number;
  /** First frame of KV events. Default "kv". */
  readonly kvTopic?: string;
  /** `array`: positional, as vLLM wrote them before 0.32. Default `map`. */
  readonly kvEventsForm?: "map" | "array";
  /** Batches kept for replay. Default 10,000. */
  readonly kvReplayBatches?: number;
  /** Older releases' metric names in place of today's: gpu_cache_usage_perc, gpu_prefix_cache_*, time_per_output_token_seconds. Default false. */
  readonly oldMetricNames?: boolean;
  /** /sleep, /wake_up, /is_sleeping, /reset_prefix_cache, /server_info, as VLLM_SERVER_DEV_MODE=1 has them. Default false. */
  readonly devMode?: boolean;
  /** POST /sim/die, /sim/hang, /sim/heal. Default false. */
  readonly control?: boolean;
  /** The engine dies when this many requests have ended. Default: never. */
  readonly dieAfterRequests?: number;
  /** After the engine's death go on to answer (health 503) instead of ending. Default false. */
  readonly keepAliveOnEngineDeath?: boolean;
  readonly clock?: Clock;
}

export type SimSettings = Required<
  Omit<
    VllmSimOptions,
    "clock" | "apiKey" | "maxNumQueuedReqs" | "kvEventsPort" | "kvReplayPort" | "dieAfterRequests" | "rules"
  >
> &
  Pick<VllmSimOptions, "apiKey" | "maxNumQueuedReqs" | "kvEventsPort" | "kvReplayPort" | "dieAfterRequests"> & {
    readonly rules: readonly CheckedRule[];
  };

export type CheckedRule = Omit<SimRule, "match"> & { readonly match: RegExp };

const whole = (min: number, max: number) => {
  const expected = `a whole number from ${min.toLocaleString("en")} to ${max.toLocaleString("en")}`;
  return z.int(expected).min(min, expected).max(max, expected);
};
const port = () => whole(0, 65_535);
const milliseconds = (max: number) => {
  const expected = `milliseconds from 0 to ${max.toLocaleString("en")}`;
  return z.number(expected).min(0, expected).max(max, expected);
};
const flag = () => z.boolean("true or false").default(false);
const name = (max: number) =>
  z.string(`1 to ${max} characters`).min(1, `1 to ${max} characters`).max(max, `1 to ${max} characters`);

const isPattern = (text: string): boolean => {
  try {
    return new RegExp(text) instanceof RegExp;
  } catch {
    return false;
  }
};

const RULE = z
  .strictObject(
    {
      match: z.string("a regular expression").refine(isPattern, "a regular expression that compiles"),
      text: z.string("text").optional(),
      json: z.unknown().optional(),
      tool: z
        .strictObject(
          { name: name(64), arguments: z.record(z.string(), z.unknown(), "an object") },
          "{ name, arguments }",
        )
        .optional(),
      delayMs: milliseconds(3_600_000).optional(),
    },
    "{ match, text | json | tool, delayMs? }",
  )
  .refine(
    ({ text, json, tool }) => [text, json, tool].filter((reply) => reply !== undefined).length === 1,
    "exactly one of text, json and tool",
  );

const SCHEMA = z
  .strictObject({
    model: name(200),
    port: port().default(0),
    apiKey: name(1_000).optional(),
    maxModelLen: whole(16, 10_000_000).default(32_768),
    maxNumSeqs: whole(1, 100_000).default(256),
    maxNumBatchedTokens: whole(1, 10_000_000).default(2_048),
    maxNumQueuedReqs: whole(0, 1_000_000).optional(),
    numBlocks: whole(1, 1_000_000).default(8_192),
    blockSize: whole(1, 1_024).default(16),
    prefillMsPerToken: milliseconds(60_000).default(0),
    decodeMsPerToken: milliseconds(60_000).default(0),
    startupMs: milliseconds(3_600_000).default(0),
    startupRefuses: flag(),
    replyTokens: whole(1, 1_000_000).default(64),
    rules: z.array(RULE, "a list of rules").max(10_000, "at most 10,000 rules").default([]),
    kvEventsPort: port().optional(),
    kvReplayPort: port().optional(),
    kvTopic: z.string("text").max(200, "at most 200 characters").default("kv"),
    kvEventsForm: z.enum(["map", "array"], "map or array").default("map"),
    kvReplayBatches: whole(1, 1_000_000).default(10_000),
    oldMetricNames: flag(),
    devMode: flag(),
    control: flag(),
    dieAfterRequests: whole(1, 1_000_000_000).optional(),
    keepAliveOnEngineDeath: flag(),
  })
  .refine(({ kvReplayPort, kvEventsPort }) => kvReplayPort === undefined || kvEventsPort !== undefined, {
    path: ["kvReplayPort"],
    message: "a kvEventsPort beside it",
  })
  .refine(({ numBlocks, blockSize, maxModelLen }) => numBlocks * blockSize >= maxModelLen, {
    path: ["numBlocks"],
    message: "room for one sequence: numBlocks * blockSize of at least maxModelLen",
  });

const SHOWN_MAX = 80;

/** Resolves the options. Throws SimOptionInvalid, naming the option, what was expected and what came. */
export function simSettings({ clock: _, ...given }: VllmSimOptions): SimSettings {
  const parsed = SCHEMA.safeParse(given);
  if (!parsed.success) throw invalid(parsed.error.issues[0], given);
  const { rules, ...rest } = parsed.data;
  const checked = rules.map(({ match, ...rule }) => ({ ...rule, match: new RegExp(match) }));
  return { ...rest, rules: checked } as SimSettings;
}

function invalid(issue: z.core.$ZodIssue | undefined, given: object) {
  const unknown = issue?.code === "unrecognized_keys" ? issue.keys : [];
  const path = [...(issue?.path ?? []), ...unknown.slice(0, 1)];
  const option = path
    .map((part, index) => (typeof part === "number" ? `[${part}]` : index > 0 ? `.${String(part)}` : String(part)))
    .join("");
  const value = path.reduce<unknown>(
    (inner, part) => (inner as Record<PropertyKey, unknown> | undefined)?.[part],
    given,
  );
  const expected = unknown.length > 0 ? "no such option" : (issue?.message ?? "something else");
  const came =
    value === undefined ? "it is missing" : `got ${(JSON.stringify(value) ?? String(value)).slice(0, SHOWN_MAX)}`;
  return nodeError("SimOptionInvalid", `option ${option}: expected ${expected}, ${came}`, {
    data: { option, expected },
  });
}

/** The key that clients must send, from the variable that vLLM reads, too: a command line can be read by everyone on the machine. */
export const simApiKey = (env: NodeJS.ProcessEnv = process.env): string | undefined => env.VLLM_API_KEY || undefined;
