// The model on the agent's own node: whichever server there has it now. The server is looked up in the node's own record.
// It is not the talking (openai-model.ts) nor the starting of servers (nodes/).
//
// NM1  A server that refuses the connection is looked up anew: it may have been started again on another port. While the record lists one
//      that may come back it is waited for, as long as the call may last; one that the record calls ready although it refuses, for STALE_MS.
// NM2  Where the record lists no server for the model the call fails at once, with what the node has.

import {
  type Clock,
  type EngineReport,
  type FlotillaError,
  isFlotillaError,
  type NodeRecord,
  sleep,
} from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import type { Model, ModelReply, ModelRequest } from "./model.ts";
import { OpenAiModel } from "./openai-model.ts";

export interface NodeModelOptions {
  readonly model: string;
  /** Sent along with every request (OpenAiModelOptions). */
  readonly session: string;
  readonly clock: Clock;
  /** The node's record as it is now; undefined in a process that is alone. */
  readonly node: () => NodeRecord | undefined;
}

/** A node tells how it stands at most twice a second. */
const LOOK_AGAIN_MS = 500;
/** A daemon notices an engine that exits within 1 s and one that hangs within 3 s; beyond that its word is not good. */
const STALE_MS = 10_000;

/** Servers that answer, and those that may be waited for. */
const ANSWERS: ReadonlySet<string> = new Set(["ready", "busy"]);

export class NodeModel implements Model {
  readonly name: string;
  readonly #options: NodeModelOptions;
  #server: OpenAiModel | undefined = undefined;

  constructor(options: NodeModelOptions) {
    this.name = options.model;
    this.#options = options;
  }

  /** Rejects with NodeWithoutModel, or as an OpenAiModel does. */
  async complete(request: ModelRequest): Promise<ModelReply> {
    const { clock } = this.#options;
    const endMs = clock.monotonic() + request.timeoutMs;
    let error: FlotillaError | undefined;
    let staleSinceMs: number | undefined;
    for (;;) {
      this.#server ??= this.#find();
      if (this.#server === undefined) staleSinceMs = undefined;
      else {
        const reply = await this.#ask(this.#server, { ...request, timeoutMs: endMs - clock.monotonic() });
        if (!isFlotillaError(reply)) return reply;
        error = reply;
        staleSinceMs ??= clock.monotonic();
        this.#server = undefined;
      }
      const nowMs = clock.monotonic();
      const isStale = staleSinceMs !== undefined && nowMs - staleSinceMs >= STALE_MS;
      if (isStale || endMs - nowMs <= LOOK_AGAIN_MS) throw error ?? this.#without();
      await sleep(clock, LOOK_AGAIN_MS, request.signal).catch(() => {
        throw fail("Cancelled", `The wait for a server of ${this.name} was cancelled.`);
      });
    }
  }

  /** Answers with the error when the server cannot be reached; other failures are thrown. */
  async #ask(server: OpenAiModel, request: ModelRequest): Promise<ModelReply | FlotillaError> {
    try {
      return await server.complete(request);
    } catch (error) {
      if (isFlotillaError(error, "ModelUnreachable")) return error;
      throw error;
    }
  }

  /** The server to ask; undefined while one may come. Throws NodeWithoutModel (NM2). */
  #find(): OpenAiModel | undefined {
    const { model, session, clock, node } = this.#options;
    const servers = (node()?.report?.engines ?? []).filter((engine) => engine.model === model);
    if (servers.length === 0) throw this.#without();
    const url = leastBusy(servers)?.url;
    return url === undefined ? undefined : new OpenAiModel({ url, model, session, clock });
  }

  #without(): FlotillaError {
    const { model, node } = this.#options;
    const record = node();
    if (record === undefined)
      return fail("NodeWithoutModel", `This process is no node of a fleet, so it has no server for "${model}".`);
    const engines = record.report?.engines ?? [];
    const has = engines.map((engine) => `${engine.model} (${engine.state})`).join(", ") || "no model server";
    const message = `Node ${record.name} has no server that answers for "${model}"; it has: ${has}.`;
    return fail("NodeWithoutModel", message, { data: { node: record.name, model } });
  }
}

function leastBusy(servers: readonly EngineReport[]): EngineReport | undefined {
  const load = ({ running, waiting }: EngineReport) => running + waiting;
  return servers
    .filter(({ state, url }) => ANSWERS.has(state) && url !== undefined)
    .sort((one, other) => load(one) - load(other))[0];
}
