// Tracing: which trace a message belongs to, and the spans of who asks and who answers. By OpenTelemetry's API package alone: what is
// done with spans (sampling, export) is the business of the SDK that the program registers, or nobody's.
// It is not logging, and it decides nothing.
//
//     caller                            wire                            actor
//     span "counter.add" CLIENT ──▶ { traceparent, tracestate } ──▶ span "counter.add" SERVER ──▶ what the method asks is its child
//          (cast: PRODUCER)                                              (cast: CONSUMER)
//
// TR1  Spans are recorded only when a tracer provider was registered at `connect`, or `tracing: true` was said (then one that comes later is
//      used, too). The API never says "nobody is registered"; but its provider is then a proxy that has no delegate to get a tracer from.
// TR2  Without spans a system pays one look at an undefined field for each call: classes are run unwrapped, messages carry nothing.
// TR3  A trace that arrives is passed on by every node, also by one that records none: what a message starts inherits its `trace`.
// TR4  The parent of what is asked is the span active in the OpenTelemetry context, where a context manager is registered; else the
//      message in hand. A method runs with its own span active, so what its libraries record becomes a child of it.
// TR5  A span ends when its message does: answered, thrown, or given up (cancelled, past its deadline, its actor gone); an error's code is
//      its `error.type`. What never left (not sendable, no such actor on this node) has no cast's span. Timers and watches begin new traces.
// TR6  What comes from other nodes is looked at before it is believed: a malformed traceparent is as none, as the W3C's text wants it.

import {
  type Attributes,
  type Context,
  context,
  createTraceState,
  isSpanContextValid,
  type Span as OpenTelemetrySpan,
  type ProxyTracerProvider,
  ROOT_CONTEXT,
  type SpanContext,
  SpanKind,
  SpanStatusCode,
  type Tracer,
  trace,
} from "@opentelemetry/api";
import type { ActorType, Method } from "./actor.ts";
import { type Address, formatAddress } from "./address.ts";
import type { Cancellable, Message } from "./cell/message.ts";
import { currentRunning, type Running } from "./cell/running.ts";
import type { WireError } from "./envelope.ts";
import { failureOf } from "./failure.ts";
import { isThenable } from "./thenable.ts";

/** W3C trace context, as it stands in HTTP headers. */
export interface TraceContext {
  readonly traceparent: string;
  readonly tracestate?: string;
}

/** A span of one question, open until its answer. */
export interface Span {
  /** What the question carries; undefined when there is neither a recorder nor a trace to pass on. */
  readonly context: TraceContext | undefined;
  /** May be called again; only the first counts. */
  end(why?: WireError): void;
}

/** How something is asked. */
export type Asking = "call" | "cast" | "stream" | "spawn";

const SCOPE = "flotilla";
const STATE_MAX = 512;
const TRACEPARENT = /^(?!ff)([0-9a-f]{2})-(?!0{32})([0-9a-f]{32})-(?!0{16})([0-9a-f]{16})-([0-9a-f]{2})(-.{0,200})?$/;

/** The spans of one node; undefined when none are wanted (TR1). */
export function tracingFor(node: string, wanted?: boolean): Tracing | undefined {
  if (wanted === false) return undefined;
  const tracer = registeredTracer() ?? (wanted ? trace.getTracer(SCOPE) : undefined);
  return tracer && new Tracing(tracer, node);
}

/** By shape and not by class: what is registered may come from another copy of the API package. */
function registeredTracer(): Tracer | undefined {
  const provider = trace.getTracerProvider();
  const { getDelegateTracer } = provider as Partial<ProxyTracerProvider>;
  return getDelegateTracer === undefined ? provider.getTracer(SCOPE) : getDelegateTracer.call(provider, SCOPE);
}

/** A trace context from outside, when it is one (TR6). */
export function traceFrom(traceparent: unknown, tracestate?: unknown): TraceContext | undefined {
  if (typeof traceparent !== "string" || spanContextOf({ traceparent }) === undefined) return undefined;
  if (typeof tracestate !== "string" || tracestate === "" || tracestate.length > STATE_MAX) return { traceparent };
  return { traceparent, tracestate };
}

function spanContextOf({ traceparent, tracestate }: TraceContext): SpanContext | undefined {
  const [, version, traceId = "", spanId = "", flags = "", more] = TRACEPARENT.exec(traceparent) ?? [];
  if (version === undefined || (version === "00" && more !== undefined)) return undefined;
  const parent = { traceId, spanId, traceFlags: Number.parseInt(flags, 16), isRemote: true };
  return tracestate === undefined ? parent : { ...parent, traceState: createTraceState(tracestate) };
}

function traceOf(span: SpanContext): TraceContext | undefined {
  if (!isSpanContextValid(span)) return undefined;
  const flags = (span.traceFlags & 0xff).toString(16).padStart(2, "0");
  const traceparent = `00-${span.traceId}-${span.spanId}-${flags}`;
  const tracestate = span.traceState?.serialize();
  return tracestate ? { traceparent, tracestate } : { traceparent };
}

function within(base: Context, given: TraceContext | undefined): Context {
  const parent = given && spanContextOf(given);
  return parent === undefined ? base : trace.setSpanContext(base, parent);
}

class OpenSpan implements Span, Cancellable {
  readonly context: TraceContext | undefined;
  readonly #span: OpenTelemetrySpan;
  #ended = false;

  constructor(span: OpenTelemetrySpan) {
    this.#span = span;
    this.context = traceOf(span.spanContext());
  }

  end(why?: WireError): void {
    if (this.#ended) return;
    this.#ended = true;
    if (why !== undefined) {
      this.#span.setAttribute("error.type", why.code);
      this.#span.setStatus({ code: SpanStatusCode.ERROR, message: `${why.code}: ${why.message}` });
    }
    this.#span.end();
  }

  cancel(why: WireError): void {
    this.end(why);
  }
}

/** How one run of a method ends: its span first, then what the actor answers. */
interface Ending {
  done(): void;
  failed(error: unknown): void;
}

export class Tracing {
  readonly #tracer: Tracer;
  readonly #node: string;
  readonly #served = new WeakMap<ActorType, ActorType>();

  constructor(tracer: Tracer, node: string) {
    this.#tracer = tracer;
    this.#node = node;
  }

  /** A span for something asked of an actor now. */
  begin(asking: Asking, to: Pick<Address, "type" | "node"> & Partial<Address>, method: string): Span {
    const kind = asking === "cast" ? SpanKind.PRODUCER : SpanKind.CLIENT;
    const attributes = { "flotilla.asking": asking, ...attributesOf(to.type, method, to.node) };
    if (to.id !== undefined) Object.assign(attributes, { "flotilla.actor": formatAddress(to as Address) });
    return new OpenSpan(this.#tracer.startSpan(`${to.type}.${method}`, { kind, attributes }, asked()));
  }

  /** Runs `make`, which spawns an actor of a type, within a span. */
  async spawning<Made>(type: string, make: () => Promise<Made>): Promise<Made> {
    const span = this.begin("spawn", { type, node: this.#node }, "spawn");
    try {
      const made = await make();
      span.end();
      return made;
    } catch (error) {
      span.end(failureOf(error, `spawn of ${type}`));
      throw error;
    }
  }

  /** A callback of the runtime's, outside the trace that happened to be there when it was set (TR5). */
  apart(run: () => unknown): () => unknown {
    return () => context.with(ROOT_CONTEXT, run);
  }

  /** The type with each method run within a span of its own. */
  served(type: ActorType): ActorType {
    let served = this.#served.get(type);
    if (served === undefined) {
      const methods = [...type.methods].map(([name, method]) => [name, this.#servedMethod(method)] as const);
      served = { ...type, methods: new Map(methods) };
      this.#served.set(type, served);
    }
    return served;
  }

  #servedMethod(method: Method): Method {
    const serve = this.#serve.bind(this);
    function run(this: unknown, ...args: unknown[]): unknown {
      const running = currentRunning();
      const message = running?.message;
      const invoke = () => method.run.apply(this, args);
      return running === undefined || message === undefined
        ? invoke()
        : serve(running, message, method.streams, invoke);
    }
    return { ...method, run };
  }

  #serve({ actor }: Running, message: Message, streams: boolean, invoke: () => unknown): unknown {
    const where = `${actor.address.type}.${message.method}`;
    const kind = message.sink === undefined ? SpanKind.CONSUMER : SpanKind.SERVER;
    const attributes = {
      ...attributesOf(actor.address.type, message.method, this.#node),
      "flotilla.actor": actor.label,
    };
    const parent = within(ROOT_CONTEXT, message.trace);
    const span = this.#tracer.startSpan(where, { kind, attributes }, parent);
    const open = new OpenSpan(span);
    message.trace = open.context;
    message.started(open);
    const end = (why?: WireError) => {
      message.finished(open);
      open.end(why);
    };
    const ending = { done: () => end(), failed: (error: unknown) => end(failureOf(error, where)) };
    const scope = trace.setSpan(parent, span);
    return streams ? streamed(scope, invoke, ending) : settled(scope, invoke, ending.done, ending);
  }
}

/** The context of something asked now (TR4). */
function asked(): Context {
  const active = context.active();
  const span = trace.getSpanContext(active);
  if (span !== undefined && isSpanContextValid(span)) return active;
  return within(active, currentRunning()?.message?.trace);
}

const attributesOf = (type: string, method: string, node: string): Attributes => ({
  "rpc.system": "flotilla",
  "rpc.service": type,
  "rpc.method": method,
  "flotilla.node": node,
});

/** Runs `invoke` in a context; calls `value` with what it answers, now or later, or `failed`. */
function settled<T>(scope: Context, invoke: () => T, value: (result: Awaited<T>) => void, ending: Ending): unknown {
  try {
    const result = context.with(scope, invoke);
    if (!isThenable(result)) {
      value(result as Awaited<T>);
      return result;
    }
    return Promise.resolve(result).then(
      (late) => {
        value(late as Awaited<T>);
        return late;
      },
      (error: unknown) => {
        ending.failed(error);
        throw error;
      },
    );
  } catch (error) {
    ending.failed(error);
    throw error;
  }
}

/** A generator each of whose steps runs in `scope`. */
function streamed(scope: Context, invoke: () => unknown, ending: Ending): unknown {
  const chunks = context.with(scope, invoke) as Iterator<unknown> | AsyncIterator<unknown>;
  const step = (advance: () => unknown) =>
    settled(scope, advance, (result) => (result as IteratorResult<unknown>).done && ending.done(), ending);
  return {
    next: () => step(() => chunks.next()),
    return: () => step(() => chunks.return?.(undefined) ?? { done: true, value: undefined }),
  };
}
