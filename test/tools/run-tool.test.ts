// The one path for every call (K1–K4 of run-tool.ts), with made-up tools and a clock moved by hand.

import { describe, expect, test } from "vitest";
import { z } from "zod";
import { type Audit, MemoryAudit } from "../../tools/audit.ts";
import type { Policy } from "../../tools/policy.ts";
import { ToolRegistry } from "../../tools/registry.ts";
import { runTool } from "../../tools/run-tool.ts";
import {
  defineTool,
  type Tool,
  type ToolCall,
  type ToolContext,
  ToolFailure,
  type ToolOutput,
} from "../../tools/tool.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { CALLER, programlessWorkspace } from "../support/tool-bench.ts";

type Run = (input: { value?: string | undefined }, context: ToolContext) => Promise<ToolOutput>;

const done: ToolOutput = { success: true, content: "done", data: { answer: 42 } };
const never = () => new Promise<ToolOutput>(() => {});

/** Settles as a well-behaved tool does: when its signal aborts. */
const untilAborted: Run = (_input, { signal }) =>
  new Promise((_resolve, reject) => signal.addEventListener("abort", () => reject(signal.reason)));

const toolThat = (run: Run, changes: Partial<Tool> = {}): Tool => ({
  ...defineTool({
    name: "try.it",
    description: "Tries it.",
    input: z.strictObject({ value: z.string().max(1_000_000).optional(), token: z.string().optional() }),
    risk: "read",
    sideEffects: "none",
    timeoutMs: 1_000,
    outputMaxBytes: 256,
    run,
  }),
  ...changes,
});

const open: Policy = { rules: [{ id: "open", effect: "allow", roles: ["*"], tools: ["*"], reason: "Test." }] };

function bench(
  run: Run,
  { audit = new MemoryAudit(), policy = open, ...changes }: Partial<Tool> & { audit?: Audit; policy?: Policy } = {},
) {
  const clock = new FakeClock();
  const registry = new ToolRegistry([toolThat(run, changes)]);
  const env = { registry, workspace: programlessWorkspace("/nowhere"), policy, audit, clock };
  const call = (changes: Partial<ToolCall> = {}) =>
    runTool({ tool: "try.it", params: {}, caller: CALLER, ...changes }, env);
  return { clock, audit, call };
}

describe("every outcome is a result and an audit entry (K1)", () => {
  const ask: Policy = { rules: [{ id: "slow", effect: "ask", roles: ["*"], tools: ["*"], reason: "Ask first." }] };
  const failing: Run = () => Promise.reject(new ToolFailure("no-luck", "Nothing there.", { tried: 3 }));

  test.each<[string, Run, Parameters<typeof bench>[1], Partial<ToolCall>, object, string]>([
    ["ok", async () => done, {}, {}, { outcome: "ok", content: "done", data: { answer: 42 } }, ""],
    [
      "failed by its own word",
      async () => ({ success: false, content: "2 failed\nmore" }),
      {},
      {},
      { outcome: "failed", content: "2 failed\nmore", error: { code: "unsuccessful", message: "2 failed" } },
      "unsuccessful",
    ],
    [
      "failed by a ToolFailure",
      failing,
      {},
      {},
      { outcome: "failed", content: "Nothing there.", data: { tried: 3 } },
      "no-luck",
    ],
    [
      "unknown",
      async () => done,
      {},
      { tool: "try.that" },
      { outcome: "unknown", content: "There is no tool try.that. The tools are: try.it." },
      "unknown-tool",
    ],
    [
      "invalid",
      async () => done,
      {},
      { params: { value: 1 } },
      {
        outcome: "invalid",
        content: "The parameters of try.it are not valid. value: Invalid input: expected string, received number.",
      },
      "invalid-params",
    ],
    [
      "invalid for a key it does not know",
      async () => done,
      {},
      { params: { valve: "x" } },
      { outcome: "invalid", content: expect.stringContaining("valve") },
      "invalid-params",
    ],
    [
      "invalid for no object",
      async () => done,
      {},
      { params: null },
      { outcome: "invalid", content: expect.stringContaining("parameters: Invalid input: expected object") },
      "invalid-params",
    ],
    [
      "denied",
      async () => done,
      { policy: { rules: [] } },
      {},
      { outcome: "denied", content: expect.stringContaining("rule none") },
      "denied",
    ],
    [
      "needing approval",
      async () => done,
      { policy: ask },
      {},
      { outcome: "denied", content: expect.stringContaining("Ask first.") },
      "needs-approval",
    ],
    ["cancelled before it began", never, {}, { signal: AbortSignal.abort() }, { outcome: "cancelled" }, "cancelled"],
    ["out of time before it began", never, {}, { timeoutMs: 0 }, { outcome: "timeout" }, "timeout"],
    [
      "a defect",
      () => Promise.reject(new TypeError("x is not a function")),
      {},
      {},
      { outcome: "defect", content: expect.stringContaining("x is not a function") },
      "defect",
    ],
    [
      "a defect thrown at once",
      () => {
        throw "text";
      },
      {},
      {},
      { outcome: "defect", content: expect.stringContaining("text") },
      "defect",
    ],
    [
      "a defect of the schema",
      async () => done,
      {
        input: z.strictObject({}).refine(() => {
          throw new Error("bad rule");
        }),
      },
      {},
      { outcome: "defect", content: expect.stringContaining("bad rule") },
      "defect",
    ],
  ])("%s", async (_title, run, options, changes, expected, code) => {
    const { audit, call } = bench(run, options);
    const result = await call(changes);
    expect(result).toMatchObject(expected);
    expect(result.error?.code ?? "").toBe(code);
    const { outcome, bytes } = result;
    expect(audit.entries()).toMatchObject([{ ...CALLER, sequence: 1, outcome, bytes, tool: changes.tool ?? "try.it" }]);
    expect(audit.entries()[0]?.error?.code ?? "").toBe(code);
  });

  test("nothing runs when the parameters are wrong or the policy says no (K2)", async () => {
    let runs = 0;
    const count: Run = async () => ({ ...done, content: `${++runs}` });
    await bench(count).call({ params: { value: 1 } });
    await bench(count, { policy: { rules: [] } }).call();
    await bench(count).call({ signal: AbortSignal.abort() });
    expect(runs).toBe(0);
  });
});

describe("time (K3, K4)", () => {
  test("a tool that heeds its signal ends at the deadline", async () => {
    const { clock, call, audit } = bench(untilAborted);
    const result = call();
    await clock.advance(999);
    expect(audit.entries()).toEqual([]);
    await clock.advance(1);
    expect(await result).toMatchObject({ outcome: "timeout", durationMs: 1_000, error: { code: "timeout" } });
    expect((await result).content).toBe(
      "try.it did not finish within 1000 ms and was ended. Ask for less, or give it more time.",
    );
    expect(clock.pending).toBe(0);
  });

  test("a tool that ignores its signal is left behind after a grace", async () => {
    const { clock, call } = bench(never);
    const result = call();
    await clock.advance(3_000);
    expect(await result).toMatchObject({ outcome: "timeout", durationMs: 3_000 });
    expect(clock.pending).toBe(0);
  });

  test("a tool left behind may fail later and nobody is hurt", async () => {
    const late = Promise.withResolvers<ToolOutput>();
    const { clock, call, audit } = bench(() => late.promise);
    const result = call();
    await clock.advance(3_000);
    await result;
    late.reject(new Error("too late"));
    await clock.advance(1);
    expect(audit.entries()).toHaveLength(1);
  });

  test("the caller's shorter time wins, a longer one does not", async () => {
    const short = bench(untilAborted);
    const shortResult = short.call({ timeoutMs: 10 });
    await short.clock.advance(10);
    expect(await shortResult).toMatchObject({ outcome: "timeout", durationMs: 10 });
    const long = bench(untilAborted);
    const longResult = long.call({ timeoutMs: 60_000 });
    await long.clock.advance(1_000);
    expect(await longResult).toMatchObject({ outcome: "timeout", durationMs: 1_000 });
  });

  test("the tool knows when its time ends", async () => {
    const { clock, call } = bench(async (_input, { deadlineMs }) => ({ ...done, content: `${deadlineMs}` }));
    expect((await call({ timeoutMs: 300 })).content).toBe(`${clock.now() + 300}`);
  });

  test("a cancelled call ends at once", async () => {
    const { clock, call } = bench(untilAborted);
    const controller = new AbortController();
    const result = call({ signal: controller.signal });
    await clock.advance(5);
    controller.abort();
    expect(await result).toMatchObject({ outcome: "cancelled", durationMs: 5, error: { code: "cancelled" } });
    expect(clock.pending).toBe(0);
  });

  const afterAbort =
    (end: () => ToolOutput): Run =>
    async (_input, { signal }) => {
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      return end();
    };

  test("what was done in time's last moment counts, half done does not, and what the tool said is kept", async () => {
    const whole = bench(afterAbort(() => done));
    const wholeResult = whole.call();
    await whole.clock.advance(1_000);
    expect(await wholeResult).toMatchObject({ outcome: "ok", content: "done" });
    const half = bench(afterAbort(() => ({ success: false, content: "3 of 9 ran", data: { ran: 3 } })));
    const halfResult = half.call();
    await half.clock.advance(1_000);
    expect(await halfResult).toMatchObject({
      outcome: "timeout",
      data: { ran: 3 },
      content: expect.stringContaining("3 of 9 ran"),
    });
  });

  test("a failure after the deadline is a timeout, also where the timer has not fired yet", async () => {
    const { clock, call } = bench(async () => {
      await clock.advance(1_000);
      return { success: false, content: "half done" };
    });
    const schedule = clock.schedule.bind(clock);
    clock.schedule = (delayMs, run) => schedule(delayMs + 1, run);
    expect(await call()).toMatchObject({ outcome: "timeout", content: expect.stringContaining("half done") });
  });

  test("a tool that says itself that its time was up is a timeout, not a failure", async () => {
    const { call } = bench(() => Promise.reject(new ToolFailure("timeout", "The search took too long.")));
    expect(await call()).toMatchObject({ outcome: "timeout", error: { code: "timeout" } });
  });
});

describe("what is kept", () => {
  test("output is bounded, and the result says so", async () => {
    const { call, audit } = bench(async () => ({ success: true, content: "é".repeat(1_000) }));
    const result = await call();
    expect(Buffer.byteLength(result.content)).toBeLessThanOrEqual(256);
    expect(result).toMatchObject({ bytes: 2_000, truncated: true });
    expect(audit.entries()[0]).toMatchObject({ bytes: 2_000 });
  });

  test("the audit keeps neither secrets nor contents", async () => {
    const { call, audit } = bench(() => Promise.reject(new ToolFailure("no", "cannot reach https://me:pw12345@host/")));
    await call({ params: { token: "hush", value: "x".repeat(500) } });
    const kept = JSON.stringify(audit.entries());
    expect(kept).not.toMatch(/hush|pw12345|xxxx/);
    expect(audit.entries()[0]?.params).toEqual({
      token: "[redacted]",
      value: expect.stringMatching(/^500 bytes, sha256:/),
    });
  });

  test("a name that a model made up is shortened in the audit", async () => {
    const { call, audit } = bench(async () => done);
    expect(await call({ tool: "z".repeat(10_000) })).toMatchObject({ outcome: "unknown" });
    expect(audit.entries()[0]?.tool).toHaveLength(64);
  });

  test("an audit that fails does not lose the result, and the result tells of it", async () => {
    const full: Audit = {
      record: () => {
        throw new Error("disk full");
      },
      entries: () => [],
    };
    const { call } = bench(async () => done, { audit: full });
    expect(await call()).toMatchObject({
      outcome: "ok",
      content: "done",
      data: { answer: 42, auditError: "This call is missing from the audit: disk full" },
    });
  });
});
