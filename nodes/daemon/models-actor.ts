// The actor by which the model servers of a node are used and looked after from elsewhere: one on each daemon, found by its node's id.
// Agents of the node itself ask its servers directly; who is elsewhere cannot reach them, and comes through here.
//
// MA1  A reply is passed on as it comes, in the server's own words and without waiting for more of it: what arrived together stays together.
// MA2  A caller that gives up, or reads no further, ends the request at the server.
// MA3  A request in hand here counts at its server, so that stopping waits for it.
// MA4  A node that leaves takes no request any more, and cuts those off that are in hand when its time is over. Whoever is cut off is told
//      why, be it that or the death of the server.

import { createParser } from "eventsource-parser";
import { type ActorType, actorContext, defineActor, type EngineReport, isFlotillaError } from "../../runtime/index.ts";
import type { Engine } from "../engine/engine.ts";
import type { Engines } from "../engine/engines.ts";
import { nodeError } from "../errors.ts";

/** What it is found by, in the namespace that is its node's id. */
export const MODELS_ACTOR = "models";

export interface ChatRequest {
  /** Body of POST /v1/chat/completions; `stream` is set here. */
  readonly body: Readonly<Record<string, unknown>> & { readonly model: string };
  /** Goes along as X-Session-ID: vLLM copies it into its cache's events. */
  readonly session?: string;
}

/** What cannot travel to the actor. */
export interface ModelsSetup {
  readonly engines: Engines;
  /** Why nothing new is taken any more; undefined: it is. */
  readonly closed: () => string | undefined;
  /** Aborts, with why, when what is in hand is to be cut off. */
  readonly cut: AbortSignal;
}

/** Shown of a server's refusal. */
const REFUSAL_MAX_CHARS = 500;
const REQUESTS_AT_ONCE = 1_024;
const UNAVAILABLE = 503;

class ModelServers {
  readonly #setup: ModelsSetup | undefined;

  constructor(setup?: ModelsSetup) {
    this.#setup = setup;
  }

  /** The servers as they are now. */
  list(): readonly EngineReport[] {
    return this.#setup?.engines.reports() ?? [];
  }

  /** Last lines of a server's log. Throws ModelUnknown. */
  log(model: string): readonly string[] {
    return this.#engine(model).log;
  }

  /** Starts a server, or one that is dead again, and resolves when it is ready. Throws ModelUnknown, and why it cannot start. */
  async start(model: string): Promise<void> {
    const engine = this.#engine(model);
    const { signal } = actorContext();
    if (engine.status.kind === "dead") await engine.start(signal);
    else await engine.ready(signal);
  }

  /** Takes nothing new, lets what is in hand go on for `graceMs`, and ends it. Throws ModelUnknown. */
  async stop(model: string, graceMs?: number): Promise<void> {
    await this.#engine(model).stop(graceMs);
  }

  /** Throws ModelUnknown, EngineCannotSleep, EngineInUse, EngineNotReady. */
  async sleep(model: string): Promise<void> {
    await this.#engine(model).sleep();
  }

  /**
   * Streams a reply: each item is what arrived together, one text of JSON for each chunk of the server's.
   * Wakes a server that sleeps. Throws ModelUnknown, ModelRefused (data.status), ModelReplyCut, EngineNotReady, EngineStopped, EngineHung, and
   * why the server is dead.
   */
  async *chat({ body, session }: ChatRequest): AsyncGenerator<readonly string[], void> {
    const engine = this.#engine(body.model);
    const { closed, cut } = this.#setup as ModelsSetup;
    const why = closed();
    if (why !== undefined) throw refusal(`its node has closed, ${why}`, body.model, UNAVAILABLE);
    const { signal } = actorContext();
    const over = new AbortController();
    if (engine.status.kind === "asleep") await engine.ready(signal);
    const done = engine.use();
    try {
      const asking = AbortSignal.any([signal, cut, over.signal]);
      for await (const chunks of chunksOf(await ask(engine, body, session, asking))) {
        engine.sign();
        yield chunks;
      }
    } catch (error) {
      // Who gave up knows it.
      throw isFlotillaError(error) || signal.aborted ? error : cutOff(engine, cut, error);
    } finally {
      done();
      over.abort();
    }
  }

  #engine(model: string): Engine {
    const engine = this.#setup?.engines.find(model);
    if (engine !== undefined) return engine;
    const known = this.list().map((each) => each.model);
    const message = `this node has no server for ${model}; it has ${known.join(", ") || "none"}`;
    throw nodeError("ModelUnknown", message, { data: { model, known } });
  }
}

const refusal = (said: string, model: string, status: number): Error =>
  nodeError("ModelRefused", `the model server of ${model} takes no request: ${said}`, {
    data: { status, model },
  });

/** Why a reply that had begun, or a request, broke off. */
function cutOff({ status, model }: Engine, cut: AbortSignal, error: unknown): Error {
  const { message, cause } = error as Error;
  const broke = cause instanceof Error ? `${message}: ${cause.message}` : message;
  const why = cut.aborted
    ? String(cut.reason)
    : status.kind === "dead"
      ? status.why
      : `the connection broke (${broke})`;
  return nodeError("ModelReplyCut", `the reply of the model server of ${model} was cut off: ${why}`, {
    data: { model },
    cause: error,
  });
}

async function ask(
  engine: Engine,
  body: ChatRequest["body"],
  session: string | undefined,
  signal: AbortSignal,
): Promise<ReadableStream<Uint8Array>> {
  const { apiKey } = engine.settings;
  const answer = await fetch(`${engine.url}/v1/chat/completions`, {
    method: "POST",
    headers: {
      "content-type": "application/json",
      ...(apiKey !== undefined && { authorization: `Bearer ${apiKey}` }),
      ...(session !== undefined && { "x-session-id": session }),
    },
    body: JSON.stringify({ ...body, stream: true }),
    signal,
  });
  if (answer.ok && answer.body !== null) return answer.body;
  const said = (await answer.text()).slice(0, REFUSAL_MAX_CHARS);
  if (answer.status === UNAVAILABLE) engine.refused();
  throw refusal(`it answered ${answer.status}: ${said}`, body.model, answer.status);
}

/** Throws when it ends without the word by which a whole reply does: a server that is stopped closes its connections in order, too. */
async function* chunksOf(body: ReadableStream<Uint8Array>): AsyncGenerator<readonly string[], void> {
  let together: string[] = [];
  let isWhole = false;
  const onEvent = ({ data }: { readonly data: string }) => {
    if (data === "[DONE]") isWhole = true;
    else together.push(data);
  };
  const parser = createParser({ onEvent });
  const decoder = new TextDecoder();
  for await (const bytes of body) {
    parser.feed(decoder.decode(bytes, { stream: true }));
    if (together.length === 0) continue;
    yield together;
    together = [];
  }
  if (!isWhole) throw new Error("it ended before it was whole");
}

/** Its type as others know it: for handles. */
export const Models = defineActor("flotilla.models", ModelServers);

/** Its type on its own node, which gives it what cannot travel; and how it is spawned. */
export function modelsActor(setup: ModelsSetup, node: string) {
  const type: ActorType<typeof ModelServers> = defineActor(
    Models.type,
    class extends ModelServers {
      constructor() {
        super(setup);
      }
    },
  );
  return { type, options: { name: MODELS_ACTOR, namespace: node, node, concurrency: REQUESTS_AT_ONCE } };
}
