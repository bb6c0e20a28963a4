// The options of a host's daemon, `flotilla node` and `flotilla up` alike: model servers, GPUs, amounts, the HTTP door. Text becomes values
// here; what the values must be is known where they are used (nodes/).
//
// DF1  A mistake is told before anything is started, in the words of the command line.
// DF2  Nothing that is said is passed over: a key that means nothing to a kind of server is refused for it.

import { fileURLToPath } from "node:url";
import type { Command } from "commander";
import {
  type DaemonEngine,
  type EngineOptions,
  engineSettings,
  parseAmounts,
  type VllmOptions,
} from "../nodes/index.ts";
import { type Amounts, isFlotillaError } from "../runtime/index.ts";
import { parseDuration } from "./duration.ts";
import { KEYS } from "./engine-words.ts";
import { fail } from "./errors.ts";

/** As commander has them. */
export interface DaemonFlags {
  readonly vllm?: readonly string[];
  readonly vllmSim?: readonly string[];
  readonly vllmProgram?: string;
  readonly adopt?: readonly string[];
  readonly gpus?: string;
  readonly resources?: string;
  readonly http?: string;
  readonly grace?: string;
}

export interface DaemonSettings {
  readonly engines: readonly DaemonEngine[];
  readonly gpus?: string;
  readonly resources?: Amounts;
  /** Undefined: no door. */
  readonly http: HttpAddress | undefined;
  /** Time for requests in hand when the daemon is told to stop. */
  readonly graceMs: number;
}

export interface HttpAddress {
  readonly host: string;
  readonly port: number;
  /** Nobody asked for this port: any other will do. */
  readonly isWish: boolean;
}

const HTTP_PORT = 8_470;
const GRACE_MS = 30_000;
const SHOWN_MAX = 80;

const ENGINE_HELP = `
A model server is MODEL and what it shall have, with commas between:
  port=8001  name=NAME  gpus=2  tp=2  max-len=8192  memory=0.9  slots=64  cache=on|off
  kv-events  sleep  idle-sleep=10m  on-demand  ready-timeout=15m  stall=30s  arg=--enforce-eager
A comma within a value is written \\, and a simulated server knows no tp, memory and cache.
One that runs already is its address, with model=NAME and slots=64 where it does not say so.`;

export function addDaemonFlags(command: Command): Command {
  return command
    .option("--vllm <server...>", "start a vLLM and keep it running: Qwen/Qwen3-8B,tp=2,kv-events")
    .option("--vllm-program <path>", "the vllm program (FLOTILLA_VLLM; default: vllm on the PATH)")
    .option("--vllm-sim <server...>", "start a simulated one, without a model or a GPU: NAME,slots=8")
    .option("--adopt <url...>", "use an OpenAI-compatible server that somebody else runs")
    .option("--gpus <which>", "none, a count, 0,2, ids, or 2x80GiB:H100 where no tool tells (default: all)")
    .option("--resources <amounts>", "what to grant in place of what is found: cpus=8,memory=64GiB,licence=3")
    .option("--http <address>", `health, metrics and nodes by HTTP: port, host:port or off (default: ${HTTP_PORT})`)
    .option("--grace <duration>", "time for model calls in hand when told to stop (default: 30s)")
    .addHelpText("after", ENGINE_HELP);
}

/** What the environment says. */
export interface DaemonVariables {
  readonly program?: string | undefined;
  /** Of adopted servers. */
  readonly apiKey?: string | undefined;
}

/** Throws OptionInvalid, AmountsInvalid. */
export function parseDaemon(flags: DaemonFlags, variables: DaemonVariables): DaemonSettings {
  const { vllm = [], vllmSim = [], adopt = [], gpus, resources } = flags;
  const program = flags.vllmProgram || variables.program;
  return {
    engines: [
      ...vllm.map((text) => startedEngine("--vllm", text, program ? { program } : {})),
      ...vllmSim.map(simulatedEngine),
      ...adopt.map((text) => adoptedEngine(text, variables.apiKey)),
    ],
    ...(gpus !== undefined && { gpus }),
    ...(resources !== undefined && { resources: parseAmounts(resources) }),
    http: httpAddress(flags.http),
    graceMs: flags.grace === undefined ? GRACE_MS : durationOf("--grace", flags.grace),
  };
}

type Pairs = ReadonlyMap<string, readonly string[]>;

/** "MODEL,tp=2,sleep" → MODEL, and values by key; a key without one has "". */
function parts(option: string, text: string): { readonly head: string; readonly pairs: Pairs } {
  const [head = "", ...rest] = text.split(/(?<!\\),/).map((part) => part.replaceAll("\\,", ",").trim());
  if (head === "" || head.includes("=")) throw invalid(option, "begins with the model's name or the address", text);
  const pairs = new Map<string, string[]>();
  for (const part of rest) {
    const at = part.indexOf("=");
    const [key, value] = at < 0 ? [part, ""] : [part.slice(0, at), part.slice(at + 1)];
    pairs.set(key, [...(pairs.get(key) ?? []), value]);
  }
  return { head, pairs };
}

/** The one value of a key. */
function single(option: string, text: string, key: string, pairs: Pairs): string | undefined {
  const [value, second] = pairs.get(key) ?? [];
  if (second !== undefined) throw invalid(option, `${key} once`, text);
  return value;
}

type Reader = (value: string, told: (expected: string) => Error) => Partial<VllmOptions & { gpus: number }>;

const number =
  (name: keyof VllmOptions | "gpus"): Reader =>
  (value, told) => {
    if (!/^\d+(\.\d+)?$/.test(value)) throw told("a number");
    return { [name]: Number(value) };
  };
function milliseconds(value: string, told: (expected: string) => Error): number {
  const ms = parseDuration(value);
  if (ms === undefined) throw told("a duration, such as 90s or 15m");
  return ms;
}
const duration =
  (name: keyof VllmOptions): Reader =>
  (value, told) => ({ [name]: milliseconds(value, told) });
const flag =
  (name: keyof VllmOptions): Reader =>
  (value, told) => {
    if (value !== "" && value !== "on" && value !== "off") throw told("on or off");
    return { [name]: value !== "off" };
  };

const READERS: Readonly<Record<string, Reader>> = {
  name: (value) => ({ servedName: value }),
  port: number("port"),
  gpus: number("gpus"),
  tp: number("tensorParallel"),
  "max-len": number("maxModelLen"),
  memory: number("gpuMemoryShare"),
  slots: number("maxNumSeqs"),
  cache: flag("prefixCaching"),
  "kv-events": (value, told) => (value === "" ? { kvEvents: true } : number("kvEvents")(value, told)),
  sleep: flag("sleepMode"),
  "idle-sleep": duration("idleSleepMs"),
  "on-demand": flag("onDemand"),
  "ready-timeout": duration("readyTimeoutMs"),
  stall: (value, told) => ({ watch: { stallMs: milliseconds(value, told) } }),
};

/** DF1 */
function checked(option: string, text: string, { gpus: _, ...engine }: DaemonEngine): void {
  try {
    engineSettings(engine as EngineOptions);
  } catch (error) {
    if (!isFlotillaError(error, "InvalidOption")) throw error;
    const name = String(error.data.option);
    throw invalid(
      `${option} ${KEYS[name] ?? KEYS[name.split(".")[0] ?? ""] ?? name}`,
      String(error.data.expected),
      text,
    );
  }
}

function startedEngine(option: string, text: string, more: Partial<VllmOptions>): DaemonEngine {
  const { head, pairs } = parts(option, text);
  let options: Partial<VllmOptions & { gpus: number }> = {};
  for (const key of pairs.keys()) {
    if (key === "arg") continue;
    const read = Object.hasOwn(READERS, key) ? READERS[key] : undefined;
    if (read === undefined) throw invalid(option, `one of ${Object.keys(READERS).join(", ")}, arg`, key);
    const value = single(option, text, key, pairs) ?? "";
    options = { ...options, ...read(value, (expected) => invalid(`${option} ${key}`, expected, value)) };
  }
  const extraArgs = pairs.get("arg");
  const engine: DaemonEngine = {
    ...{ kind: "vllm", model: head, ...more, ...options },
    ...(extraArgs !== undefined && { extraArgs }),
  };
  checked(option, text, engine);
  return engine;
}

const START = fileURLToPath(new URL("./start.mjs", import.meta.url));

/** What a simulated server has nothing for (DF2). */
const NOT_SIMULATED = ["tp", "memory", "cache"];

/** Our simulator in the place of the program; it takes no GPU. */
function simulatedEngine(text: string): DaemonEngine {
  const { pairs } = parts("--vllm-sim", text);
  const stray = NOT_SIMULATED.find((key) => pairs.has(key));
  if (stray !== undefined) throw invalid("--vllm-sim", `none of ${NOT_SIMULATED.join(", ")}`, stray);
  const engine = startedEngine("--vllm-sim", text, {}) as VllmOptions;
  const { maxNumSeqs, maxModelLen, kvEvents, sleepMode, extraArgs = [] } = engine;
  const more = [
    ...(maxNumSeqs === undefined ? [] : ["--max-num-seqs", String(maxNumSeqs)]),
    ...(maxModelLen === undefined ? [] : ["--max-model-len", String(maxModelLen)]),
    ...(kvEvents === undefined ? [] : ["--kv-events-port", "{kvEvents}", "--kv-replay-port", "{kvReplay}"]),
    ...(sleepMode === true ? ["--dev-mode"] : []),
  ];
  const program = [process.execPath, START, "vllm-sim", "--model", "{name}", "--port", "{port}", ...more, ...extraArgs];
  return { gpus: 0, ...engine, program, extraArgs: [] };
}

function adoptedEngine(text: string, apiKey: string | undefined): DaemonEngine {
  const { head, pairs } = parts("--adopt", text);
  const known = new Set(["model", "slots"]);
  const stray = [...pairs.keys()].find((key) => !known.has(key));
  if (stray !== undefined) throw invalid("--adopt", "model or slots after the address", stray);
  const model = single("--adopt", text, "model", pairs);
  const slots = single("--adopt", text, "slots", pairs);
  if (slots !== undefined && !/^\d+$/.test(slots)) throw invalid("--adopt slots", "a whole number", slots);
  const engine: DaemonEngine = {
    kind: "adopted",
    url: head,
    ...(model !== undefined && { model }),
    ...(slots !== undefined && { slots: Number(slots) }),
    ...(apiKey && { apiKey }),
  };
  checked("--adopt", text, engine);
  return engine;
}

function httpAddress(text: string | undefined): HttpAddress | undefined {
  if (text === "off") return undefined;
  const given = text ?? String(HTTP_PORT);
  const [, host = "127.0.0.1", port = ""] = /^(?:(\[[^\]]+\]|[^:]+):)?(\d{1,5})$/.exec(given) ?? [];
  if (port === "" || Number(port) > 65_535) throw invalid("--http", "a port, host:port or off", given);
  return { host: host.replace(/^\[(.*)\]$/, "$1"), port: Number(port), isWish: text === undefined };
}

function durationOf(option: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined) throw invalid(option, "a duration, such as 30s or 2m", text);
  return ms;
}

const invalid = (option: string, expected: string, got: string): Error =>
  fail("OptionInvalid", `${option}: expected ${expected}, got ${JSON.stringify(got.slice(0, SHOWN_MAX))}.`, {
    data: { option },
  });
