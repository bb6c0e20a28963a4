// Why a model server ended, in words: logs of real failures of vLLM 0.32 (test/fixtures/engine/), and texts of its source where this
// machine cannot fail that way.

import { readdirSync, readFileSync } from "node:fs";
import { describe, expect, it } from "vitest";
import { explainFailure, failureError, whyOf } from "../../../nodes/engine/failure.ts";

const FOLDER = new URL("../../fixtures/engine/", import.meta.url);
const linesOf = (name: string) =>
  readFileSync(new URL(`${name}.txt`, FOLDER), "utf8")
    .trimEnd()
    .split("\n");
const failed = (code = 1) => ({ code, signal: null });

const REAL: Readonly<Record<string, readonly [code: string, sentence: string, remedy: string]>> = {
  "bad-argument": [
    "EngineArgumentsRefused",
    "it does not take its arguments (unrecognized arguments: --no-such-flag 3)",
    "extraArgs",
  ],
  "bad-parser": [
    "EngineArgumentsRefused",
    "it does not take its arguments (invalid tool call parser: nope)",
    "extraArgs",
  ],
  "empty-folder": [
    "EngineModelNotFound",
    "/models/empty is neither a repository nor a folder with a model in it",
    "config.json",
  ],
  "length-beyond-cache": [
    "EngineLengthTooLong",
    "a request of 9000000 tokens does not fit into the 1.0 GiB that are left for the cache",
    "set maxModelLen to 2097024 or less",
  ],
  "length-beyond-model": [
    "EngineLengthTooLong",
    "maxModelLen is 90000000, and the model was made for 8192 tokens",
    "set maxModelLen to 8192 or less",
  ],
  "no-folder": ["EngineModelNotFound", "there is no folder /nonexistent", "config.json"],
  "no-network": [
    "EngineModelNotFound",
    "the model is not on this machine, and https://huggingface.co cannot be reached",
    "config.json",
  ],
  "port-in-use": ["EnginePortInUse", "another program listens on its port or on that of its cache events", "port"],
  "tensor-parallel": [
    "EngineParallelInvalid",
    "the model's 4 attention heads cannot be split over 3 devices",
    "divides 4",
  ],
};

describe("real logs", () => {
  it.each(Object.entries(REAL))("%s", (name, [code, sentence, remedy]) => {
    const failure = explainFailure(linesOf(name), failed());
    expect(failure).toMatchObject({ code, sentence });
    expect(failure.remedy).toContain(remedy);
  });

  it("are all here", () => {
    expect(readdirSync(FOLDER).map((name) => name.replace(".txt", ""))).toEqual(Object.keys(REAL).sort());
  });
});

const DOCS = "See https://docs.vllm.ai/en/latest/configuration/conserving_memory/ for more details.";
const TEXTS: readonly (readonly [code: string, words: string, line: string])[] = [
  [
    "EngineOutOfMemory",
    "when it wanted 2.00 GiB more",
    "torch.OutOfMemoryError: CUDA out of memory. Tried to allocate 2.00 GiB. GPU 0 has a total capacity of 79.11 GiB of which 1.2 GiB is free.",
  ],
  ["EngineOutOfMemory", "ran out of memory", "RuntimeError: CUDA error: out of memory"],
  [
    "EngineOutOfMemory",
    "3.1 of 79.11 GiB of the device's memory are free, and a share of 0.92 wants 72.8 GiB",
    "ValueError: Free memory on device cuda:0 (3.1/79.11 GiB) on startup is less than desired GPU memory utilization (0.92, 72.8 GiB). Decrease GPU memory utilization or reduce GPU memory used by other processes.",
  ],
  [
    "EngineNoCacheRoom",
    "no memory for its cache",
    `ValueError: No available memory for the cache blocks. Try increasing \`gpu_memory_utilization\` when initializing the engine. ${DOCS}`,
  ],
  [
    "EngineModelGated",
    "asked for access",
    "OSError: You are trying to access a gated repo.\nMake sure to have access to it at https://huggingface.co/a/b.",
  ],
  [
    "EngineModelNotFound",
    "no repository a/b",
    "OSError: a/b is not a local folder and is not a valid model identifier listed on 'https://huggingface.co/models'",
  ],
  [
    "EngineParallelInvalid",
    "wants 8 devices and sees 2",
    "ValueError: World size (8) is larger than the number of available GPUs (2) in this node.",
  ],
  [
    "EngineDriverMissing",
    "no device",
    "RuntimeError: Failed to infer device type, please set the environment variable",
  ],
  ["EngineDriverMissing", "no device", "RuntimeError: Found no NVIDIA driver on your system."],
  [
    "EngineLibraryMissing",
    "lacks libcuda.so.1",
    "ImportError: libcuda.so.1: cannot open shared object file: No such file or directory",
  ],
];

describe("texts of its source", () => {
  it.each(TEXTS)("%s: %s", (code, words, line) => {
    const log = [
      "INFO starting",
      ...line.split("\n"),
      "RuntimeError: Engine core initialization failed. See root cause above.",
    ];
    const failure = explainFailure(log, failed());
    expect(failure.code).toBe(code);
    expect(failure.sentence).toContain(words);
  });
});

describe("exits", () => {
  it("names the killer that left no word", () => {
    for (const exit of [{ code: null, signal: "SIGKILL" as const }, failed(137)]) {
      const failure = explainFailure(["INFO all is well"], exit);
      expect(failure.code).toBe("EngineKilled");
      expect(failure.sentence).toContain("memory ran out");
    }
  });

  it("tells a program that cannot be run", () => {
    const { code, sentence } = explainFailure(["sh: 1: exec: vllm: not found"], failed(127));
    expect([code, sentence]).toEqual([
      "EngineProgramMissing",
      "its program cannot be run (sh: 1: exec: vllm: not found)",
    ]);
  });

  it("tells what it does not know by its own words", () => {
    const lines = ["a", "(APIServer pid=1) ValueError: the moon is full", "warnings.warn('x')"];
    expect(explainFailure(lines, failed())).toMatchObject({
      code: "EngineFailed",
      sentence: "it ended with status 1: ValueError: the moon is full",
    });
    expect(explainFailure(["one", "two", "three", "four"], failed(3)).sentence).toBe(
      "it ended with status 3: two | three | four",
    );
    expect(explainFailure([], { code: null, signal: "SIGSEGV" }).sentence).toBe("it ended by SIGSEGV and said nothing");
  });

  it("does not take a warning for the cause", () => {
    const warning =
      "WARNING Consider errors like `OSError: [Errno 24] Too many open files`. Address already in use. Retrying.";
    expect(explainFailure([warning], failed()).code).toBe("EngineFailed");
  });

  it("makes one error of it, with sentence, remedy and the last of the log", () => {
    const log = Array.from({ length: 50 }, (_, index) => `line ${index}`);
    const error = failureError("m", explainFailure(["CUDA out of memory"], failed()), log);
    expect(error.message).toMatch(/^the model server of m: the device ran out of memory; lower gpuMemoryShare/);
    expect(error.retryable).toBe(true);
    expect(whyOf(error)).toBe("the device ran out of memory");
    expect(error.data.log).toEqual(log.slice(-20));
  });
});
