// A port on which HTTP/1.1 and HTTP/2 are both understood, with TLS or without.
// It knows no RPC: what is asked goes to the handler.
//
//     without TLS:  connection ──▶ first bytes ──"PRI * HTTP/2.0"──▶ HTTP/2
//                                            └──anything else──────▶ HTTP/1.1
//     with TLS:     the client chooses while it connects (ALPN)
//
// DL1  Whoever connects and says nothing is sent away after FIRST_BYTES_MS; connections and the calls on each are bounded.
// DL2  Closing lets calls under way end, for at most `graceMs`.

import { readFile } from "node:fs/promises";
import { createServer, type Server as Http1Server } from "node:http";
import {
  createServer as createHttp2Server,
  createSecureServer,
  type Http2SecureServer,
  type Http2Server,
  type ServerHttp2Session,
} from "node:http2";
import type { AddressInfo, Server, Socket } from "node:net";
import type { connectNodeAdapter } from "@connectrpc/connect-node";
import { type Clock, sleep } from "../../runtime/index.ts";
import { fail } from "../errors.ts";

type NodeHandlerFn = ReturnType<typeof connectNodeAdapter>;

/** PEM files. */
export interface TlsFiles {
  readonly keyFile: string;
  readonly certFile: string;
}

export interface ListenOptions {
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
  readonly handler: NodeHandlerFn;
  readonly tls?: TlsFiles;
  readonly clock: Clock;
}

export interface Listener {
  readonly port: number;
  /** May be called twice (DL2). */
  close(graceMs: number): Promise<void>;
}

const CONNECTIONS_MAX = 1_024;
const STREAMS_MAX = 256;
const FIRST_BYTES_MS = 10_000;
const PREFACE = Buffer.from("PRI * HTTP/2.0");
const POLL_MS = 10;

/** Throws PortTaken, OptionInvalid. */
export async function listen({ host, port, handler, tls, clock }: ListenOptions): Promise<Listener> {
  const settings = { maxConcurrentStreams: STREAMS_MAX };
  const sessions = new Set<ServerHttp2Session>();
  const sockets = new Set<Socket>();
  const { server, http2 } =
    tls === undefined ? plainServer(handler, settings) : await secureServer(handler, settings, tls);
  http2.on("session", (session) => {
    sessions.add(session);
    session.once("close", () => sessions.delete(session));
  });
  // Of one connection, which ends by it.
  http2.on("sessionError", () => {});
  server.maxConnections = CONNECTIONS_MAX;
  server.on("connection", (socket: Socket) => {
    sockets.add(socket);
    socket.once("close", () => sockets.delete(socket));
  });
  await bind(server, host, port);
  let closing: Promise<void> | undefined;
  return {
    port: (server.address() as AddressInfo).port,
    close: (graceMs) => (closing ??= close(server, sessions, sockets, clock, graceMs)),
  };
}

async function close(
  server: Server,
  sessions: ReadonlySet<ServerHttp2Session>,
  sockets: ReadonlySet<Socket>,
  clock: Clock,
  graceMs: number,
): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  for (const session of sessions) session.close();
  const untilMs = clock.monotonic() + graceMs;
  while (sockets.size > 0 && clock.monotonic() < untilMs) {
    // Those whose last answer has just gone out, too.
    if ("closeIdleConnections" in server) (server as Http1Server).closeIdleConnections();
    await sleep(clock, POLL_MS);
  }
  for (const socket of sockets) socket.destroy();
  await closed;
}

interface Servers {
  /** The one that listens. */
  readonly server: Server;
  readonly http2: Http2Server | Http2SecureServer;
}

type Settings = { readonly maxConcurrentStreams: number };

/** The HTTP/1.1 server listens, so that its own time-outs are in force; connections that turn out to be HTTP/2 are handed over. */
function plainServer(handler: NodeHandlerFn, settings: Settings): Servers {
  const server = createServer(handler);
  const http2 = createHttp2Server({ settings }, handler);
  const asHttp1 = server.listeners("connection") as ((socket: Socket) => void)[];
  server.removeAllListeners("connection");
  server.on("connection", (socket: Socket) => {
    socket.on("error", () => socket.destroy());
    firstBytes(socket, (isHttp2) => {
      if (isHttp2) {
        // Half-open connections are HTTP/1.1's; here the other side's end is the end.
        socket.allowHalfOpen = false;
        http2.emit("connection", socket);
      } else for (const listener of asHttp1) listener.call(server, socket);
    });
  });
  return { server, http2 };
}

async function secureServer(handler: NodeHandlerFn, settings: Settings, files: TlsFiles): Promise<Servers> {
  const [key, cert] = await Promise.all([readPem(files.keyFile, "key"), readPem(files.certFile, "certificate")]);
  try {
    const http2 = createSecureServer({ key, cert, allowHTTP1: true, minVersion: "TLSv1.2", settings }, handler);
    return { server: http2, http2 };
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    const message = `the TLS key and certificate are refused (${why}); give a key and its certificate as PEM files.`;
    throw fail("OptionInvalid", message, { cause: error });
  }
}

async function readPem(file: string, what: string): Promise<Buffer> {
  try {
    return await readFile(file);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    throw fail("OptionInvalid", `the TLS ${what} ${JSON.stringify(file)} cannot be read (${code}).`, { cause: error });
  }
}

/** Tells whether a connection begins as HTTP/2 does, and puts back what it read. */
function firstBytes(socket: Socket, decide: (isHttp2: boolean) => void): void {
  let head = Buffer.alloc(0);
  const leave = () => socket.destroy();
  const onReadable = () => {
    const chunk: Buffer | null = socket.read();
    if (chunk === null) return;
    head = Buffer.concat([head, chunk]);
    const size = Math.min(head.length, PREFACE.length);
    const isAlike = head.subarray(0, size).equals(PREFACE.subarray(0, size));
    if (isAlike && size < PREFACE.length) return;
    socket.off("readable", onReadable).off("end", leave).off("timeout", leave).setTimeout(0);
    socket.unshift(head);
    decide(isAlike);
  };
  socket.on("readable", onReadable).on("end", leave).on("timeout", leave).setTimeout(FIRST_BYTES_MS);
}

function bind(server: Server, host: string, port: number): Promise<void> {
  return new Promise((resolve, reject) => {
    server.once("error", (error: NodeJS.ErrnoException) => {
      const { code } = error;
      reject(
        code === "EADDRINUSE"
          ? fail("PortTaken", `${host}:${port} is in use; give another port.`, { data: { host, port } })
          : fail("OptionInvalid", `${host}:${port} cannot be listened on (${code}); give an address of this machine.`),
      );
    });
    server.listen(port, host, resolve);
  });
}
