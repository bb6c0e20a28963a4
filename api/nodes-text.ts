// The list of a fleet's nodes for a terminal of 80 columns: who is there and what is free, their GPUs, their model servers, what they host.
// A part of which nobody has anything is left out. It asks nobody (nodes.ts).
//
// NX1  What others wrote (names, models, labels, reasons) is made plain and clipped to its column; reasons stand on lines of their own, whole.

import type { EngineReport, GpuReport, NodeRecord } from "../runtime/index.ts";
import { labelsText, since, stateOf, typesText } from "./fleet-text.ts";
import { clip, type Paper, table, wrap } from "./paper.ts";

const NAME_MAX = 16;
const ID_MAX = 12;
const REST_MAX = 40;
/** What the other columns take, beside the names and one that may be as long as it likes: of GPUs, of model servers. */
const BESIDE_GPU = 2 + 2 + 5 + 2 + 18 + 2 + ID_MAX;
const BESIDE_MODEL = 2 + 2 + 8 + 2 + 7 + 2 + 5 + 2 + 5 + 2 + 8;
const GIB = 2 ** 30;

export function nodesText(nodes: readonly NodeRecord[], paper: Paper): string {
  const parts = [
    headed(OVERVIEW, nodes.map(overview), paper, [2]),
    faults(nodes, paper),
    headed(
      GPUS,
      nodes.flatMap((record) => gpus(record, paper.columns - nameWidth(nodes) - BESIDE_GPU)),
      paper,
    ),
    engines(nodes, paper),
    headed(HOSTED, nodes.map(hosted), paper),
    nodes.flatMap(leftOut),
  ];
  return `${parts
    .filter((lines) => lines.length > 0)
    .map((lines) => lines.join("\n"))
    .join("\n\n")}\n`;
}

const OVERVIEW = ["name", "state", "actors", "free: cpus", "memory", "GPUs", "since (UTC)"];
const GPUS = ["name", "GPU", "free", "memory free", "id"];
const ENGINES = ["name", "model server", "state", "in hand", "slots", "cache", "tokens/s"];
const HOSTED = ["name", "id", "version", "hosts", "labels"];

function headed(head: readonly string[], rows: readonly string[][], { colour }: Paper, right: number[] = []): string[] {
  if (rows.length === 0) return [];
  const [first = "", ...rest] = table([head, ...rows], right);
  return [colour.bold(first), ...rest];
}

const nameOf = ({ name }: NodeRecord): string => clip(name, NAME_MAX);
const figure = (amount: number): string => String(Math.round(amount * 100) / 100);
const gib = (bytes: number): string => figure(Math.round((bytes / GIB) * 10) / 10);
const percent = (share: number): string => `${Math.round(share * 100)} %`;

function overview(record: NodeRecord): string[] {
  const { resources = {}, report, startedMs } = record;
  const of = (name: string, shown: (amount: number) => string, unit = "") => {
    const whole = resources[name];
    if (whole === undefined) return "-";
    const free = report?.free[name];
    return `${free === undefined ? "?" : shown(free)}/${shown(whole)}${unit}`;
  };
  return [
    nameOf(record),
    stateOf(record),
    report === undefined ? "-" : String(report.actors),
    of("cpus", figure),
    of("memoryBytes", gib, " GiB"),
    of("gpus", figure),
    since(startedMs).slice(5, 16),
  ];
}

function faults(nodes: readonly NodeRecord[], { colour, columns }: Paper): string[] {
  return nodes.flatMap((record) =>
    (record.report?.faults ?? []).flatMap((fault) =>
      wrap(`${record.name} is faulty: ${fault}`, columns).map((line) => colour.red(line)),
    ),
  );
}

const nameWidth = (nodes: readonly NodeRecord[]): number => Math.max(4, ...nodes.map((each) => nameOf(each).length));

const gpus = (record: NodeRecord, width: number): string[][] =>
  (record.report?.gpus ?? []).map(({ id, kind, free, freeBytes, memoryBytes }: GpuReport) => [
    nameOf(record),
    clip(kind, width),
    percent(free),
    `${gib(freeBytes)} of ${gib(memoryBytes)} GiB`,
    clip(id, ID_MAX),
  ]);

function engines(nodes: readonly NodeRecord[], paper: Paper): string[] {
  const all = nodes.flatMap((record) => (record.report?.engines ?? []).map((engine) => ({ record, engine })));
  const width = paper.columns - nameWidth(nodes) - BESIDE_MODEL;
  const lines = headed(
    ENGINES,
    all.map(({ record, engine }) => engineRow(record, engine, width)),
    paper,
    [3, 4, 5, 6],
  );
  // Each reason under its own server.
  return lines.flatMap((line, at) => {
    const { engine } = all[at - 1] ?? {};
    const why = engine?.why === undefined ? [] : wrap(engine.why, paper.columns - 4);
    const { colour } = paper;
    return [line, ...why.map((text) => (engine?.state === "dead" ? colour.red : colour.dim)(`    ${text}`))];
  });
}

function engineRow(record: NodeRecord, engine: EngineReport, width: number): string[] {
  const { model, state, running, waiting, slots, kvUsage, tokensPerS } = engine;
  const isUp = state === "ready" || state === "busy" || state === "draining";
  return [
    nameOf(record),
    clip(model, width),
    state,
    ...(isUp
      ? [
          waiting === 0 ? String(running) : `${running}+${waiting}`,
          String(slots),
          percent(kvUsage),
          tokensPerS === undefined ? "" : String(Math.round(tokensPerS)),
        ]
      : ["", "", "", ""]),
  ];
}

/** A report is bounded: what did not fit is said to be missing. */
function leftOut({ name, report }: NodeRecord): string[] {
  const { engines: servers = 0, gpus: devices = 0, faults: wrongs = 0 } = report?.cut ?? {};
  const missing = [
    ...(servers > 0 ? [`${servers} model servers`] : []),
    ...(devices > 0 ? [`${devices} GPUs`] : []),
    ...(wrongs > 0 ? [`${wrongs} faults`] : []),
  ];
  return missing.length === 0 ? [] : [`${clip(name, NAME_MAX)} has more than its report holds: ${missing.join(", ")}.`];
}

const hosted = (record: NodeRecord): string[] => [
  nameOf(record),
  clip(record.node, REST_MAX),
  clip(record.flotilla, NAME_MAX),
  clip(typesText(record), REST_MAX),
  clip(labelsText(record.labels), REST_MAX),
];
