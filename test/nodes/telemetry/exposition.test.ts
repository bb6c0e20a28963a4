// The Prometheus text format, as a real vLLM writes it, and as nobody should.

import { readFileSync } from "node:fs";
import fc from "fast-check";
import { Counter, Gauge, Registry } from "prom-client";
import { describe, expect, it } from "vitest";
import { METRICS_MAX_CHARS, parseMetrics } from "../../../nodes/telemetry/exposition.ts";

const one = (line: string) => parseMetrics(line).samples[0];

describe("a line", () => {
  it.each([
    ["up 1", { name: "up", labels: {}, value: 1 }],
    ["  vllm:num_requests_running\t7.0  ", { name: "vllm:num_requests_running", labels: {}, value: 7 }],
    ['a{b="c"} 1.5e-3', { name: "a", labels: { b: "c" }, value: 0.0015 }],
    ['a{b="c",} +Inf', { name: "a", labels: { b: "c" }, value: Number.POSITIVE_INFINITY }],
    [
      'a { b = "c" , d="" } -Inf 1700000000000',
      { name: "a", labels: { b: "c", d: "" }, value: Number.NEGATIVE_INFINITY },
    ],
    ["a{} NaN", { name: "a", labels: {}, value: Number.NaN }],
    ['a{b="x\\\\y\\"z\\nw, }"} 0', { name: "a", labels: { b: 'x\\y"z\nw, }' }, value: 0 }],
    ['a_bucket{le="0.1"} 3 # {trace_id="t"} 0.05 1.7e9', { name: "a_bucket", labels: { le: "0.1" }, value: 3 }],
    ["a 8.128902e+06\r", { name: "a", labels: {}, value: 8_128_902 }],
  ])("%s", (line, sample) => {
    expect(parseMetrics(line)).toEqual({ samples: [sample], malformed: 0, cut: false });
  });

  it.each([
    "a",
    "a one",
    "1a 2",
    'a{b="c" 1',
    "a{b=c} 1",
    'a{b="c"d="e"} 1',
    "a 1 2 3",
    "a 0x10",
    "{} 1",
    "a{",
    "<html>",
    "a ,",
  ])("%s is none, and counted", (line) => {
    expect(parseMetrics(`before 1\n${line}\nafter 2`)).toMatchObject({
      samples: [{ value: 1 }, { value: 2 }],
      malformed: 1,
    });
  });

  it("a label may be called anything", () => {
    expect(Object.entries(one('a{__proto__="x",constructor="y"} 1')?.labels ?? {})).toEqual([
      ["__proto__", "x"],
      ["constructor", "y"],
    ]);
  });
});

it("comments and empty lines are nothing", () => {
  expect(parseMetrics("# HELP a b\n# TYPE a gauge\n\n   \n#\n")).toEqual({ samples: [], malformed: 0, cut: false });
});

it("reads a page of vLLM whole, or only what is wanted of it", () => {
  const text = readFileSync(new URL("../../fixtures/vllm/metrics.txt", import.meta.url), "utf8");
  const page = parseMetrics(text);
  expect(page).toMatchObject({ malformed: 0, cut: false });
  expect(page.samples).toHaveLength(text.split("\n").filter((line) => line !== "" && !line.startsWith("#")).length);
  const wanted = parseMetrics(text, (name) => name === "vllm:request_success_total");
  expect(wanted.samples.map(({ labels, value }) => [labels.finished_reason, value])).toEqual([
    ["stop", 0],
    ["length", 7],
    ["abort", 0],
    ["error", 0],
    ["repetition", 0],
  ]);
});

it("reads no more than it says, and leaves out the line that was cut", () => {
  const line = `${"a".repeat(99)} 12\n`;
  const page = parseMetrics(line.repeat(METRICS_MAX_CHARS / line.length + 2));
  expect(page.cut).toBe(true);
  expect(page.malformed).toBe(0);
  expect(page.samples.every(({ value }) => value === 12)).toBe(true);
});

it("reads what prom-client writes, whatever the labels and values", async () => {
  const value = fc.oneof(
    fc.double(),
    fc.integer(),
    fc.constantFrom(Number.NaN, Number.POSITIVE_INFINITY, 1e21, 5e-324),
  );
  await fc.assert(
    fc.asyncProperty(
      fc.string({ unit: fc.constantFrom(...'ab \\"\n\r\t,={}#é😀') }),
      value,
      fc.nat(),
      async (text, gauge, count) => {
        const registry = new Registry();
        new Gauge({ name: "g", help: "h\\ \n", labelNames: ["l"], registers: [registry] }).set({ l: text }, gauge);
        new Counter({ name: "c_total", help: "h", registers: [registry] }).inc(count);
        const { samples, malformed } = parseMetrics(await registry.metrics());
        expect({ samples, malformed }).toEqual({
          samples: [
            // The text has no sign for zero.
            { name: "g", labels: { l: text }, value: gauge === 0 ? 0 : gauge },
            { name: "c_total", labels: {}, value: count },
          ],
          malformed: 0,
        });
      },
    ),
    { numRuns: 50 },
  );
});

it("never throws (EX1)", () => {
  const piece = fc.oneof(fc.string(), fc.constantFrom("{", "}", '"', "\\", "=", ",", " ", "\n", "a", "1", "#", "NaN"));
  fc.assert(fc.property(fc.array(piece), (pieces) => void parseMetrics(pieces.join(""))));
});
