// A node's report, made to fit into NODE_REPORT_MAX_BYTES. It changes no number beyond rounding, and says under `cut` what else it did.
//
// Always: shares to 2 decimals, amounts to 3, tokens a second to 3 digits; texts to TEXT_MAX characters, ended with "…".
// Then, as long as it is too long, one after the other, each told under `cut` by its name with the number of what it touched:
//
//     faultTexts   each fault to FAULT_MAX characters, ended with "…"
//     whys         engines' `why` left out
//     kinds        GPUs' `kind` emptied
//     ids          GPUs' `id` to its first 12 characters, where they differ by those ("GPU-5f3a9c1b", which drivers accept as well)
//     urls         engines' `url` left out: it is of use on the node alone
//     takenGpus    GPUs with nothing free left out: nothing can be placed on them. So eight GPUs and the servers that hold them fit.
//     faults       the last fault left out, and again
//     engines      the last engine left out, and again: whoever makes the report puts those that matter first
//     gpus         the last GPU left out, and again
//     free         the last amount left out, and again
//
// CR1  The result fits whatever came in, and is a report.
// CR2  Nothing is left out or shortened without "…" or `cut` saying so.

import { NODE_REPORT_MAX_BYTES, type NodeReport } from "../../runtime/index.ts";

const TEXT_MAX = 100;
const FAULT_MAX = 40;
const ID_MAX = 12;

/** `report` within NODE_REPORT_MAX_BYTES of JSON (CR1). Numbers must be finite. */
export function compactReport(report: NodeReport): NodeReport {
  let compact = rounded(report);
  if (fits(compact)) return compact;
  for (const [name, step] of ONCE) {
    const { changed, count } = step(compact);
    if (count > 0) compact = withCut(changed, name, count);
    if (fits(compact)) return compact;
  }
  for (const [name, without] of AGAIN) {
    for (let count = 1; !fits(compact); count++) {
      const less = without(compact);
      if (less === undefined) break;
      compact = withCut(less, name, count);
    }
  }
  return compact;
}

const fits = (report: NodeReport): boolean => Buffer.byteLength(JSON.stringify(report)) <= NODE_REPORT_MAX_BYTES;

const withCut = (report: NodeReport, name: string, count: number): NodeReport => ({
  ...report,
  cut: { ...report.cut, [name]: count },
});

function to(value: number, step: number): number {
  return Math.round(value * step) / step;
}
const share = (value: number): number => to(value, 100);
const digits = (value: number): number => Number(value.toPrecision(3));

/** No half of a character that takes two. */
const shortened = (text: string, max: number): string =>
  text.length <= max ? text : `${text.slice(0, max - 1).replace(/[\ud800-\udbff]$/, "")}…`;

function rounded(report: NodeReport): NodeReport {
  return {
    ...report,
    atMs: Math.round(report.atMs),
    free: Object.fromEntries(Object.entries(report.free).map(([name, amount]) => [name, to(amount, 1_000)])),
    gpus: report.gpus.map((gpu) => ({
      ...gpu,
      free: share(gpu.free),
      memoryBytes: Math.round(gpu.memoryBytes),
      freeBytes: Math.round(gpu.freeBytes),
    })),
    engines: report.engines.map((engine) => ({
      ...engine,
      kvUsage: share(engine.kvUsage),
      ...(engine.hitRate !== undefined && { hitRate: share(engine.hitRate) }),
      ...(engine.tokensPerS !== undefined && { tokensPerS: digits(engine.tokensPerS) }),
      ...(engine.why !== undefined && { why: shortened(engine.why, TEXT_MAX) }),
    })),
    ...(report.faults && { faults: report.faults.map((fault) => shortened(fault, TEXT_MAX)) }),
  };
}

interface Step {
  readonly changed: NodeReport;
  /** How many of it were touched. */
  readonly count: number;
}

/** What is done to all of a kind at once, in this order. */
const ONCE: readonly (readonly [name: string, step: (report: NodeReport) => Step])[] = [
  ["faultTexts", shortFaults],
  ["whys", (report) => withoutField(report, "why")],
  ["kinds", withoutKinds],
  ["ids", shortIds],
  ["urls", (report) => withoutField(report, "url")],
  ["takenGpus", withoutTaken],
];

function shortFaults(report: NodeReport): Step {
  const faults = report.faults ?? [];
  const count = faults.filter((fault) => fault.length > FAULT_MAX).length;
  return { changed: { ...report, faults: faults.map((fault) => shortened(fault, FAULT_MAX)) }, count };
}

function withoutField(report: NodeReport, name: "why" | "url"): Step {
  const count = report.engines.filter((engine) => engine[name] !== undefined).length;
  const engines = report.engines.map(({ [name]: _, ...rest }) => rest);
  return { changed: { ...report, engines }, count };
}

function withoutKinds(report: NodeReport): Step {
  const count = report.gpus.filter(({ kind }) => kind !== "").length;
  return { changed: { ...report, gpus: report.gpus.map((gpu) => ({ ...gpu, kind: "" })) }, count };
}

function shortIds(report: NodeReport): Step {
  const gpus = report.gpus.map((gpu) => ({ ...gpu, id: gpu.id.slice(0, ID_MAX) }));
  const isUnique = new Set(gpus.map(({ id }) => id)).size === gpus.length;
  const count = isUnique ? report.gpus.filter(({ id }) => id.length > ID_MAX).length : 0;
  return { changed: { ...report, gpus }, count };
}

function withoutTaken(report: NodeReport): Step {
  const gpus = report.gpus.filter(({ free }) => free > 0);
  return { changed: { ...report, gpus }, count: report.gpus.length - gpus.length };
}

/** What is left out one by one, in this order; undefined when there is none left. */
const AGAIN: readonly (readonly [name: string, without: (report: NodeReport) => NodeReport | undefined])[] = [
  [
    "faults",
    ({ faults = [], ...rest }) => (faults.length === 0 ? undefined : { ...rest, faults: faults.slice(0, -1) }),
  ],
  ["engines", (report) => without(report, "engines")],
  ["gpus", (report) => without(report, "gpus")],
  ["free", withoutAmount],
];

const without = (report: NodeReport, name: "engines" | "gpus"): NodeReport | undefined =>
  report[name].length === 0 ? undefined : { ...report, [name]: report[name].slice(0, -1) };

function withoutAmount(report: NodeReport): NodeReport | undefined {
  const amounts = Object.entries(report.free);
  return amounts.length === 0 ? undefined : { ...report, free: Object.fromEntries(amounts.slice(0, -1)) };
}
