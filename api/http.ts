// The HTTP door of a daemon: whether it lives, whether it is ready, its metrics, and who is in the fleet. It changes nothing.
//
// HT1  It listens on the loopback unless told otherwise. Elsewhere it shows health and metrics only.
// HT2  On the loopback a request must name it as such: a web page that a person looks at must not read the fleet through a name of its own
//      that leads here (DNS rebinding).
// HT3  It is open before its node has joined: alive then, and not ready. It is not ready either while the node drains, or has lost its place.

import { createServer, type IncomingMessage, type Server, type ServerResponse } from "node:http";
import type { AddressInfo } from "node:net";
import type { ActorSystem } from "../runtime/index.ts";
import { fail } from "./errors.ts";

/** The node behind the door, once it has joined. */
export interface HttpNode {
  readonly system: Pick<ActorSystem, "nodes" | "facts" | "isMember">;
  /** Prometheus text of this moment. */
  readonly metrics: () => Promise<string>;
}

export interface HttpOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly node: () => HttpNode | undefined;
}

export interface HttpDoor {
  /** "http://127.0.0.1:8470". */
  readonly url: string;
  close(): Promise<void>;
}

const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

/** Opens the door. Throws PortTaken, OptionInvalid. */
export async function openHttp(options: HttpOptions): Promise<HttpDoor> {
  const { host, port } = options;
  const server = createServer((request, response) => {
    answer(request, response, options).catch((error: unknown) => send(response, 500, { error: String(error) }));
  });
  await listen(server, host, port);
  const { port: bound } = server.address() as AddressInfo;
  return {
    url: `http://${host.includes(":") ? `[${host}]` : host}:${bound}`,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

function listen(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const { code } = error;
      reject(
        code === "EADDRINUSE"
          ? fail("PortTaken", `--http: ${host}:${port} is in use; give another port, or off.`, { data: { host, port } })
          : fail(
              "OptionInvalid",
              `--http: ${host}:${port} cannot be listened on (${code}); give an address of this machine and a port that is free to use.`,
              { cause: error },
            ),
      );
    });
    server.listen(port, host, resolve);
  });
}

async function answer(request: IncomingMessage, response: ServerResponse, options: HttpOptions): Promise<void> {
  const isLocal = LOOPBACK.has(options.host);
  if (isLocal && !LOOPBACK.has(hostOf(request))) return send(response, 421, { error: "ask 127.0.0.1 or localhost" });
  if (request.method !== "GET") return send(response, 405, { error: "GET only" }, { allow: "GET" });
  const node = options.node();
  switch (request.url?.split("?")[0]) {
    case "/healthz":
      return send(response, 200, { ok: true });
    case "/readyz":
      return ready(response, node);
    case "/metrics":
      return node === undefined ? joining(response) : metrics(response, await node.metrics());
    case "/nodes":
      if (!isLocal) break;
      if (node === undefined) return joining(response);
      return send(response, 200, { ...node.system.facts, nodes: node.system.nodes() });
  }
  send(response, 404, { error: "there are /healthz, /readyz, /metrics and, on the loopback, /nodes" });
}

/** HT3 */
function ready(response: ServerResponse, node: HttpNode | undefined): void {
  const [own] = node?.system.nodes() ?? [];
  const isMember = node?.system.isMember ?? false;
  const draining = own?.draining ?? false;
  const isReady = isMember && own?.accepts === true && !draining;
  send(response, isReady ? 200 : 503, { ready: isReady, member: isMember, draining });
}

const joining = (response: ServerResponse): void => send(response, 503, { error: "this node has not joined yet" });

function metrics(response: ServerResponse, text: string): void {
  response.writeHead(200, { "content-type": "text/plain; version=0.0.4; charset=utf-8" }).end(text);
}

/** The host that the client meant to reach, without its port. */
const hostOf = ({ headers: { host = "" } }: IncomingMessage): string =>
  host.replace(/:\d+$/, "").replace(/^\[(.*)\]$/, "$1");

function send(
  response: ServerResponse,
  status: number,
  body: object,
  headers: Readonly<Record<string, string>> = {},
): void {
  if (response.headersSent) return void response.destroy();
  response.writeHead(status, { "content-type": "application/json", ...headers }).end(`${JSON.stringify(body)}\n`);
}
