// Which tool is believed, what the operator and the environment make of it, and what is said when there is nothing.

import { describe, expect, test } from "vitest";
import { discoverGpus, type GpuDiscovery } from "../../../nodes/gpu/discovery.ts";
import { usedByOthers } from "../../../nodes/gpu/gpu.ts";
import { parseGpuOverride } from "../../../nodes/gpu/override.ts";
import type { ToolOutput } from "../../../nodes/gpu/tool-run.ts";
import { caught } from "../../support/caught.ts";
import { FIRST, fixture, H100S, SECOND, says, scripted } from "./tools.ts";

const LATE: ToolOutput = { kind: "late", afterMs: 5_000 };
const AMD = {
  "amd-smi static": says(fixture("amd-static.json")),
  "amd-smi metric": says(fixture("amd-metric.json")),
  "amd-smi process": says(fixture("amd-process.json")),
};
const MIG = {
  "nvidia-smi --query-gpu": says(fixture("nvidia-mig-query.txt")),
  "nvidia-smi -q -x": says(fixture("nvidia-mig.xml")),
  "nvidia-smi -L": says(fixture("nvidia-mig-list.txt")),
};
const ids = (result: GpuDiscovery): readonly string[] =>
  result.kind === "found" ? result.gpus.map(({ id }) => id) : [JSON.stringify(result)];
const discovered = (answers: Record<string, ToolOutput>, override?: string, masks = {}) =>
  discoverGpus({
    run: scripted(answers),
    ...(override === undefined ? {} : { override: parseGpuOverride(override) }),
    masks,
  });

describe("tools", () => {
  test("nvidia-smi: devices with their processes, health and faults", async () => {
    const result = await discovered(H100S);
    if (result.kind !== "found") throw new Error(JSON.stringify(result));
    expect(result).toMatchObject({ vendor: "nvidia", tool: "nvidia-smi", driver: "570.133.20", problems: [] });
    expect(ids(result)).toEqual([FIRST, SECOND]);
    const [sound, broken] = result.gpus;
    expect(sound).toMatchObject({ index: 0, kind: "NVIDIA H100 80GB HBM3", faults: [], pci: "0000:19:00" });
    expect(broken?.faults.map(({ kind }) => kind)).toEqual(["memory", "memory", "recovery"]);
    expect(broken?.faults.at(-1)?.message).toBe(`${SECOND}: the driver wants: Drain and Reset`);
    if (broken === undefined) return;
    expect(usedByOthers(broken, (pid) => pid === 41822)).toBe((74211 - 71300) * 2 ** 20);
  });

  test("with MIG the MIG devices are the GPUs, and a GPU without any is told of", async () => {
    const result = await discovered(MIG);
    if (result.kind !== "found") throw new Error(JSON.stringify(result));
    expect(result.gpus.map(({ id, index, kind, memoryBytes }) => [id, index, kind, memoryBytes / 2 ** 20])).toEqual([
      ["MIG-0c0c0c0c-1111-5222-8333-444444444401", 0, "NVIDIA A100-SXM4-40GB MIG 3g.20gb", 19968],
      ["MIG-0c0c0c0c-1111-5222-8333-444444444402", 0, "NVIDIA A100-SXM4-40GB MIG 2g.10gb", 9856],
    ]);
    expect(result.gpus[1]?.mig).toEqual({ parent: "GPU-a1a1a1a1-0000-4000-8000-00000000000a", profile: "2g.10gb" });
    expect(result.gpus[0]?.processes.map(({ pid }) => pid)).toEqual([3301]);
    expect(result.problems).toEqual([expect.stringContaining("has no MIG device to give")]);
  });

  test("with MIG and without details nothing is guessed", async () => {
    const result = await discovered({ ...MIG, "nvidia-smi -q -x": LATE });
    expect(result).toMatchObject({ kind: "failed", why: "nvidia-smi did not answer within 5 s" });
  });

  test("without details the devices are still found, and that is told", async () => {
    const result = await discovered({ ...H100S, "nvidia-smi -q -x": says("<nvidia_smi_log>") });
    expect(ids(result)).toEqual([FIRST, SECOND]);
    expect(result).toMatchObject({ problems: ["no details: nvidia-smi -q -x printed no whole log"] });
  });

  test("a device that does not answer is told of, whatever the exit code, beside those that do", async () => {
    const odd = {
      "nvidia-smi --query-gpu": says(fixture("nvidia-query-odd.txt"), 15),
      "nvidia-smi -q -x": says("", 15),
    };
    const result = await discovered(odd);
    expect(ids(result)).toHaveLength(2);
    expect(result).toMatchObject({ problems: [expect.stringContaining("GPU1: 0000:44:00.0"), expect.any(String)] });
  });

  test("amd-smi where nvidia-smi is missing, and rocm-smi where both are", async () => {
    const amd = await discovered(AMD);
    expect(amd).toMatchObject({ kind: "found", vendor: "amd", tool: "amd-smi", driver: "6.10.5" });
    expect(ids(amd)).toEqual(["GPU-1f2e3d4c5b6a7980", "1"]);
    expect(amd.kind === "found" && amd.gpus[0]).toMatchObject({
      ...{ usedBytes: 17153 * 2 ** 20, temperatureC: 71, health: { slowdownC: 100, uncorrectedErrors: 1 } },
      processes: [{ pid: 20211, usedBytes: 16106127360 }, { pid: 20399 }],
    });
    const rocm = await discovered({ "rocm-smi": says(fixture("rocm-smi.txt")) });
    expect(rocm).toMatchObject({ kind: "found", vendor: "amd", tool: "rocm-smi", driver: "6.8.5" });
  });

  test("a broken NVIDIA driver beside AMD's GPUs is told as a problem", async () => {
    const result = await discovered({ ...AMD, "nvidia-smi": LATE });
    expect(result).toMatchObject({
      kind: "found",
      tool: "amd-smi",
      problems: ["nvidia-smi did not answer within 5 s"],
    });
  });

  test("no tool at all: none, and each is named", async () => {
    expect(await discovered({})).toEqual({
      kind: "none",
      why: "nvidia-smi is not installed; amd-smi is not installed; rocm-smi is not installed",
    });
  });

  test.each([
    [
      "NVIDIA-SMI has failed because it couldn't communicate with the NVIDIA driver. Make sure …",
      9,
      "failed",
      "load it",
    ],
    ["No devices were found", 6, "none", "sees no device"],
    ["Failed to initialize NVML: Driver/library version mismatch", 18, "failed", "reboot"],
    ["Failed to initialize NVML: Insufficient Permissions", 4, "failed", "/dev/nvidia"],
    ["something else", 3, "failed", "nvidia-smi ended with code 3: something else"],
  ])("%s", async (said, code, kind, why) => {
    const result = await discovered({ "nvidia-smi": says(said, code) });
    expect(result).toMatchObject({ kind, why: expect.stringContaining(why) });
  });

  test("amd-smi that fails is not taken for no GPU", async () => {
    const result = await discovered({ "amd-smi": says("", 1, "AMDSMI_STATUS_DRIVER_NOT_LOADED") });
    expect(result).toMatchObject({
      kind: "failed",
      tool: "amd-smi",
      why: expect.stringContaining("DRIVER_NOT_LOADED"),
    });
  });
});

describe("the operator's word", () => {
  test("narrows what is found", async () => {
    expect(ids(await discovered(H100S, "1"))).toEqual([FIRST]);
    expect(ids(await discovered(H100S, "1,"))).toEqual([SECOND]);
    expect(ids(await discovered(H100S, `0, ${SECOND}`))).toEqual([FIRST, SECOND]);
    expect(ids(await discovered(MIG, "0,"))).toHaveLength(2);
    expect((await discovered(H100S, "none")).kind).toBe("none");
  });

  test("stands where no tool tells", async () => {
    const result = await discovered({}, "amd:2x192GiB:MI300X");
    expect(result).toMatchObject({ kind: "found", vendor: "amd", tool: "the operator" });
    expect(result.kind === "found" && result.gpus.map(({ id, kind, memoryBytes }) => [id, kind, memoryBytes])).toEqual([
      ["0", "MI300X", 192 * 2 ** 30],
      ["1", "MI300X", 192 * 2 ** 30],
    ]);
  });

  test.each([
    ["4", "the operator says 4 GPUs, but nvidia-smi shows 2"],
    ["0,7", "the operator says GPU 7, but nvidia-smi shows 2: 0 (GPU-5e1c"],
    ["GPU-nope,", "GPU GPU-nope, but nvidia-smi shows 2"],
    ["8x80GiB:H100", "the operator declares 8 GPUs (H100), but nvidia-smi shows 2"],
  ])("%s contradicts nvidia-smi, and both are named", async (said, words) => {
    const result = await discovered(H100S, said);
    if (result.kind !== "contradicted") throw new Error(JSON.stringify(result));
    expect(result.error.code).toBe("GpuOverrideContradicted");
    expect(result.error.message).toContain(words);
  });

  test("a count where nothing is found names the tools", async () => {
    const result = await discovered({}, "2");
    if (result.kind !== "contradicted") throw new Error(JSON.stringify(result));
    expect(result.error.message).toContain("2 GPUs, but none can be found: nvidia-smi is not installed");
  });

  test.each(["", "two", "0,0", "-1", "2x", "2x80", "0x80GiB", "2x0GiB", "65", "GPU-a,,GPU-b", "a100"])(
    "%j is refused with what was expected",
    async (text) => {
      const error = await caught(Promise.try(() => parseGpuOverride(text)));
      expect(error).toMatchObject({ code: "GpuOverrideInvalid", message: expect.stringContaining("2x80GiB:H100") });
    },
  );
});

describe("masks of the environment", () => {
  test.each([
    ["1", [SECOND]],
    ["1,0", [SECOND, FIRST]],
    [SECOND, [SECOND]],
    ["GPU-7b9d", [SECOND]],
    ["0,9,1", [FIRST]],
    ["0,-1,1", [FIRST]],
  ])("CUDA_VISIBLE_DEVICES=%s", async (cuda, expected) => {
    expect(ids(await discovered(H100S, undefined, { cuda }))).toEqual(expected);
  });

  test("one that hides everything leaves none, and says why", async () => {
    for (const cuda of ["", "-1", "NoDevFiles"]) {
      expect(await discovered(H100S, undefined, { cuda })).toMatchObject({
        kind: "none",
        why: expect.stringContaining("hidden"),
      });
    }
  });

  test("the operator counts in what is left, and is told of what is hidden", async () => {
    const result = await discovered(H100S, "2", { cuda: "1" });
    if (result.kind !== "contradicted") throw new Error(JSON.stringify(result));
    expect(result.error.message).toContain("nvidia-smi shows 2, 1 of them hidden");
  });

  test("ROCr's comes first, and HIP counts in what it leaves; HIP takes CUDA's for its own", async () => {
    expect(ids(await discovered(AMD, undefined, { rocr: "1", hip: "0" }))).toEqual(["1"]);
    expect(ids(await discovered(AMD, undefined, { rocr: "GPU-1f2e3d4c5b6a7980", cuda: "0" }))).toEqual([
      "GPU-1f2e3d4c5b6a7980",
    ]);
    expect(await discovered(AMD, undefined, { rocr: "1", hip: "1" })).toMatchObject({ kind: "none" });
  });
});
