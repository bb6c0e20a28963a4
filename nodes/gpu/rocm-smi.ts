// AMD's GPUs, by rocm-smi, where amd-smi is not installed: one JSON object for each card, with texts for values. The parser is pure.
//
// RS1  Names of fields changed between versions ("Card series" and "Card Series", "Device Name"): each is looked for without regard to case.
// RS2  It does not say which process holds memory of which card, nor where cards slow down: `processes` stays empty, and there is no "hot".

import { amdId } from "./amd-gpu.ts";
import type { Gpu } from "./gpu.ts";
import type { GpuTool, ToolAnswer } from "./tool.ts";
import { type RunTool, runInWords } from "./tool-run.ts";
import { given, isRecord, jsonIn, numberIn, pciOf, percentIn, textIn } from "./tool-value.ts";

const PROGRAM = "rocm-smi";
const ASKED: readonly string[] = [
  ...["--showid", "--showuniqueid", "--showproductname", "--showbus", "--showmeminfo", "vram"],
  ...["--showuse", "--showtemp", "--showdriverversion", "--json"],
];

export const rocmSmi: GpuTool = { program: PROGRAM, vendor: "amd", everyMs: 60_000, discover, refresh };

/** The cards, or undefined for what is no such object. */
export function parseRocm(text: string): { readonly driver: string; readonly gpus: readonly Gpu[] } | undefined {
  const json = jsonIn(text);
  if (!isRecord(json)) return undefined;
  const gpus = Object.entries(json).flatMap(([name, card]) => {
    const index = /^card(\d+)$/.exec(name)?.[1];
    return index === undefined || !isRecord(card) ? [] : [cardOf(Number(index), card)];
  });
  const driver = isRecord(json.system) ? field(json.system, "Driver version") : undefined;
  return { driver: driver ?? "unknown", gpus };
}

/** The first of these fields that says something (RS1). */
function field(card: Readonly<Record<string, unknown>>, ...names: readonly string[]): string | undefined {
  const wanted = names.map((name) => name.toLowerCase());
  const found = Object.entries(card).filter(([name]) => wanted.includes(name.toLowerCase()));
  found.sort(([a], [b]) => wanted.indexOf(a.toLowerCase()) - wanted.indexOf(b.toLowerCase()));
  return found.map(([, value]) => textIn(value)).find((value) => value !== undefined);
}

function cardOf(index: number, card: Readonly<Record<string, unknown>>): Gpu {
  const [total, used] = ["Memory", "Used Memory"].map((name) => numberIn(field(card, `VRAM Total ${name} (B)`)));
  const sensors = ["junction", "edge", "die"].map((place) => `Temperature (Sensor ${place}) (C)`);
  return {
    id: amdId(field(card, "Unique ID"), index),
    index,
    kind: field(card, "Card Series", "Device Name", "Card Model") ?? "AMD GPU",
    memoryBytes: total ?? 0,
    usedBytes: used ?? 0,
    processes: [],
    ...given("temperatureC", numberIn(field(card, ...sensors))),
    ...given("utilization", percentIn(field(card, "GPU use (%)"))),
    health: {},
    faults: [],
    ...given("pci", pciOf(field(card, "PCI Bus"))),
  };
}

async function discover(run: RunTool): Promise<ToolAnswer> {
  const output = await run(PROGRAM, ASKED);
  if (output.kind === "missing") return { kind: "none", why: runInWords(PROGRAM, output) };
  if (output.kind === "late") return { kind: "failed", why: runInWords(PROGRAM, output) };
  const known = parseRocm(output.out);
  if (known !== undefined && known.gpus.length > 0) return { kind: "found", ...known, problems: [] };
  if (known !== undefined || /No AMD GPUs|No JSON data/i.test(`${output.out}${output.err}`)) {
    return { kind: "none", why: "rocm-smi sees no device" };
  }
  return { kind: "failed", why: runInWords(PROGRAM, output) };
}

async function refresh(run: RunTool, gpus: readonly Gpu[]): Promise<ToolAnswer> {
  const answer = await discover(run);
  if (answer.kind !== "found") return answer;
  const wanted = new Set(gpus.map(({ id }) => id));
  return { ...answer, gpus: answer.gpus.filter(({ id }) => wanted.has(id)) };
}
