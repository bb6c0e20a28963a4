// GPU tools that answer from fixtures: what each program says to which arguments.

import { readFileSync } from "node:fs";
import type { Gpu } from "../../../nodes/gpu/gpu.ts";
import type { RunTool, ToolOutput } from "../../../nodes/gpu/tool-run.ts";

export const fixture = (name: string): string =>
  readFileSync(new URL(`../../fixtures/gpu/${name}`, import.meta.url), "utf8");

export const says = (out: string, code = 0, err = ""): ToolOutput => ({ kind: "ended", code, out, err });

/** Answers by the beginning of "program arg arg …"; a program that is in none of them is missing. Calls are kept in `calls`. */
export function scripted(answers: Readonly<Record<string, ToolOutput>>): RunTool & { readonly calls: string[] } {
  const calls: string[] = [];
  const run: RunTool = async (program, args) => {
    const asked = [program, ...args].join(" ");
    calls.push(asked);
    const found = Object.entries(answers).find(([start]) => asked.startsWith(start));
    return found?.[1] ?? { kind: "missing" };
  };
  return Object.assign(run, { calls });
}

/** A host with two H100, by nvidia-smi. */
export const H100S: Readonly<Record<string, ToolOutput>> = {
  "nvidia-smi --query-gpu": says(fixture("nvidia-query.txt")),
  "nvidia-smi -q -x": says(fixture("nvidia-full.xml")),
  "nvidia-smi --query-compute-apps": says(fixture("nvidia-processes.txt")),
};

export const FIRST = "GPU-5e1c2a77-0b5f-4f0c-9d55-2f1f6a3b9c01";
export const SECOND = "GPU-7b9d0f34-6a41-4c2e-8e1d-90c2d4e5f602";

/** A sound device. */
export const gpu = (changed: Partial<Gpu> = {}): Gpu => ({
  ...{ id: "GPU-a", index: 0, kind: "H100", memoryBytes: 80 * 2 ** 30, usedBytes: 0 },
  ...{
    processes: [],
    health: { slowdownC: 89, uncorrectedErrors: 0 },
    faults: [],
    pci: "0000:3b:00",
    temperatureC: 40,
  },
  ...changed,
});
