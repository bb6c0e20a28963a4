// A program that takes the place of `vllm serve`: its routes as far as nodes/engine/ uses them, and every way to fail, on demand.
// It computes nothing and is no vLLM; what it is told to do at its start comes in FAKE_ENGINE (JSON), and later by POST /fake/….

import { spawn } from "node:child_process";
import { createServer, type IncomingMessage, type ServerResponse } from "node:http";
import { parseArgs } from "node:util";

/** What FAKE_ENGINE says. */
export interface FakeEngineOptions {
  /** Starts a child that ignores SIGTERM, and prints "grandchild PID". */
  readonly hasGrandchild?: boolean;
  readonly ignoresTerm?: boolean;
  /** Drops what it is told of JSON schemas. */
  readonly isLax?: boolean;
  /** Has neither /health nor /metrics nor /version. */
  readonly isBare?: boolean;
}

/**
 * What it can be told by POST /fake/MODE: fine; no answers at all; no answers to requests; the same, and others
 * make progress; 503 to requests; 503 from /health; exit.
 */
export type FakeMode = "fine" | "hang" | "stall" | "queue" | "refuse" | "sick" | "die";

const options = JSON.parse(process.env.FAKE_ENGINE ?? "{}") as FakeEngineOptions;
const { values } = parseArgs({
  options: { port: { type: "string", default: "0" }, "served-model-name": { type: "string", default: "fake" } },
  strict: false,
});
const model = String(values["served-model-name"]);

let mode: FakeMode = "fine";
let asked = 0;
let tokens = 0;
let running = 0;
let isAsleep = false;
/** Until then it works on a request without a sign of it, but finishes. */
let prefillUntilMs = 0;

if (options.hasGrandchild === true) {
  const child = spawn("sh", ["-c", 'trap "" TERM; while :; do sleep 1; done'], {
    stdio: ["ignore", "inherit", "inherit"],
  });
  process.stdout.write(`grandchild ${child.pid}\n`);
}
if (options.ignoresTerm === true) process.on("SIGTERM", () => {});
createServer((request, response) => void answer(request, response)).listen(Number(values.port), "127.0.0.1", () =>
  process.stdout.write("\u001b[32mfake engine\u001b[0m listens\n"),
);

async function answer(request: IncomingMessage, response: ServerResponse): Promise<void> {
  const [path = "", query = ""] = (request.url ?? "").split("?");
  const body = await bodyOf(request);
  if (path.startsWith("/fake/")) return control(path.slice("/fake/".length), Number(query), response);
  if (mode === "hang") return;
  if (path === "/v1/models") {
    return json(response, 200, { data: [{ id: model, owned_by: options.isBare ? "you" : "vllm", max_model_len: 99 }] });
  }
  if (path === "/v1/chat/completions") return complete(body, response);
  if (options.isBare === true) return json(response, 404, {});
  if (path === "/health") return json(response, mode === "sick" ? 503 : 200, {});
  if (path === "/version") return json(response, 200, { version: "0.0.0" });
  if (path === "/metrics") return void response.end(metrics());
  if (process.env.VLLM_SERVER_DEV_MODE !== "1") return json(response, 404, {});
  if (path === "/sleep" || path === "/wake_up") isAsleep = path === "/sleep";
  return json(response, 200, { is_sleeping: isAsleep });
}

/** What it is told, and what it tells of itself. */
function control(what: string, ms: number, response: ServerResponse): void {
  if (what === "die") process.exit(7);
  if (what === "prefill") prefillUntilMs = Date.now() + ms;
  else if (what !== "asked") mode = what as FakeMode;
  json(response, 200, { asked });
}

function complete(body: { readonly response_format?: unknown }, response: ServerResponse): void {
  asked += 1;
  if (mode === "refuse") return json(response, 503, {});
  if (mode === "stall" || mode === "queue") {
    running += 1;
    return;
  }
  const finish = () => {
    tokens += 1;
    const isConstrained = body.response_format !== undefined && options.isLax !== true;
    const content = isConstrained ? '{ "word":\n"flotilla"}' : "Hello!";
    json(response, 200, { choices: [{ message: { role: "assistant", content }, finish_reason: "stop" }] });
  };
  setTimeout(finish, Math.max(0, prefillUntilMs - Date.now()));
}

function metrics(): string {
  // Slower than it is looked at.
  if (mode === "queue") tokens = Math.floor(performance.now() / 250);
  return [
    `vllm:num_requests_running{engine="0",model_name="${model}"} ${running}.0`,
    `vllm:num_requests_waiting{engine="0",model_name="${model}"} 0.0`,
    `vllm:generation_tokens_total{engine="0",model_name="${model}"} ${tokens}.0`,
    `vllm:generation_tokens_created{engine="0"} ${performance.now()}`,
    `vllm:request_prompt_tokens_count{engine="0"} ${performance.now()}`,
    "",
  ].join("\n");
}

function json(response: ServerResponse, status: number, body: unknown): void {
  response.writeHead(status, { "content-type": "application/json" }).end(JSON.stringify(body));
}

async function bodyOf(request: IncomingMessage): Promise<{ readonly response_format?: unknown }> {
  let text = "";
  for await (const piece of request) text += String(piece);
  return text === "" ? {} : JSON.parse(text);
}
