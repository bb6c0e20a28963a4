// `flotilla vllm-sim`: the simulator of nodes/vllm-sim/ in the foreground. What its options must be is checked there; here text becomes values.
//
// VS1  Status 0: told to end. 1: could not start, or its engine died, as vLLM ends by itself then.
// VS2  The key comes from VLLM_API_KEY, as in vLLM: a command line can be read by everyone on the machine.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import { type SimRule, simApiKey, startVllmSim, type VllmSim, type VllmSimOptions } from "../nodes/index.ts";
import { isFlotillaError } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { parseDuration } from "./duration.ts";
import { fail } from "./errors.ts";
import { plain } from "./paper.ts";

/** What each option takes, its name in VllmSimOptions, and its help. */
const NUMBERS = [
  ["port", "port", "port on 127.0.0.1 (default: 8000; 0: any free one)"],
  ["max-model-len", "maxModelLen", "most tokens of prompt and reply together (default: 32768)"],
  ["max-num-seqs", "maxNumSeqs", "most requests that run at once (default: 256)"],
  ["max-num-batched-tokens", "maxNumBatchedTokens", "most prompt tokens in one step (default: 2048)"],
  ["max-num-queued-reqs", "maxNumQueuedReqs", "most unfinished requests; one more gets 503 (default: no limit)"],
  ["num-blocks", "numBlocks", "blocks of the KV cache (default: 8192)"],
  ["block-size", "blockSize", "tokens in a block (default: 16)"],
  ["prefill-ms-per-token", "prefillMsPerToken", "milliseconds for a prompt token that is not cached (default: 0)"],
  ["decode-ms-per-token", "decodeMsPerToken", "milliseconds for a token of each reply (default: 0)"],
  ["reply-tokens", "replyTokens", "tokens of a reply that no rule gives (default: 64)"],
  ["kv-events-port", "kvEventsPort", "publish KV events on this port (default: none; 0: any free one)"],
  ["kv-replay-port", "kvReplayPort", "answer replay requests on this port (default: none; 0: any free one)"],
  ["die-after-requests", "dieAfterRequests", "the engine dies after this many requests (default: never)"],
] as const satisfies readonly (readonly [string, keyof VllmSimOptions, string])[];

const SWITCHES = [
  ["startup-refuses", "startupRefuses", "while starting refuse connections instead of answering 503"],
  ["old-metric-names", "oldMetricNames", "metric names of older vLLM releases"],
  ["dev-mode", "devMode", "routes /sleep, /wake_up, /is_sleeping, /reset_prefix_cache, /server_info"],
  ["control", "control", "routes POST /sim/die, /sim/hang, /sim/heal"],
  ["keep-alive", "keepAliveOnEngineDeath", "go on answering after the engine's death"],
] as const satisfies readonly (readonly [string, keyof VllmSimOptions, string])[];

/** As commander has them: camel case of the option, text or true. */
type Flags = Readonly<Record<string, string | true | undefined>>;

export function addVllmSimCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const command = program
    .command("vllm-sim")
    .description("run a server that behaves like vLLM, without a model or a GPU, in the foreground")
    .option("--model <name>", "name of the model it serves (required)")
    .option("--rules <file>", "JSON list of scripted replies: { match, text | json | tool, delayMs }")
    .option("--startup <duration>", "time until the engine is ready: 500ms, 30s (default: 0ms)")
    .option("--kv-events-form <form>", "map, or array as older releases wrote events (default: map)");
  for (const [name, , help] of NUMBERS) command.option(`--${name} <number>`, help);
  for (const [name, , help] of SWITCHES) command.option(`--${name}`, help);
  command
    .allowExcessArguments(false)
    .action(async (flags: Flags) => done(await vllmSimCommand(vllmSimOptions(flags, simApiKey()), terminal)));
}

const PORT = 8_000;

/** Text turned into the simulator's options. Throws OptionInvalid for what is no number, duration or readable file. */
export function vllmSimOptions(flags: Flags, apiKey: string | undefined): VllmSimOptions {
  const numbers = NUMBERS.map(([name, option]) => [option, numberOf(name, flags[camel(name)])] as const);
  const switches = SWITCHES.map(([name, option]) => [option, flags[camel(name)]] as const);
  const { model, rules, startup, kvEventsForm } = flags;
  const given = [
    ["port", PORT] as const,
    ...numbers,
    ...switches,
    ["model", model] as const,
    ["apiKey", apiKey] as const,
    ["kvEventsForm", kvEventsForm] as const,
    ["startupMs", typeof startup === "string" ? startupMs(startup) : undefined] as const,
    ["rules", typeof rules === "string" ? readRules(rules) : undefined] as const,
  ];
  // The simulator checks the values, and names its option where one is wrong; vllmSimCommand says it in the command's names.
  return Object.fromEntries(given.filter(([, value]) => value !== undefined)) as unknown as VllmSimOptions;
}

const camel = (name: string): string => name.replace(/-([a-z])/g, (_, letter: string) => letter.toUpperCase());

function numberOf(name: string, text: string | true | undefined): number | undefined {
  if (typeof text !== "string") return undefined;
  if (/^\d+(\.\d+)?$/.test(text)) return Number(text);
  throw fail("OptionInvalid", `--${name}: expected a number, got ${JSON.stringify(text.slice(0, SHOWN_MAX))}.`);
}

const SHOWN_MAX = 80;

function startupMs(text: string): number {
  const ms = parseDuration(text);
  if (ms !== undefined) return ms;
  const got = JSON.stringify(text.slice(0, SHOWN_MAX));
  throw fail("OptionInvalid", `--startup: expected a duration, such as 500ms or 30s, got ${got}.`);
}

function readRules(file: string): readonly SimRule[] {
  try {
    return JSON.parse(readFileSync(file, "utf8")) as readonly SimRule[];
  } catch (error) {
    const problem = `${JSON.stringify(file)}: ${(error as Error).message}`;
    throw fail("OptionInvalid", `--rules: expected a file with a JSON list of rules, ${problem}.`, { cause: error });
  }
}

/** The command's name of a simulator's option: "kvEventsPort" → "--kv-events-port", "rules[0].match" → "--rules [0].match". */
function flagOf(option: string): string {
  const [, name = option, inside = ""] = /^(\w+)(.*)$/.exec(option) ?? [];
  const known = [...NUMBERS, ...SWITCHES].find(([, of]) => of === name)?.[0];
  const special = { startupMs: "startup", apiKey: "VLLM_API_KEY", kvEventsForm: "kv-events-form" }[name];
  const flag = known ?? special ?? name;
  return `${flag === "VLLM_API_KEY" ? "" : "--"}${flag}${inside === "" ? "" : ` ${inside}`}`;
}

async function started(options: VllmSimOptions): Promise<VllmSim> {
  try {
    return await startVllmSim(options);
  } catch (error) {
    if (!isFlotillaError(error) || typeof error.data.option !== "string") throw error;
    const { option } = error.data;
    throw fail("OptionInvalid", `${error.message.replace(`option ${option}`, flagOf(option))}.`, { cause: error });
  }
}

async function vllmSimCommand(options: VllmSimOptions, { out, err, signal }: Terminal): Promise<number> {
  const sim = await started(options);
  const stop = () => void sim.stop();
  signal.addEventListener("abort", stop);
  if (signal.aborted) stop();
  const lines = [
    `vllm-sim serves ${plain(options.model)} at ${sim.url}/v1 (simulated: no model answers)`,
    ...(sim.kvEndpoint === undefined ? [] : [`KV events at ${sim.kvEndpoint}`]),
    ...(sim.replayEndpoint === undefined ? [] : [`KV replay at ${sim.replayEndpoint}`]),
    "ready; Ctrl-C ends it",
  ];
  out.write(`${lines.join("\n")}\n`);
  const how = await sim.ended;
  if (how === "stopped") return 0;
  err.write(
    "flotilla: the engine died, and the server ended with it, as vLLM does (--keep-alive lets it answer on).\n",
  );
  return 1;
}
