// Spans of who asks and who answers, with a real SDK, and the trace that goes on where nobody records. Numbers are those of runtime/trace.ts.

import { SpanKind, SpanStatusCode, trace } from "@opentelemetry/api";
import type { ReadableSpan } from "@opentelemetry/sdk-trace-base";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { currentRunning } from "../../runtime/cell/running.ts";
import { actorContext, connect, defineActor, type Handle, type TraceContext } from "../../runtime/index.ts";
import { traceFrom, tracingFor } from "../../runtime/trace.ts";
import { codeOf } from "../support/caught.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";
import { recordSpans } from "../support/tracer.ts";
import { waitUntil } from "../support/wait-until.ts";

const TRACEPARENT = "00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01";

const { CLIENT, SERVER, PRODUCER, CONSUMER } = SpanKind;

const Leaf = defineActor(
  "leaf",
  class {
    #ended: () => void = () => {};

    trace(): TraceContext | undefined {
      return actorContext().trace;
    }

    async later(): Promise<TraceContext | undefined> {
      await Promise.resolve();
      return actorContext().trace;
    }

    fails(): void {
      throw new TypeError("no");
    }

    async failsLater(): Promise<void> {
      await Promise.resolve();
      throw new RangeError("no");
    }

    async *items(count: number) {
      for (let at = 0; at < count; at++) yield trace.getActiveSpan()?.spanContext().spanId;
    }

    *traces() {
      for (;;) yield actorContext().trace;
    }

    async *breaks() {
      yield 1;
      throw new TypeError("broken");
    }

    async waits(): Promise<void> {
      await new Promise<void>((resolve) => {
        this.#ended = resolve;
      });
    }

    note(): void {
      this.#ended();
    }
  },
);

const Middle = defineActor(
  "middle",
  class {
    async through(leaf: Handle<typeof Leaf>) {
      await Promise.resolve();
      return leaf.trace();
    }

    withOwnSpan(leaf: Handle<typeof Leaf>) {
      const tracer = trace.getTracer("user");
      return tracer.startActiveSpan("own work", async (span) => {
        await Promise.resolve();
        const seen = await leaf.trace();
        span.end();
        return seen;
      });
    }

    setTimer(leaf: Handle<typeof Leaf>): void {
      actorContext().timers.after(10, () => leaf.trace());
    }
  },
);

const idOf = (span: ReadableSpan): string => span.spanContext().spanId;
const parentOf = (span: ReadableSpan): string | undefined => span.parentSpanContext?.spanId;
const traceparentOf = (span: ReadableSpan): string => `00-${span.spanContext().traceId}-${idOf(span)}-01`;

describe.each(PLACES)("spans, %s", (place) => {
  test("a call has a client span, its run a server span below it, each with who, what and where (TR4)", async () => {
    using recorder = recordSpans();
    await using stage = await openStage(place);
    const leaf = await stage.spawn(Leaf);
    const seen = [await leaf.trace(), await leaf.later()];
    for (const [at, name] of ["leaf.trace", "leaf.later"].entries()) {
      const [client, server] = [recorder.span(name, CLIENT), recorder.span(name, SERVER)];
      expect(parentOf(client)).toBeUndefined();
      expect(parentOf(server)).toBe(idOf(client));
      expect(server.spanContext().traceId).toBe(client.spanContext().traceId);
      expect(seen[at]?.traceparent).toBe(traceparentOf(server));
      for (const span of [client, server])
        expect(span.attributes).toMatchObject({
          "rpc.system": "flotilla",
          "rpc.service": "leaf",
          "rpc.method": name.slice(5),
          "flotilla.node": stage.there.node,
          "flotilla.actor": String(leaf),
        });
      expect(client.status.code).toBe(SpanStatusCode.UNSET);
    }
  });

  test.each([true, false])("what a method asks is below its own span (context manager: %s)", async (manager) => {
    using recorder = recordSpans({ manager });
    await using stage = await openStage(place);
    const [middle, leaf] = [await stage.here.spawn(Middle), await stage.spawn(Leaf)];
    await middle.through(leaf);
    const line = [
      recorder.span("middle.through", CLIENT),
      recorder.span("middle.through", SERVER),
      recorder.span("leaf.trace", CLIENT),
      recorder.span("leaf.trace", SERVER),
    ];
    expect(line.slice(1).map(parentOf)).toEqual(line.slice(0, -1).map(idOf));
    // Spans end from the inside out.
    const ended = recorder.spans().filter(({ name }) => name !== "middle.spawn" && name !== "leaf.spawn");
    expect(ended.map(idOf)).toEqual([...line].reverse().map(idOf));
  });

  test("a span that the program has made active is the parent, outside and inside of actors (TR4)", async () => {
    using recorder = recordSpans();
    await using stage = await openStage(place);
    const [middle, leaf] = [await stage.here.spawn(Middle), await stage.spawn(Leaf)];
    await trace.getTracer("user").startActiveSpan("request", async (span) => {
      await middle.withOwnSpan(leaf);
      span.end();
    });
    const request = recorder.span("request", SpanKind.INTERNAL);
    const own = recorder.span("own work", SpanKind.INTERNAL);
    expect(parentOf(recorder.span("middle.withOwnSpan", CLIENT))).toBe(idOf(request));
    expect(parentOf(own)).toBe(idOf(recorder.span("middle.withOwnSpan", SERVER)));
    expect(parentOf(recorder.span("leaf.trace", CLIENT))).toBe(idOf(own));
  });

  test("a cast is sent by a producer and run by a consumer", async () => {
    using recorder = recordSpans();
    await using stage = await openStage(place);
    const leaf = await stage.spawn(Leaf);
    leaf.cast.note();
    await waitUntil("the cast ran", () => recorder.spans().some(({ kind }) => kind === CONSUMER));
    expect(parentOf(recorder.span("leaf.note", CONSUMER))).toBe(idOf(recorder.span("leaf.note", PRODUCER)));
  });

  test("a stream's spans last until its end, and every step of the generator runs in the server's", async () => {
    using recorder = recordSpans();
    await using stage = await openStage(place);
    const leaf = await stage.spawn(Leaf);
    const seen: unknown[] = [];
    for await (const id of leaf.items(3)) seen.push(id);
    const [client, server] = [recorder.span("leaf.items", CLIENT), recorder.span("leaf.items", SERVER)];
    expect(parentOf(server)).toBe(idOf(client));
    expect(seen).toEqual([idOf(server), idOf(server), idOf(server)]);
    for await (const seenTrace of leaf.traces()) {
      expect(recorder.spans().filter(({ name }) => name === "leaf.traces")).toEqual([]);
      expect(seenTrace).toBeDefined();
      break;
    }
    await settleFrames();
    expect(recorder.span("leaf.traces", CLIENT).status.code).toBe(SpanStatusCode.UNSET);
    expect(recorder.span("leaf.traces", SERVER).attributes["error.type"]).toBe("Cancelled");
  });

  test.each(["fails", "failsLater", "breaks"] as const)("%s: both spans say so, with the code (TR5)", async (how) => {
    using recorder = recordSpans();
    await using stage = await openStage(place);
    const leaf = await stage.spawn(Leaf);
    const read = async () => {
      for await (const _item of leaf.breaks());
    };
    expect(await codeOf(how === "breaks" ? read() : leaf[how]())).toBe("ActorThrew");
    for (const kind of [CLIENT, SERVER]) {
      const span = recorder.span(`leaf.${how}`, kind);
      expect(span.status.code).toBe(SpanStatusCode.ERROR);
      expect(span.status.message).toMatch(/^ActorThrew: /);
      expect(span.attributes["error.type"]).toBe("ActorThrew");
    }
  });

  test("a call that is given up or whose actor is killed ends both spans at once (TR5)", async () => {
    using recorder = recordSpans();
    await using stage = await openStage(place, { callTimeoutMs: 1_000 });
    const leaf = await stage.spawn(Leaf, { concurrency: 2 });
    const late = codeOf(leaf.waits());
    await settleFrames();
    await stage.clock.advance(2_000);
    expect(await late).toBe("DeadlineExceeded");
    const killed = codeOf(leaf.waits());
    await settleFrames();
    await stage.here.kill(leaf);
    expect(await killed).toBe("ActorEnded");
    const codes = recorder.spans().filter(({ name }) => name === "leaf.waits");
    expect(codes.map(({ kind, attributes }) => [kind, attributes["error.type"]]).sort()).toEqual([
      [SERVER, "ActorEnded"],
      // Elsewhere it is the caller's cancel that comes first.
      [SERVER, place === "same node" ? "DeadlineExceeded" : "Cancelled"],
      [CLIENT, "ActorEnded"],
      [CLIENT, "DeadlineExceeded"],
    ]);
  });

  test("a method that is not there fails its client span; nothing ran", async () => {
    using recorder = recordSpans();
    await using stage = await openStage(place);
    const leaf = (await stage.spawn(Leaf)) as unknown as { missing(): Promise<void> };
    expect(await codeOf(leaf.missing())).toBe("NoSuchMethod");
    expect(recorder.span("leaf.missing", CLIENT).attributes["error.type"]).toBe("NoSuchMethod");
    expect(recorder.spans().filter(({ kind }) => kind === SERVER)).toEqual([]);
  });

  test("a spawn has a span; a timer begins a new trace", async () => {
    using recorder = recordSpans();
    await using stage = await openStage(place);
    const [middle, leaf] = [await stage.here.spawn(Middle), await stage.spawn(Leaf)];
    expect(recorder.span("leaf.spawn", CLIENT).attributes["rpc.service"]).toBe("leaf");
    await trace.getTracer("user").startActiveSpan("request", () => middle.setTimer(leaf));
    await stage.clock.advance(20);
    await settleFrames();
    expect(parentOf(recorder.span("leaf.trace", CLIENT))).toBeUndefined();
  });
});

describe("who records", () => {
  test("nobody registered: no spans are made, and methods see no trace (TR1)", async () => {
    expect(tracingFor("n")).toBeUndefined();
    expect(tracingFor("n", false)).toBeUndefined();
    await using fleet = await connect();
    const leaf = await fleet.spawn(Leaf);
    expect([await leaf.trace(), await leaf.later()]).toEqual([undefined, undefined]);
    using _recorder = recordSpans();
    expect(await leaf.trace()).toBeUndefined();
    expect(tracingFor("n", false)).toBeUndefined();
    expect(tracingFor("n")).toBeDefined();
  });

  test("asked for before anybody is registered, it uses the one that comes later (TR1)", () => {
    const tracing = tracingFor("n", true);
    expect(tracing?.begin("call", { type: "leaf", node: "n" }, "trace").context).toBeUndefined();
    using recorder = recordSpans();
    tracing?.begin("call", { type: "leaf", node: "n" }, "trace").end();
    expect(recorder.span("leaf.trace", CLIENT).attributes["flotilla.node"]).toBe("n");
  });

  test("a span ends once", () => {
    using recorder = recordSpans();
    const span = tracingFor("n")?.begin("call", { type: "leaf", node: "n" }, "trace");
    span?.end();
    span?.end({ code: "Cancelled", message: "", retryable: false, data: {} });
    expect(recorder.span("leaf.trace", CLIENT).status.code).toBe(SpanStatusCode.UNSET);
  });
});

/** Works for a trace that nobody here records: what a message from another node looks like. */
const Bystander = defineActor(
  "bystander",
  class {
    #cast: TraceContext | undefined = undefined;

    async passes(leaf: Handle<typeof Leaf>, self: Handle<typeof Bystander>) {
      const message = currentRunning()?.message;
      if (message !== undefined) message.trace = { traceparent: TRACEPARENT, tracestate: "a=1" };
      const called = await leaf.trace();
      self.cast.keep();
      for await (const streamed of leaf.traces()) return [called, streamed];
      return [];
    }

    keep(): void {
      this.#cast = actorContext().trace;
    }

    kept(): TraceContext | undefined {
      return this.#cast;
    }
  },
);

test("a trace is passed on by calls, casts and streams where nobody records (TR3)", async () => {
  await using fleet = await connect();
  const [bystander, leaf] = [await fleet.spawn(Bystander), await fleet.spawn(Leaf)];
  const arrived = { traceparent: TRACEPARENT, tracestate: "a=1" };
  expect(await bystander.passes(leaf, bystander)).toEqual([arrived, arrived]);
  expect(await bystander.kept()).toEqual(arrived);
});

describe("traces from outside", () => {
  test.each([
    [TRACEPARENT, undefined, { traceparent: TRACEPARENT }],
    [TRACEPARENT, "a=1,b=2", { traceparent: TRACEPARENT, tracestate: "a=1,b=2" }],
    [TRACEPARENT, "x".repeat(600), { traceparent: TRACEPARENT }],
    [TRACEPARENT, 7, { traceparent: TRACEPARENT }],
    [`cc${TRACEPARENT.slice(2)}-more`, undefined, { traceparent: `cc${TRACEPARENT.slice(2)}-more` }],
    [`${TRACEPARENT}-more`, undefined, undefined],
    [`ff${TRACEPARENT.slice(2)}`, undefined, undefined],
    [TRACEPARENT.toUpperCase(), undefined, undefined],
    ["00-00000000000000000000000000000000-b7ad6b7169203331-01", undefined, undefined],
    ["00-0af7651916cd43dd8448eb211c80319c-0000000000000000-01", undefined, undefined],
    [`cc${TRACEPARENT.slice(2)}-${"x".repeat(1_000)}`, undefined, undefined],
    ["", "a=1", undefined],
    [7, undefined, undefined],
  ])("%s with %s (TR6)", (traceparent, tracestate, expected) => {
    expect(traceFrom(traceparent, tracestate)).toEqual(expected);
  });

  test("any text is a trace or none, never an error (TR6)", () => {
    const texts = fc.oneof(fc.string(), fc.mixedCase(fc.constant(TRACEPARENT)), fc.constant(TRACEPARENT));
    fc.assert(
      fc.property(texts, texts, (traceparent, tracestate) => {
        const found = traceFrom(traceparent, tracestate);
        expect(found === undefined || found.traceparent === traceparent).toBe(true);
      }),
    );
  });
});
