// What nvidia-smi prints, in shapes of drivers 470 to 570: rows, process rows, MIG names, and the whole log.

import { describe, expect, test } from "vitest";
import { parseGpuRows, parseMigNames, parseProcessRows } from "../../../nodes/gpu/nvidia-text.ts";
import { parseNvidiaXml } from "../../../nodes/gpu/nvidia-xml.ts";
import { numberIn, pciOf, textIn } from "../../../nodes/gpu/tool-value.ts";
import { FIRST, fixture, SECOND } from "./tools.ts";

const MIB = 2 ** 20;

describe("values", () => {
  const odd = ["N/A", "[N/A]", "[Not Supported]", "[Unknown Error]", "ERR!", "", "1 2", null, {}, [], Number.NaN];
  const cases: readonly (readonly [unknown, number | undefined])[] = [
    ["40960 MiB", 40960],
    [" 37 C ", 37],
    ["-5 C", -5],
    ["0 %", 0],
    ["12.5", 12.5],
    [{ value: 12, unit: "MB" }, 12],
    [{ value: "12", unit: "MB" }, 12],
    [7, 7],
    ...odd.map((value) => [value, undefined] as const),
  ];
  test.each(cases)("%j is the number %s", (value, expected) => expect(numberIn(value)).toBe(expected));

  test("texts that say nothing are absent", () => {
    expect(["N/A", "[N/A]", "None", " ", undefined, 3].map(textIn)).toEqual(Array(6).fill(undefined));
    expect(textIn(" Reset ")).toBe("Reset");
  });

  test("addresses on the bus are as the kernel's log has them", () => {
    expect(pciOf("00000000:3B:00.0")).toBe("0000:3b:00");
    expect(pciOf("0001:05:00.0")).toBe("0001:05:00");
    expect(pciOf("N/A")).toBeUndefined();
  });
});

describe("rows of a query", () => {
  test("two GPUs, in bytes, shares and degrees", () => {
    const { rows, problems } = parseGpuRows(fixture("nvidia-query.txt"));
    expect(problems).toEqual([]);
    expect(rows).toHaveLength(2);
    expect(rows[1]).toEqual({
      ...{ index: 1, uuid: SECOND, pci: "00000000:3B:00.0", memoryBytes: 81559 * MIB, usedBytes: 74211 * MIB },
      ...{ utilization: 0.97, temperatureC: 68, uncorrectedErrors: 0, isDivided: false, driver: "570.133.20" },
      name: "NVIDIA H100 80GB HBM3",
    });
  });

  test("names with commas, values that are none, and a device that does not answer", () => {
    const { rows, problems } = parseGpuRows(fixture("nvidia-query-odd.txt"));
    expect(problems).toEqual(["Unable to determine the device handle for GPU1: 0000:44:00.0: Unknown Error"]);
    expect(rows.map(({ index, name }) => [index, name])).toEqual([
      [0, "NVIDIA GeForce RTX 4090, Founders Edition, 2023"],
      [2, "NVIDIA GB10"],
    ]);
    expect(rows[1]).toEqual({
      ...{ index: 2, uuid: "GPU-22c3a1b2-5d6e-4f70-8192-a3b4c5d6e702", pci: "00000000:81:00.0" },
      ...{ isDivided: false, driver: "550.90.07", name: "NVIDIA GB10" },
    });
  });

  test("processes by GPU, with memory where it is known", () => {
    const processes = parseProcessRows(`${fixture("nvidia-processes.txt")}\nNo running processes found\n`);
    expect(processes.get(SECOND)).toEqual([
      { pid: 41822, usedBytes: 71300 * MIB },
      { pid: 41990, usedBytes: 2896 * MIB },
    ]);
    expect(processes.get(FIRST)).toEqual([{ pid: 512 }]);
    expect(processes.size).toBe(2);
  });

  test("MIG devices of both kinds of UUID, each with its GPU", () => {
    const old = "  MIG 4g.20gb Device 0: (UUID: MIG-GPU-9de3d0e8-33f5-10dc-0c79-2c88a7ab0a23/2/0)";
    expect(parseMigNames(`${fixture("nvidia-mig-list.txt")}${old}`)).toEqual([
      ...[
        { index: 0, profile: "3g.20gb", uuid: "MIG-0c0c0c0c-1111-5222-8333-444444444401" },
        { index: 1, profile: "2g.10gb", uuid: "MIG-0c0c0c0c-1111-5222-8333-444444444402" },
      ].map((name) => ({ parent: "GPU-a1a1a1a1-0000-4000-8000-00000000000a", ...name })),
      {
        parent: "GPU-b2b2b2b2-0000-4000-8000-00000000000b",
        ...{ index: 0, profile: "4g.20gb", uuid: "MIG-GPU-9de3d0e8-33f5-10dc-0c79-2c88a7ab0a23/2/0" },
      },
    ]);
  });
});

describe("the whole log", () => {
  test("driver 570: slowdown from the margin, ECC by kind, remaps, what the driver wants, processes", () => {
    const log = parseNvidiaXml(fixture("nvidia-full.xml"));
    expect(log?.driver).toBe("570.133.20");
    const [sound, broken] = log?.gpus ?? [];
    expect(sound?.health).toEqual({
      ...{ slowdownC: 89, uncorrectedErrors: 0, remapFailed: false, tooManyErrors: false, recovery: "None" },
    });
    expect(sound).toMatchObject({ uuid: FIRST, pci: "0000:19:00", memoryBytes: 81559 * MIB, parts: [], processes: [] });
    expect(broken?.health).toEqual({
      ...{ slowdownC: 89, uncorrectedErrors: 3, remapFailed: true, tooManyErrors: true, recovery: "Drain and Reset" },
    });
    expect(broken?.processes).toEqual([{ pid: 41822, usedBytes: 71300 * MIB }, { pid: 41990 }]);
  });

  test("driver 580 on an H100, as the tool printed it: all that is looked for is found", () => {
    const { driver, gpus } = parseNvidiaXml(fixture("nvidia-h100.xml")) ?? {};
    expect(driver).toBe("580.159.04");
    expect(gpus).toEqual([
      {
        ...{ uuid: "GPU-df8154c5-69f4-a884-c90f-42b534c02347", name: "NVIDIA H100 80GB HBM3", pci: "0000:00:06" },
        ...{ memoryBytes: 81559 * MIB, usedBytes: 0, utilization: 0, temperatureC: 42, parts: [], processes: [] },
        health: { slowdownC: 89, uncorrectedErrors: 0, remapFailed: false, tooManyErrors: false, recovery: "None" },
      },
    ]);
  });

  test("driver 535 with MIG: each part with its memory and processes", () => {
    const [divided, empty] = parseNvidiaXml(fixture("nvidia-mig.xml"))?.gpus ?? [];
    expect(divided?.parts).toEqual([
      {
        ...{ index: 0, memoryBytes: 19968 * MIB, usedBytes: 7019 * MIB, uncorrectedErrors: 0 },
        processes: [{ pid: 3301, usedBytes: 7000 * MIB }],
      },
      { index: 1, memoryBytes: 9856 * MIB, usedBytes: 12 * MIB, uncorrectedErrors: 4, processes: [] },
    ]);
    expect(divided?.health).toEqual({ slowdownC: 89 });
    expect(empty?.parts).toEqual([]);
  });

  test("driver 470 before Ampere: double-bit errors", () => {
    const [gpu] = parseNvidiaXml(fixture("nvidia-old.xml"))?.gpus ?? [];
    expect(gpu?.health).toEqual({ slowdownC: 87, uncorrectedErrors: 2 });
  });

  test("warnings before it are passed over; what is cut off or no log is refused", () => {
    const text = fixture("nvidia-full.xml");
    expect(parseNvidiaXml(`WARNING: infoROM is corrupted\n${text}`)?.gpus).toHaveLength(2);
    for (const odd of [text.slice(0, text.length / 2), "", "No devices were found", "<html></html>"]) {
      expect(parseNvidiaXml(odd)).toBeUndefined();
    }
  });
});
