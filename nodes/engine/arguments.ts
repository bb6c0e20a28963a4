// The command line and the environment of a vLLM, from settings. Pure: it looks for no program and chooses no port.

import type { VllmSettings } from "./options.ts";

/** Ports as they are at this start. */
export interface EnginePorts {
  readonly port: number;
  /** Of cache events and of their replay. */
  readonly kvEvents?: { readonly port: number; readonly replayPort: number };
}

/** What cache events are published under. */
export const KV_TOPIC = "kv";

/** The arguments of `vllm serve`, without the program. */
export function vllmArguments(settings: VllmSettings, ports: EnginePorts): readonly string[] {
  const { model, tensorParallel, maxModelLen, gpuMemoryShare, prefixCaching, maxNumSeqs, sleepMode } = settings;
  const valued: readonly (readonly [flag: string, value: string | number | undefined])[] = [
    ["--host", "127.0.0.1"],
    ["--port", ports.port],
    ["--served-model-name", servedName(settings)],
    ["--tensor-parallel-size", tensorParallel],
    ["--max-model-len", maxModelLen],
    ["--gpu-memory-utilization", gpuMemoryShare],
    ["--max-num-seqs", maxNumSeqs],
    ["--kv-events-config", kvEventsConfig(ports)],
  ];
  return [
    "serve",
    model,
    ...valued.flatMap(([flag, value]) => (value === undefined ? [] : [flag, String(value)])),
    ...(prefixCaching === undefined ? [] : [prefixCaching ? "--enable-prefix-caching" : "--no-enable-prefix-caching"]),
    ...(sleepMode ? ["--enable-sleep-mode"] : []),
    ...settings.extraArgs,
  ];
}

/** Program and arguments: ours after the program's own, or filled into those that ask for them. */
export function engineCommand(settings: VllmSettings, ports: EnginePorts): readonly string[] {
  const filled: Readonly<Record<string, string>> = {
    "{model}": settings.model,
    "{name}": servedName(settings),
    "{port}": String(ports.port),
    "{kvEvents}": String(ports.kvEvents?.port ?? 0),
    "{kvReplay}": String(ports.kvEvents?.replayPort ?? 0),
  };
  const asks = settings.program.some((argument) => argument in filled);
  if (!asks) return [...settings.program, ...vllmArguments(settings, ports)];
  return [...settings.program.map((argument) => filled[argument] ?? argument), ...settings.extraArgs];
}

/** What is added to the child's environment. */
export function engineEnvironment(settings: VllmSettings): Readonly<Record<string, string>> {
  return {
    ...(settings.sleepMode && { VLLM_SERVER_DEV_MODE: "1" }),
    ...(settings.apiKey !== undefined && { VLLM_API_KEY: settings.apiKey }),
    ...settings.environment,
  };
}

/** What requests call the model. */
export const servedName = (settings: VllmSettings): string => settings.servedName ?? settings.model;

/** An endpoint without a star would have vLLM connect there instead of listening. */
function kvEventsConfig({ kvEvents }: EnginePorts): string | undefined {
  if (kvEvents === undefined) return undefined;
  return JSON.stringify({
    enable_kv_cache_events: true,
    publisher: "zmq",
    topic: KV_TOPIC,
    endpoint: `tcp://*:${kvEvents.port}`,
    replay_endpoint: `tcp://*:${kvEvents.replayPort}`,
  });
}
