// Why a model server ended, from its last lines and its exit: a code, a sentence and a remedy. Pure.
// The texts are those of vLLM 0.32 and of what it loads; test/fixtures/engine/ has logs of real failures.
//
// EF1  The first rule that fits counts, so causes come before their consequences: a worker out of memory also makes "Engine core
//      initialization failed".
// EF2  What no rule knows is told by its own last words, never guessed at.

import type { FlotillaError } from "../../runtime/index.ts";
import { type NodeErrorCode, nodeError } from "../errors.ts";

/** How a process ended. */
export interface Exit {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface EngineFailure {
  readonly code: NodeErrorCode;
  /** What was wrong. */
  readonly sentence: string;
  /** What to do about it. */
  readonly remedy: string;
}

interface Rule {
  readonly code: NodeErrorCode;
  readonly says: RegExp;
  readonly sentence: (...found: string[]) => string;
  readonly remedy: (...found: string[]) => string;
}

const SMALLER =
  "lower gpuMemoryShare or maxModelLen, spread it over more devices (tensorParallel), or take a smaller model";
const WHAT_MODEL = "give a folder with a config.json, or the name of a repository that this machine can reach";

const RULES: readonly Rule[] = [
  {
    code: "EngineOutOfMemory",
    says: /Free memory on device \S+ \(([\d.]+)\/([\d.]+) GiB\) on startup is less than desired GPU memory utilization \(([\d.]+), ([\d.]+) GiB\)/,
    sentence: (free, total, share, wanted) =>
      `${free} of ${total} GiB of the device's memory are free, and a share of ${share} wants ${wanted} GiB`,
    remedy: () => "end what else uses the device, or lower gpuMemoryShare",
  },
  {
    code: "EngineNoCacheRoom",
    says: /No available memory for the cache blocks/,
    sentence: () => "the model's weights leave no memory for its cache",
    remedy: () => "raise gpuMemoryShare, spread it over more devices (tensorParallel), or take a smaller model",
  },
  {
    code: "EngineLengthTooLong",
    says: /max seq len \((\d+)\)[\s\S]*?larger than the available KV cache memory \(([\d.]+) GiB\)(?:[\s\S]{0,60}estimated maximum model length is (\d+))?/,
    sentence: (length, room) =>
      `a request of ${length} tokens does not fit into the ${room} GiB that are left for the cache`,
    remedy: (_, __, estimate) =>
      estimate === undefined
        ? "lower maxModelLen or raise gpuMemoryShare"
        : `set maxModelLen to ${estimate} or less, or raise gpuMemoryShare`,
  },
  {
    code: "EngineLengthTooLong",
    says: /max_model_len \((\d+)\) is greater than the derived max_model_len \(\w+=([\d.]+)/,
    sentence: (length, max) => `maxModelLen is ${length}, and the model was made for ${Number(max)} tokens`,
    remedy: (_, max) => `set maxModelLen to ${Number(max)} or less`,
  },
  {
    code: "EngineOutOfMemory",
    says: /(?:CUDA|HIP) out of memory\.?(?:[\s\S]{0,40}Tried to allocate ([\d.]+ \w+))?|(?:CUDA|HIP) error: out of memory/,
    sentence: (size) => `the device ran out of memory${size === undefined ? "" : ` when it wanted ${size} more`}`,
    remedy: () => SMALLER,
  },
  {
    code: "EngineModelGated",
    says: /trying to access a gated repo|is a gated repository/,
    sentence: () => "the model's repository is open to those alone who asked for access",
    remedy: () => "ask for it on the model's page, and give HF_TOKEN in the option environment",
  },
  {
    code: "EngineModelNotFound",
    says: /Invalid repository ID or local directory specified: '([^']*)'/,
    sentence: (model) => `${model} is neither a repository nor a folder with a model in it`,
    remedy: () => WHAT_MODEL,
  },
  {
    code: "EngineModelNotFound",
    says: /Repo id must [\s\S]*?: '([^']*)'/,
    sentence: (model) => `there is no folder ${model}`,
    remedy: () => WHAT_MODEL,
  },
  {
    code: "EngineModelNotFound",
    says: /([^\s:]+) is not a local folder and is not a valid model identifier|([^\s:]+) is not a local folder or a valid repository name/,
    sentence: (one, other) => `there is no folder and no repository ${one ?? other}`,
    remedy: () => WHAT_MODEL,
  },
  {
    code: "EngineModelNotFound",
    says: /We couldn't connect to '([^']*)' to load the files, and couldn't find them in the cached files/,
    sentence: (place) => `the model is not on this machine, and ${place} cannot be reached`,
    remedy: () => WHAT_MODEL,
  },
  {
    code: "EngineModelNotFound",
    says: /Model architectures (\[[^\]]*\]) (?:are not supported|failed to be inspected)|does not recognize this architecture/,
    sentence: (kind) => `this vLLM does not know the model's architecture${kind === undefined ? "" : ` ${kind}`}`,
    remedy: () => "take a newer vLLM, or a model that it supports",
  },
  {
    code: "EnginePortInUse",
    says: /\[Errno 98\][^\n]*[Aa]ddress already in use|error while attempting to bind on address \('([^']*)', (\d+)\)/,
    sentence: () => "another program listens on its port or on that of its cache events",
    remedy: () => "end that program, or give the options port and kvEvents other ports",
  },
  {
    code: "EngineParallelInvalid",
    says: /attention heads \((\d+)\) must be divisible by tensor parallel size \((\d+)\)/,
    sentence: (heads, size) => `the model's ${heads} attention heads cannot be split over ${size} devices`,
    remedy: (heads) => `set tensorParallel to a number that divides ${heads}`,
  },
  {
    code: "EngineParallelInvalid",
    says: /World size \((\d+)\) is larger than the number of available GPUs \((\d+)\)/,
    sentence: (size, there) => `it wants ${size} devices and sees ${there}`,
    remedy: () => "lower tensorParallel, or give it more devices",
  },
  {
    code: "EngineDriverMissing",
    says: /Failed to infer device type|Found no NVIDIA driver|No CUDA GPUs are available|CUDA driver version is insufficient|no CUDA-capable device is detected|No HIP GPUs are available/,
    sentence: () => "it finds no device that it can use",
    remedy: () =>
      "look at nvidia-smi (flotilla doctor does), at the driver's version, and at the devices that the environment leaves visible",
  },
  {
    code: "EngineLibraryMissing",
    says: /ImportError: ([^\s:]+): cannot open shared object file|ModuleNotFoundError: No module named '([^']+)'/,
    sentence: (library, module) => `its installation lacks ${library ?? `the Python module ${module}`}`,
    remedy: () => "install vLLM anew, in the version for this machine's driver",
  },
  {
    code: "EngineArgumentsRefused",
    says: /error: (unrecognized arguments: [^\n]{1,120}|argument [^\n]{1,120})|(invalid tool call parser: \S+)/,
    sentence: (refused, parser) => `it does not take its arguments (${refused ?? parser})`,
    remedy: () => "correct the option extraArgs, or take a vLLM that knows them",
  },
];

const KILLED = 137;
const NOT_FOUND = 127;
const LAST_LINES = 3;
/** Of the log that an error carries with it. */
const CARRIED_LINES = 20;
const LINE_MAX = 300;
/** An exception's last line; what Python prints after it says less. */
const EXCEPTION = /^(?:\(\w[^)]*\) )?(?:\w+ \S+ \S+ \[[^\]]*\] )?([\w.]*(?:Error|Exception)\b: .+)$/;

/** Why it ended, from the last lines of its log. */
export function explainFailure(lines: readonly string[], exit: Exit): EngineFailure {
  if (exit.signal === "SIGKILL" || exit.code === KILLED) {
    return {
      code: "EngineKilled",
      sentence: "it was killed by signal 9: by somebody, or by the system because the machine's memory ran out",
      remedy: "look for its name in the system's log (dmesg); if memory ran out, give it less or the machine more",
    };
  }
  if (exit.code === NOT_FOUND) {
    return {
      code: "EngineProgramMissing",
      sentence: `its program cannot be run (${cut(lines.at(-1) ?? "status 127")})`,
      remedy: "install it, or correct the option program",
    };
  }
  const text = lines.join("\n");
  for (const { code, says, sentence, remedy } of RULES) {
    const found = says.exec(text);
    if (found === null) continue;
    const parts = found.slice(1);
    return { code, sentence: sentence(...parts), remedy: remedy(...parts) };
  }
  return { code: "EngineFailed", sentence: ownWords(lines, exit), remedy: "read the last lines of its log" };
}

/** As an error: the sentence and what to do, the log beside it. */
export function failureError(name: string, failure: EngineFailure, log: readonly string[] = []): FlotillaError {
  const { code, sentence, remedy } = failure;
  return nodeError(code, `the model server of ${name}: ${sentence}; ${remedy}`, {
    data: { why: sentence, remedy, log: log.slice(-CARRIED_LINES) },
  });
}

/** The sentence in an error that failureError made; of any other its message. */
export const whyOf = ({ data, message }: FlotillaError): string => (typeof data.why === "string" ? data.why : message);

function ownWords(lines: readonly string[], { code, signal }: Exit): string {
  const ended = `it ended ${signal === null ? `with status ${code}` : `by ${signal}`}`;
  const exception = lines.findLast((line) => EXCEPTION.test(line));
  const last = exception === undefined ? lines.slice(-LAST_LINES) : [EXCEPTION.exec(exception)?.[1] ?? exception];
  return last.length === 0 ? `${ended} and said nothing` : `${ended}: ${last.map(cut).join(" | ")}`;
}

const cut = (line: string): string => (line.length <= LINE_MAX ? line : `${line.slice(0, LINE_MAX)}…`);
