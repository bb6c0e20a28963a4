// Reports that fit, whatever is in them, and what goes first when they do not.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { compactReport } from "../../../nodes/telemetry/compact-report.ts";
import { type EngineReport, type GpuReport, NODE_REPORT_MAX_BYTES, type NodeReport } from "../../../runtime/index.ts";

const bytesOf = (report: NodeReport) => Buffer.byteLength(JSON.stringify(report));
const gpuOf = (n: number): GpuReport => ({
  id: `GPU-${String(n).repeat(8)}-1c2d-3e4f-5a6b-7c8d9e0f1a2b`,
  kind: "NVIDIA H100 80GB HBM3",
  free: 1 / 3,
  memoryBytes: 85_520_809_984,
  freeBytes: 81_604_378_624,
});
const engineOf = (n: number, more: Partial<EngineReport> = {}): EngineReport => ({
  model: `Qwen/Qwen3-${n}B`,
  state: "ready",
  url: `http://127.0.0.1:${8000 + n}`,
  running: 3,
  waiting: 1,
  slots: 256,
  kvUsage: 0.123456789,
  hitRate: 2 / 3,
  tokensPerS: 1234.5678,
  ...more,
});
const range = <T>(count: number, of: (n: number) => T): T[] => Array.from({ length: count }, (_, n) => of(n));
const reportOf = (gpus: number, engines: number, more: Partial<NodeReport> = {}): NodeReport => ({
  atMs: 1_700_000_000_000.25,
  actors: 12,
  free: { cpus: 15.123456, memoryBytes: 512 * 2 ** 30, gpus: 0.1 + 0.2, gpuMemoryBytes: 85_520_809_984 },
  gpus: range(gpus, gpuOf),
  engines: range(engines, (n) => engineOf(n)),
  ...more,
});

it("rounds, and leaves the rest of a small report as it is", () => {
  expect(compactReport(reportOf(1, 1, { faults: ["XID 79"] }))).toEqual({
    atMs: 1_700_000_000_000,
    actors: 12,
    free: { cpus: 15.123, memoryBytes: 512 * 2 ** 30, gpus: 0.3, gpuMemoryBytes: 85_520_809_984 },
    gpus: [{ ...gpuOf(0), free: 0.33 }],
    engines: [{ ...engineOf(0), kvUsage: 0.12, hitRate: 0.67, tokensPerS: 1_230 }],
    faults: ["XID 79"],
  });
});

it("long texts end where they were cut, not within a character", () => {
  const why = `${"x".repeat(98)}😀 and more`;
  const { engines, faults, cut } = compactReport(
    reportOf(0, 1, { engines: [engineOf(0, { why })], faults: ["y".repeat(200)] }),
  );
  expect([engines[0]?.why, faults?.[0]]).toEqual([`${"x".repeat(98)}…`, `${"y".repeat(99)}…`]);
  expect(cut).toBeUndefined();
});

describe("a host with eight GPUs", () => {
  const half = range(8, (n) => ({ ...gpuOf(n), free: n < 4 ? 1 : 0 }));
  const taken = half.map((gpu) => ({ ...gpu, free: 0 }));
  it("tells of all of them", () => {
    const { gpus, cut } = compactReport(reportOf(8, 0));
    expect(gpus.map(({ id, freeBytes }) => [id, freeBytes])).toEqual(
      range(8, (n) => [`GPU-${String(n).repeat(8)}`, 81_604_378_624]),
    );
    expect(cut).toEqual({ kinds: 8, ids: 8 });
  });

  it.each([
    [half, 2],
    [taken, 4],
  ])("and of the model servers that hold some, and then of those that are free", (gpus, count) => {
    const { engines, gpus: left, cut } = compactReport(reportOf(0, count, { gpus }));
    expect(engines.map(({ model }) => model)).toEqual(range(count, (n) => `Qwen/Qwen3-${n}B`));
    expect(left.length).toBe(gpus.filter(({ free }) => free > 0).length);
    expect(cut).toEqual({ kinds: 8, ids: 8, urls: count, takenGpus: 8 - left.length });
  });
});

describe("what goes first", () => {
  const faults = range(4, () => "a fault with a text of more than forty characters");
  const why = "starting: weights are being loaded, as the log says";
  const taken = range(6, (n) => ({ ...gpuOf(n), free: 0 }));
  const cutOf = (report: NodeReport) => Object.keys(compactReport(report).cut ?? {});
  it.each<[NodeReport, string[]]>([
    [reportOf(2, 2), []],
    [reportOf(0, 1, { faults: range(9, () => "f".repeat(90)) }), ["faultTexts"]],
    [reportOf(1, 0, { engines: range(3, (n) => engineOf(n, { why })), faults }), ["faultTexts", "whys"]],
    [reportOf(4, 1, { faults }), ["faultTexts", "kinds"]],
    [reportOf(6, 1), ["kinds", "ids"]],
    [reportOf(6, 2), ["kinds", "ids", "urls"]],
    [reportOf(0, 3, { gpus: taken }), ["kinds", "ids", "urls", "takenGpus"]],
    [reportOf(7, 0, { faults }), ["faultTexts", "kinds", "ids", "faults"]],
    [reportOf(4, 6), ["kinds", "ids", "urls", "engines"]],
    [reportOf(16, 2), ["kinds", "urls", "engines", "gpus"]],
    [reportOf(0, 0, { free: Object.fromEntries(range(100, (n) => [`resource-${n}`, n])) }), ["free"]],
  ])("%#", (report, order) => {
    expect(cutOf(report)).toEqual(order);
  });

  it("counts what it left out, from the end", () => {
    const report = reportOf(0, 30);
    const compact = compactReport(report);
    expect(compact.engines.length + (compact.cut?.engines ?? 0)).toBe(30);
    expect(compact.engines.map(({ model }) => model)).toEqual(
      report.engines.slice(0, compact.engines.length).map(({ model }) => model),
    );
  });

  it("ids stay whole where they would be taken for each other", () => {
    const gpus = range(8, (n) => ({ ...gpuOf(0), id: `GPU-00000000-${n}${"0".repeat(27)}` }));
    const { gpus: left, cut } = compactReport(reportOf(0, 0, { gpus }));
    expect(cut?.ids).toBeUndefined();
    expect(new Set(left.map(({ id }) => id)).size).toBe(left.length);
  });
});

const text = fc.string({ unit: fc.constantFrom("a", "é", "😀", "\n", '"', "\\", "\ud800"), maxLength: 300 });
const number = fc.double({ noNaN: true, noDefaultInfinity: true });
const share = fc.double({ min: 0, max: 1, noNaN: true });
const gpu = fc.record({ id: text, kind: text, free: share, memoryBytes: fc.nat(), freeBytes: fc.nat() });
const state = fc.constantFrom("loadable", "starting", "ready", "busy", "asleep", "draining", "dead");
const engine = fc.record(
  {
    model: text,
    state,
    url: text,
    running: fc.nat(),
    waiting: fc.nat(),
    slots: fc.nat(),
    kvUsage: share,
    hitRate: share,
    tokensPerS: number,
    why: text,
  },
  { requiredKeys: ["model", "state", "running", "waiting", "slots", "kvUsage"] },
) as fc.Arbitrary<EngineReport>;
const anyReport = fc.record(
  {
    atMs: fc.nat(),
    actors: fc.nat(),
    free: fc.dictionary(text, number),
    gpus: fc.array(gpu, { maxLength: 20 }),
    engines: fc.array(engine, { maxLength: 20 }),
    faults: fc.array(text, { maxLength: 20 }),
  },
  { requiredKeys: ["atMs", "actors", "free", "gpus", "engines"] },
) as fc.Arbitrary<NodeReport>;

/** Whether a GPU that is left has this field from none of those before. */
const changed = (report: NodeReport, compact: NodeReport, field: "id" | "kind") =>
  compact.gpus.some((gpu) => !report.gpus.some((before) => before[field] === gpu[field]));

/** What differs from `report` in more than rounding must be told (CR2). */
function untold(report: NodeReport, compact: NodeReport): string[] {
  const cut = compact.cut ?? {};
  const missing = (name: string, was: number, is: number) => (was - is === (cut[name] ?? 0) ? [] : [name]);
  const dropped = (name: "why" | "url", as: string) =>
    compact.engines.some((one, n) => one[name] === undefined && report.engines[n]?.[name] !== undefined) && !cut[as]
      ? [as]
      : [];
  return [
    ...missing("engines", report.engines.length, compact.engines.length),
    ...missing("gpus", report.gpus.length - (cut.takenGpus ?? 0), compact.gpus.length),
    ...missing("faults", report.faults?.length ?? 0, compact.faults?.length ?? 0),
    ...missing("free", Object.keys(report.free).length, Object.keys(compact.free).length),
    ...dropped("why", "whys"),
    ...dropped("url", "urls"),
    ...(changed(report, compact, "id") && !cut.ids ? ["ids"] : []),
    ...(changed(report, compact, "kind") && !cut.kinds ? ["kinds"] : []),
  ];
}

it("any report fits, is one, and tells what is missing (CR1, CR2)", () => {
  fc.assert(
    fc.property(anyReport, (report) => {
      const compact = compactReport(report);
      expect(bytesOf(compact)).toBeLessThanOrEqual(NODE_REPORT_MAX_BYTES);
      expect(untold(report, compact)).toEqual([]);
      expect([compact.atMs, compact.actors]).toEqual([report.atMs, report.actors]);
      const read = JSON.parse(JSON.stringify(compact)) as NodeReport;
      expect(read.engines.map(({ model, state, running }) => [model, state, running])).toEqual(
        report.engines.slice(0, read.engines.length).map(({ model, state, running }) => [model, state, running]),
      );
    }),
    { numRuns: 150 },
  );
});
