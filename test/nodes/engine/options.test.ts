// What an engine is told, and what a vLLM is told of it.

import { expect, it } from "vitest";
import { engineCommand, engineEnvironment, vllmArguments } from "../../../nodes/engine/arguments.ts";
import {
  type EngineOptions,
  engineSettings,
  type VllmOptions,
  type VllmSettings,
} from "../../../nodes/engine/options.ts";
import { isFlotillaError } from "../../../runtime/index.ts";

const vllm = (options: Partial<VllmOptions> = {}) =>
  engineSettings({ kind: "vllm", model: "org/m", ...options }) as VllmSettings;

const BAD: readonly (readonly [option: string, given: Record<string, unknown>, words: string])[] = [
  ["kind", { kind: "ollama" }, 'expected "vllm" or "adopted"'],
  ["model", { kind: "vllm" }, "expected a folder or the name of a model, got undefined"],
  ["model", { kind: "vllm", model: "" }, 'got ""'],
  ["port", { kind: "vllm", model: "m", port: 70_000 }, "expected a whole number from 0 to 65535, got 70000"],
  ["prot", { kind: "vllm", model: "m", prot: 1 }, 'there is no option "prot"'],
  ["gpuMemoryShare", { kind: "vllm", model: "m", gpuMemoryShare: 90 }, "expected a share above 0, up to 1, got 90"],
  [
    "restart.backoff.factor",
    { kind: "vllm", model: "m", restart: { backoff: { factor: 0 } } },
    "a number from 1, got 0",
  ],
  ["watch.stall", { kind: "vllm", model: "m", watch: { stall: 1 } }, 'there is no option "watch.stall"'],
  [
    "extraArgs.1",
    { kind: "vllm", model: "m", extraArgs: ["--x", "--port=1"] },
    'which have options of their own, got "--port=1"',
  ],
  ["apiKey", { kind: "vllm", model: "m", apiKey: "a\nb" }, "expected a key without blanks"],
  ["sleepMode", { kind: "vllm", model: "m", idleSleepMs: 1 }, "expected true beside idleSleepMs"],
  ["url", { kind: "adopted", url: "localhost:8000" }, 'begins with http:// or https://, got "localhost:8000"'],
];

it.each(BAD)("refuses %s of %j", (option, given, words) => {
  const refused = () => engineSettings(given as unknown as EngineOptions);
  try {
    refused();
    expect.unreachable();
  } catch (error) {
    expect(isFlotillaError(error, "InvalidOption") && error.data.option).toBe(option);
    expect((error as Error).message).toContain(words);
  }
});

it("takes an address with and without /v1", () => {
  for (const url of ["http://h:1", "http://h:1/", "http://h:1/v1", "http://h:1/v1/"]) {
    expect(engineSettings({ kind: "adopted", url })).toMatchObject({ url: "http://h:1", graceMs: 30_000 });
  }
});

it("tells vLLM what was asked for and nothing else", () => {
  expect(vllmArguments(vllm(), { port: 81 })).toEqual(
    "serve org/m --host 127.0.0.1 --port 81 --served-model-name org/m".split(" "),
  );
  const all = vllm({
    servedName: "small",
    tensorParallel: 2,
    maxModelLen: 4_096,
    gpuMemoryShare: 0.5,
    prefixCaching: false,
    maxNumSeqs: 8,
    sleepMode: true,
    kvEvents: 5_557,
    extraArgs: ["--enforce-eager"],
  });
  const said = vllmArguments(all, { port: 81, kvEvents: { port: 5_557, replayPort: 5_558 } });
  expect(said.join(" ")).toBe(
    "serve org/m --host 127.0.0.1 --port 81 --served-model-name small --tensor-parallel-size 2 --max-model-len 4096" +
      " --gpu-memory-utilization 0.5 --max-num-seqs 8 --kv-events-config" +
      ' {"enable_kv_cache_events":true,"publisher":"zmq","topic":"kv","endpoint":"tcp://*:5557","replay_endpoint":"tcp://*:5558"}' +
      " --no-enable-prefix-caching --enable-sleep-mode --enforce-eager",
  );
});

it("keeps keys out of the argument list, and lets the caller's environment win", () => {
  const settings = vllm({ apiKey: "secret", sleepMode: true, environment: { CUDA_VISIBLE_DEVICES: "1" } });
  expect(vllmArguments(settings, { port: 1 }).join(" ")).not.toContain("secret");
  expect(engineEnvironment(settings)).toEqual({
    VLLM_SERVER_DEV_MODE: "1",
    VLLM_API_KEY: "secret",
    CUDA_VISIBLE_DEVICES: "1",
  });
  expect(engineEnvironment(vllm())).toEqual({});
});

it("puts its arguments after a program's own, or fills them in where they are asked for", () => {
  expect(engineCommand(vllm({ program: ["node", "sim.ts"] }), { port: 81 }).slice(0, 4)).toEqual([
    "node",
    "sim.ts",
    "serve",
    "org/m",
  ]);
  const program = ["bash", "serve.sh", "{model}", "{port}", "{kvEvents}", "{kvReplay}"];
  expect(
    engineCommand(vllm({ program, extraArgs: ["-x"] }), { port: 81, kvEvents: { port: 5, replayPort: 6 } }),
  ).toEqual("bash serve.sh org/m 81 5 6 -x".split(" "));
});
