// A tracer provider registered for the whole process, with a context manager, that keeps what was recorded: what an SDK sets up.

import { AsyncLocalStorage } from "node:async_hooks";
import { type Context, type ContextManager, context, ROOT_CONTEXT, trace } from "@opentelemetry/api";
import {
  BasicTracerProvider,
  InMemorySpanExporter,
  type ReadableSpan,
  SimpleSpanProcessor,
} from "@opentelemetry/sdk-trace-base";

class ContextStorage implements ContextManager {
  readonly #storage = new AsyncLocalStorage<Context>();

  active(): Context {
    return this.#storage.getStore() ?? ROOT_CONTEXT;
  }

  with<A extends unknown[], F extends (...args: A) => ReturnType<F>>(
    scope: Context,
    run: F,
    self?: ThisParameterType<F>,
    ...args: A
  ): ReturnType<F> {
    return this.#storage.run(scope, () => run.apply(self, args));
  }

  bind<T>(_scope: Context, target: T): T {
    return target;
  }

  enable(): this {
    return this;
  }

  disable(): this {
    return this;
  }
}

export interface Recorder extends Disposable {
  /** Spans that have ended, oldest first. */
  spans(): readonly ReadableSpan[];
  /** The one ended span of this name and kind. */
  span(name: string, kind: number): ReadableSpan;
}

/** Registers both; disposing takes them back. `manager: false` registers no context manager: not every program has one. */
export function recordSpans({ manager = true } = {}): Recorder {
  const exporter = new InMemorySpanExporter();
  trace.setGlobalTracerProvider(new BasicTracerProvider({ spanProcessors: [new SimpleSpanProcessor(exporter)] }));
  if (manager) context.setGlobalContextManager(new ContextStorage());
  const spans = () => exporter.getFinishedSpans();
  return {
    spans,
    span(name, kind) {
      const found = spans().filter((span) => span.name === name && span.kind === kind);
      const [only] = found;
      if (only === undefined || found.length > 1)
        throw new Error(
          `${found.length} spans ${name} of kind ${kind} among ${spans()
            .map((span) => span.name)
            .join(", ")}`,
        );
      return only;
    },
    [Symbol.dispose]() {
      trace.disable();
      context.disable();
    },
  };
}
