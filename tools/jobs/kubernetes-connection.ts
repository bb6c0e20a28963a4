// Requests to a Kubernetes API server: one JSON answer, or a stream of lines. Which server and by whose right, the official client's
// configuration says (kubeconfig files, in-cluster tokens, exec plugins); its own requests are not used, because each of them opens a connection
// of its own and a followed log that breaks off ends the process.
//
// KC1  Every request has an end: JSON answers within ANSWER_WITHIN_MS, streams by their signal.
// KC2  A request ends with its signal by being destroyed: a request that is given a signal fails, at the end of a reply, where nobody can catch it.
// KC3  An answer that refuses is an ApiRefusal with the server's words; whatever else goes wrong is BackendUnavailable.

import { once } from "node:events";
import { type IncomingMessage, request as plainRequest } from "node:http";
import { type RequestOptions, request as secureRequest } from "node:https";
import type { KubeConfig } from "@kubernetes/client-node";
import { type Clock, type FlotillaError, isFlotillaError } from "../../runtime/index.ts";
import { fail } from "../errors.ts";

const ANSWER_WITHIN_MS = 30_000;
const MERGE_PATCH = "application/merge-patch+json";

export class ApiRefusal extends Error {
  readonly status: number;
  /** NotFound, AlreadyExists, Forbidden, Invalid …; "" where the server gives none. */
  readonly reason: string;

  constructor(status: number, reason: string, message: string) {
    super(message);
    this.status = status;
    this.reason = reason;
  }
}

export const unavailable = (refusal: ApiRefusal): FlotillaError =>
  fail("BackendUnavailable", `The API server refuses: ${refusal.message}.`, { cause: refusal });

export interface ApiRequest {
  readonly method: "GET" | "POST" | "PATCH" | "DELETE";
  /** From /api or /apis on. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string>>;
  readonly body?: unknown;
  readonly signal?: AbortSignal;
}

export interface KubernetesAccess {
  /** A file. Default KUBECONFIG, else ~/.kube/config, else what a Pod of the cluster is given. */
  readonly kubeconfig?: string | undefined;
  /** Of that configuration. Default its current one. */
  readonly context?: string | undefined;
}

export class KubernetesConnection {
  /** Of the server. */
  readonly address: string;
  /** That the configuration names, if any. */
  readonly namespace: string | undefined;
  readonly #config: KubeConfig;
  readonly #clock: Clock;

  private constructor(config: KubeConfig, address: string, clock: Clock) {
    this.#config = config;
    this.#clock = clock;
    this.address = address;
    this.namespace = config.getContextObject(config.getCurrentContext())?.namespace;
  }

  /** Throws BackendUnavailable when there is no configuration. */
  static async open(access: KubernetesAccess, clock: Clock): Promise<KubernetesConnection> {
    const { KubeConfig: Config } = await import("@kubernetes/client-node");
    const config = new Config();
    try {
      if (access.kubeconfig === undefined) config.loadFromDefault();
      else config.loadFromFile(access.kubeconfig);
      if (access.context !== undefined) config.setCurrentContext(access.context);
    } catch (error) {
      throw fail("BackendUnavailable", `The kubeconfig cannot be read: ${(error as Error).message}.`, { cause: error });
    }
    const cluster = config.getCurrentCluster();
    // What the client makes up where it finds nothing.
    if (cluster === null || cluster.server === "http://localhost:8080") {
      const where = access.context === undefined ? "" : ` with a context ${access.context}`;
      throw fail(
        "BackendUnavailable",
        `There is no Kubernetes cluster here: no kubeconfig${where}, and no Pod's token.`,
      );
    }
    return new KubernetesConnection(config, cluster.server.replace(/\/$/, ""), clock);
  }

  /** The answer's JSON. Throws ApiRefusal, BackendUnavailable. */
  async ask<T>(request: ApiRequest): Promise<T> {
    const late = new AbortController();
    const timer = this.#clock.schedule(ANSWER_WITHIN_MS, () => late.abort(new Error("it does not answer")), true);
    const signal = request.signal === undefined ? late.signal : AbortSignal.any([late.signal, request.signal]);
    try {
      const reply = await this.#send({ ...request, signal });
      return JSON.parse((await reply.toArray()).join("")) as T;
    } catch (error) {
      throw this.#told(error, late.signal.aborted ? late.signal.reason : error);
    } finally {
      timer.cancel();
    }
  }

  /**
   * The answer, or undefined for one that says: not found, or another of these statuses. Throws BackendUnavailable alone: what is not allowed
   * here may be later.
   */
  async find<T>(request: ApiRequest, absent: readonly number[] = [404]): Promise<T | undefined> {
    try {
      return await this.ask<T>(request);
    } catch (error) {
      if (!(error instanceof ApiRefusal)) throw error;
      if (absent.includes(error.status)) return undefined;
      throw unavailable(error);
    }
  }

  /** Resolves when the answer begins; its lines then come one by one, and throw when the connection breaks. */
  async lines(
    path: string,
    query: Readonly<Record<string, string>>,
    signal: AbortSignal,
  ): Promise<AsyncIterable<string>> {
    try {
      const reply = await this.#send({ method: "GET", path, query, signal });
      return wholeLines(reply);
    } catch (error) {
      throw this.#told(error, error);
    }
  }

  async #send({ method, path, query = {}, body, signal }: ApiRequest): Promise<IncomingMessage> {
    const url = new URL(this.address + path);
    for (const [name, value] of Object.entries(query)) url.searchParams.set(name, value);
    const text = body === undefined ? undefined : JSON.stringify(body);
    const type = method === "PATCH" ? MERGE_PATCH : "application/json";
    // The length said: of a DELETE without it, Node sends a body that no server reads.
    const described = text === undefined ? {} : { "content-type": type, "content-length": Buffer.byteLength(text) };
    const headers = { accept: "application/json, */*", ...described };
    const options: RequestOptions = { method, headers };
    await this.#config.applyToHTTPSOptions(options);
    signal?.throwIfAborted();
    const request = (url.protocol === "http:" ? plainRequest : secureRequest)(url, options);
    const end = () => request.destroy(); // KC2
    signal?.addEventListener("abort", end, { once: true });
    // What breaks after the reply has begun is met by whoever reads; the request says it once more, to nobody.
    request.on("error", () => {}).once("close", () => signal?.removeEventListener("abort", end));
    request.end(text);
    const [reply] = (await once(request, "response")) as [IncomingMessage];
    if ((reply.statusCode ?? 500) < 300) return reply;
    throw refusal(reply.statusCode ?? 500, (await reply.toArray()).join(""));
  }

  #told(error: unknown, cause: unknown): unknown {
    if (error instanceof ApiRefusal || isFlotillaError(error)) return error;
    const { message, code } = cause as NodeJS.ErrnoException;
    const why = message || code;
    return fail("BackendUnavailable", `The API server at ${this.address} cannot be asked: ${why}.`, { cause });
  }
}

function refusal(status: number, text: string): ApiRefusal {
  try {
    const { message, reason } = JSON.parse(text) as { message?: string; reason?: string };
    return new ApiRefusal(status, reason ?? "", message ?? `status ${status}`);
  } catch {
    return new ApiRefusal(status, "", text.trim() || `status ${status}`);
  }
}

const LINE_MAX_BYTES = 8 * 2 ** 20;
const NEWLINE = 10;

/** Lines by their newline alone: a program's progress has returns in it. Of a longer one the beginning is kept. Throws when the reply breaks off. */
async function* wholeLines(reply: IncomingMessage): AsyncGenerator<string, void> {
  let parts: Buffer[] = [];
  let bytes = 0;
  const take = (): string => {
    const line = Buffer.concat(parts).toString("utf8");
    parts = [];
    bytes = 0;
    return line;
  };
  for await (const chunk of reply as AsyncIterable<Buffer>) {
    for (let from = 0; from < chunk.length; ) {
      const end = chunk.indexOf(NEWLINE, from);
      const part = chunk.subarray(from, Math.min(end < 0 ? chunk.length : end, from + LINE_MAX_BYTES - bytes));
      if (part.length > 0) parts.push(part);
      bytes += part.length;
      if (end < 0) break;
      yield take();
      from = end + 1;
    }
  }
  if (bytes > 0) yield take();
}
