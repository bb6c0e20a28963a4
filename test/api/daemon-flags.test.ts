// The options of a daemon: what each key becomes, and that each mistake is one sentence that names the option, what was expected and what came.

import { describe, expect, it } from "vitest";
import { type DaemonFlags, parseDaemon } from "../../api/daemon-flags.ts";
import { isFlotillaError } from "../../runtime/index.ts";

const parse = (flags: DaemonFlags) => parseDaemon(flags, {});
const one = (vllm: string) => parse({ vllm: [vllm] }).engines[0];
const sim = (text: string) => parse({ vllmSim: [text] }).engines[0];
const adopted = (text: string) => parse({ adopt: [text] }).engines[0];

it("without any there is one door on the loopback, whose port is a wish, and half a minute of grace", () => {
  expect(parse({})).toEqual({
    engines: [],
    http: { host: "127.0.0.1", port: 8470, isWish: true },
    graceMs: 30_000,
  });
});

describe("a started server", () => {
  it.each<[string, object]>([
    ["name=n", { servedName: "n" }],
    ["port=8001", { port: 8001 }],
    ["gpus=2", { gpus: 2 }],
    ["gpus=0.5", { gpus: 0.5 }],
    ["tp=2", { tensorParallel: 2 }],
    ["max-len=8192", { maxModelLen: 8192 }],
    ["memory=0.9", { gpuMemoryShare: 0.9 }],
    ["slots=64", { maxNumSeqs: 64 }],
    ["cache", { prefixCaching: true }],
    ["cache=on", { prefixCaching: true }],
    ["cache=off", { prefixCaching: false }],
    ["kv-events", { kvEvents: true }],
    ["kv-events=5557", { kvEvents: 5557 }],
    ["sleep", { sleepMode: true }],
    ["sleep,idle-sleep=10m", { sleepMode: true, idleSleepMs: 600_000 }],
    ["on-demand", { onDemand: true }],
    ["stall=1m", { watch: { stallMs: 60_000 } }],
    ["ready-timeout=15m", { readyTimeoutMs: 900_000 }],
    ["arg=--enforce-eager,arg=--seed,arg=1", { extraArgs: ["--enforce-eager", "--seed", "1"] }],
    ['arg={"a":1\\,"b":2}', { extraArgs: ['{"a":1,"b":2}'] }],
  ])("%s", (text, options) => {
    expect(one(`Qwen/Qwen3-8B,${text}`)).toEqual({ kind: "vllm", model: "Qwen/Qwen3-8B", ...options });
  });

  it("has a program by option, else by variable", () => {
    const flags = { vllm: ["m"] };
    expect(parseDaemon(flags, { program: "/v" }).engines[0]).toMatchObject({ program: "/v" });
    expect(parseDaemon({ ...flags, vllmProgram: "/o" }, { program: "/v" }).engines[0]).toMatchObject({ program: "/o" });
    expect(parseDaemon({ ...flags, vllmProgram: "" }, { program: "/v" }).engines[0]).toMatchObject({ program: "/v" });
  });
});

describe("a simulated server", () => {
  it("is our own command with what it knows of the options, and takes no GPU", () => {
    const engine = sim("tiny,slots=4,max-len=512,kv-events,sleep,arg=--control");
    expect(engine).toMatchObject({ kind: "vllm", model: "tiny", gpus: 0, extraArgs: [] });
    const { program } = engine as { program: readonly string[] };
    expect(program.slice(2).join(" ")).toBe(
      "vllm-sim --model {name} --port {port} --max-num-seqs 4 --max-model-len 512 --kv-events-port {kvEvents} --kv-replay-port {kvReplay} --dev-mode --control",
    );
  });

  it("takes one when it is told to", () => expect(sim("tiny,gpus=1")).toMatchObject({ gpus: 1 }));
});

describe("an adopted server", () => {
  it("is its address, with model and slots where it does not say them, and the key of the environment", () => {
    expect(adopted("http://127.0.0.1:9/v1,model=m,slots=8")).toEqual({
      ...{ kind: "adopted", url: "http://127.0.0.1:9/v1", model: "m", slots: 8 },
    });
    expect(parseDaemon({ adopt: ["http://h:1"] }, { apiKey: "k" }).engines[0]).toMatchObject({ apiKey: "k" });
  });
});

describe("the door", () => {
  it.each<[string, object | undefined]>([
    ["off", undefined],
    ["0", { host: "127.0.0.1", port: 0, isWish: false }],
    ["9000", { host: "127.0.0.1", port: 9000, isWish: false }],
    ["0.0.0.0:9000", { host: "0.0.0.0", port: 9000, isWish: false }],
    ["[::1]:9000", { host: "::1", port: 9000, isWish: false }],
    ["localhost:0", { host: "localhost", port: 0, isWish: false }],
  ])("%s", (text, http) => expect(parse({ http: text }).http).toEqual(http));
});

it("grace, GPUs and amounts are taken as they are said", () => {
  expect(parse({ grace: "2m", gpus: "0,2", resources: "cpus=8,memory=64GiB,licence=3" })).toMatchObject({
    ...{ graceMs: 120_000, gpus: "0,2", resources: { cpus: 8, memoryBytes: 64 * 2 ** 30, licence: 3 } },
  });
});

describe("a mistake is one sentence with the option, what was expected and what came", () => {
  it.each<[string, DaemonFlags, RegExp]>([
    ["no model", { vllm: ["port=8001"] }, /^--vllm: expected begins|^--vllm: .*model.*"port=8001"/],
    ["nothing", { vllm: [""] }, /^--vllm: .*got ""/],
    ["an unknown key", { vllm: ["m,prot=1"] }, /^--vllm: expected one of name, port, .*arg, got "prot"/],
    ["a key of every object", { vllm: ["m,constructor=1"] }, /^--vllm: expected one of .*got "constructor"/],
    ["a key twice", { vllm: ["m,tp=1,tp=2"] }, /^--vllm: expected tp once, got "m,tp=1,tp=2"/],
    ["a word for a number", { vllm: ["m,tp=two"] }, /^--vllm tp: expected a number, got "two"/],
    ["part of a device too many", { vllm: ["m,tp=2.5"] }, /^--vllm tp: expected a whole number from 1 to 1024, got/],
    ["a port out of range", { vllm: ["m,port=70000"] }, /^--vllm port: expected a whole number from 0 to 65535/],
    ["a share over one", { vllm: ["m,memory=90"] }, /^--vllm memory: expected a share above 0, up to 1/],
    ["no slots", { vllmSim: ["m,slots=0"] }, /^--vllm-sim slots: expected a whole number from 1 to/],
    ["a flag of its own kind", { vllm: ["m,cache=maybe"] }, /^--vllm cache: expected on or off, got "maybe"/],
    ["no duration", { vllm: ["m,sleep,idle-sleep=soon"] }, /^--vllm idle-sleep: expected a duration.*got "soon"/],
    ["no stall", { vllm: ["m,stall=0ms"] }, /^--vllm stall: expected 10 to \d+ milliseconds/],
    ["idle without sleep", { vllm: ["m,idle-sleep=5m"] }, /^--vllm sleep: expected true beside/],
    ["ours among further arguments", { vllm: ["m,arg=--port=1"] }, /^--vllm arg: expected none of --host, --port/],
    ["what is not simulated", { vllmSim: ["m,tp=2"] }, /^--vllm-sim: expected none of tp, memory, cache, got "tp"/],
    [
      "an address that is none",
      { adopt: ["localhost:8000"] },
      /^--adopt URL: expected an address that begins with http/,
    ],
    ["a key that is not for it", { adopt: ["http://h,port=1"] }, /^--adopt: expected model or slots.*got "port"/],
    ["a model twice", { adopt: ["http://h,model=a,model=b"] }, /^--adopt: expected model once/],
    ["slots in words", { adopt: ["http://h,slots=few"] }, /^--adopt slots: expected a whole number, got "few"/],
    ["no slots there", { adopt: ["http://h,slots=0"] }, /^--adopt slots: expected a whole number from 1/],
    ["a door in words", { http: "door" }, /^--http: expected a port, host:port or off, got "door"/],
    ["a door out of range", { http: "70000" }, /^--http: expected a port/],
    ["an empty door", { http: "" }, /^--http: expected a port.*got ""/],
    ["no grace", { grace: "long" }, /^--grace: expected a duration, such as 30s or 2m, got "long"/],
    ["no amount", { resources: "cpus" }, /^resources: "cpus" is no name=number/],
  ])("%s", (_, flags, says) => {
    expect.assertions(2);
    try {
      parse(flags);
    } catch (error) {
      if (!isFlotillaError(error)) throw error;
      expect(error.message).toMatch(says);
      expect(error.message).not.toContain("\n");
    }
  });
});
