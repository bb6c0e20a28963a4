// What amd-smi and rocm-smi print, as arrays and objects, with fields missing and texts where numbers are expected.

import { describe, expect, test } from "vitest";
import { parseAmdMetrics, parseAmdProcesses, parseAmdStatic } from "../../../nodes/gpu/amd-smi.ts";
import { parseRocm } from "../../../nodes/gpu/rocm-smi.ts";
import { fixture } from "./tools.ts";

const MIB = 2 ** 20;

describe("amd-smi", () => {
  test("static: ids as ROCr takes them, and an integrated GPU that has none", () => {
    const known = parseAmdStatic(fixture("amd-static.json"));
    expect(known?.driver).toBe("6.10.5");
    expect(
      known?.gpus.map(({ id, index, kind, memoryBytes, health, pci }) => [id, index, kind, memoryBytes, health, pci]),
    ).toEqual([
      ["GPU-1f2e3d4c5b6a7980", 0, "AMD Instinct MI300X", 196592 * MIB, { slowdownC: 100 }, "0000:05:00"],
      ["1", 1, "Radeon 8060S Graphics", 0, {}, undefined],
    ]);
  });

  test("metric: the hot spot before the edge, and nothing for N/A", () => {
    const metrics = parseAmdMetrics(fixture("amd-metric.json"));
    expect(metrics?.get(0)).toEqual({
      ...{
        memoryBytes: 196592 * MIB,
        usedBytes: 17153 * MIB,
        utilization: 0.94,
        temperatureC: 71,
        uncorrectedErrors: 1,
      },
    });
    expect(metrics?.get(1)).toEqual({ memoryBytes: 512 * MIB, usedBytes: 90 * MIB, temperatureC: 44 });
  });

  test("process: bytes, unknown memory, and the sentence of an idle GPU", () => {
    const processes = parseAmdProcesses(fixture("amd-process.json"));
    expect(processes?.get(0)).toEqual([{ pid: 20211, usedBytes: 16106127360 }, { pid: 20399 }]);
    expect(processes?.get(1)).toEqual([]);
  });

  test("what is no list of GPUs is refused", () => {
    for (const odd of ["", "AMDSMI_STATUS_DRIVER_NOT_LOADED", '{"gpu_data": 3}', "[1, 2"]) {
      expect(parseAmdStatic(odd)).toBeUndefined();
    }
    expect(parseAmdStatic('[{"no": "gpu"}, 3, null]')?.gpus).toEqual([]);
  });
});

describe("rocm-smi", () => {
  test("cards behind a warning, in both spellings, with texts for values", () => {
    const known = parseRocm(fixture("rocm-smi.txt"));
    expect(known?.driver).toBe("6.8.5");
    expect(known?.gpus).toEqual([
      {
        ...{
          id: "GPU-00009a8b7c6d5e4f",
          index: 0,
          kind: "Instinct MI210",
          memoryBytes: 68702699520,
          usedBytes: 10960896,
        },
        ...{ processes: [], temperatureC: 44, utilization: 0.12, health: {}, faults: [], pci: "0000:c3:00" },
      },
      {
        ...{ id: "1", index: 1, kind: "Instinct MI210", memoryBytes: 68702699520, usedBytes: 0 },
        ...{ processes: [], health: {}, faults: [] },
      },
    ]);
  });

  test("what is no JSON is refused", () => {
    expect(parseRocm("ERROR: No AMD GPUs specified")).toBeUndefined();
    expect(parseRocm("[]")).toBeUndefined();
  });
});
