// A real vLLM for tests, where the machine has one. It is never the simulator.
//
//     FLOTILLA_VLLM_URL   one that runs already (http://host:port), FLOTILLA_VLLM_KV its KV events' endpoint if it publishes any
//     FLOTILLA_VLLM       a vllm program to start, with FLOTILLA_VLLM_MODEL, the folder of a small model
//
// L1  One that was started here is a process group of its own, and ends with all of it: the engine is a child that can outlive the server.

import { spawn } from "node:child_process";
import { once } from "node:events";
import { createServer } from "node:net";
import type { ModelServerUnderTest, Offers } from "../contracts/model-server.ts";
import { get } from "./vllm-client.ts";
import { waitUntil } from "./wait-until.ts";

export interface RealVllm {
  /** Why there is none; undefined: there is one. */
  readonly missing: string | undefined;
  readonly offers: Offers;
  open(): Promise<ModelServerUnderTest>;
}

const NOTHING: Offers = { hasKvEvents: false, hasReplay: false, hasDevMode: false };
/** Thirty seconds on a quiet machine; minutes beside other work. */
const READY_MAX_MS = 400_000;
const LEAVE_MAX_MS = 10_000;
const LOG_CHARACTERS = 4_000;

/** What the environment says of a real vLLM. */
export async function realVllm(env: NodeJS.ProcessEnv = process.env): Promise<RealVllm> {
  const { FLOTILLA_VLLM_URL: url, FLOTILLA_VLLM_KV: kv, FLOTILLA_VLLM: program, FLOTILLA_VLLM_MODEL: model } = env;
  if (url) {
    const hasDevMode = (await get(`${url}/is_sleeping`)).status === 200;
    const offers = { hasKvEvents: Boolean(kv), hasReplay: false, hasDevMode };
    return { missing: undefined, offers, open: async () => described(url, kv || undefined, undefined, async () => {}) };
  }
  const open = async () => {
    throw new Error("there is no vLLM to open");
  };
  if (!program) return { missing: "neither FLOTILLA_VLLM_URL nor FLOTILLA_VLLM is set", offers: NOTHING, open };
  if (!model) return { missing: "FLOTILLA_VLLM_MODEL, the folder of a small model, is not set", offers: NOTHING, open };
  const offers = { hasKvEvents: true, hasReplay: true, hasDevMode: true };
  return { missing: undefined, offers, open: () => startReal(program, model) };
}

async function described(
  url: string,
  kvEndpoint: string | undefined,
  replayEndpoint: string | undefined,
  close: () => Promise<void>,
): Promise<ModelServerUnderTest> {
  const { json } = await get(`${url}/v1/models`);
  const [model, maxModelLen] = [json.text("data", 0, "id"), json.number("data", 0, "max_model_len")];
  return { url, model, maxModelLen, kvEndpoint, replayEndpoint, close };
}

/** A port that is free now; vLLM cannot be asked which one it took. */
async function freePort(): Promise<number> {
  const server = createServer().listen(0, "127.0.0.1");
  await once(server, "listening");
  const { port } = server.address() as { port: number };
  server.close();
  await once(server, "close");
  return port;
}

async function startReal(program: string, model: string): Promise<ModelServerUnderTest> {
  const [port, kv, replay] = [await freePort(), await freePort(), await freePort()];
  const events = {
    enable_kv_cache_events: true,
    publisher: "zmq",
    topic: "kv",
    endpoint: `tcp://*:${kv}`,
    replay_endpoint: `tcp://127.0.0.1:${replay}`,
  };
  const args = [
    "serve",
    model,
    "--served-model-name",
    "Qwen/Qwen3-0.6B",
    "--host",
    "127.0.0.1",
    "--port",
    String(port),
  ];
  const child = spawn(
    program,
    [
      ...args,
      ...["--max-model-len", "8192", "--max-num-seqs", "16", "--enforce-eager", "--enable-prompt-tokens-details"],
      ...["--enable-auto-tool-choice", "--tool-call-parser", "hermes", "--kv-events-config", JSON.stringify(events)],
    ],
    {
      detached: true,
      stdio: ["ignore", "pipe", "pipe"],
      env: { VLLM_CPU_KVCACHE_SPACE: "1", OMP_NUM_THREADS: "1", VLLM_SERVER_DEV_MODE: "1", ...process.env },
    },
  );
  let log = "";
  let isOver = false;
  for (const stream of [child.stdout, child.stderr]) {
    stream.setEncoding("utf8").on("data", (piece: string) => {
      log = (log + piece).slice(-LOG_CHARACTERS);
    });
  }
  const ended = once(child, "exit").then(() => {
    isOver = true;
  });
  const close = async () => {
    // L1: by the group that this process made, and by nothing else. A server whose engine is still loading does not heed SIGTERM.
    signalGroup(child.pid, "SIGTERM");
    await waitUntil("vLLM ended when told to", () => isOver, LEAVE_MAX_MS).catch(() => {});
    await waitUntil("nothing of vLLM is left", () => !signalGroup(child.pid, "SIGKILL"));
    await ended;
  };
  const url = `http://127.0.0.1:${port}`;
  try {
    const isUp = () =>
      get(`${url}/health`).then(
        ({ status }) => status === 200,
        () => isOver,
      );
    await waitUntil("vLLM is healthy", isUp, READY_MAX_MS);
    if (isOver) throw new Error(`vLLM ended by itself:\n${log}`);
    return await described(url, `tcp://127.0.0.1:${kv}`, `tcp://127.0.0.1:${replay}`, close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** False: nobody is left in the group. */
function signalGroup(pid: number | undefined, signal: NodeJS.Signals): boolean {
  if (pid === undefined) return false;
  try {
    return process.kill(-pid, signal);
  } catch {
    return false;
  }
}
