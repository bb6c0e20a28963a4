// Amounts on the command line, and what a machine has within its cgroup's limits.

import { mkdir, mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { dirname, join } from "node:path";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { byteSize, parseByteSize } from "../../../nodes/byte-size.ts";
import { deviceMasks } from "../../../nodes/options.ts";
import { parseAmounts } from "../../../nodes/resources/amounts.ts";
import { cgroupLimits, discoverAmounts, grantable, RESERVE_MAX_BYTES } from "../../../nodes/resources/machine.ts";
import { caught } from "../../support/caught.ts";

const GIB = 2 ** 30;

describe("text", () => {
  test("amounts by name, sizes with units", () => {
    expect(parseAmounts("cpus=8,gpus=2, licence=3 ,memory=64GiB,gpuMemory=1.5 GB")).toEqual({
      ...{ cpus: 8, gpus: 2, licence: 3, memoryBytes: 64 * GIB, gpuMemoryBytes: 1.5e9 },
    });
    expect(parseAmounts("cpus=0.5")).toEqual({ cpus: 0.5 });
    expect(parseAmounts(" ")).toEqual({});
  });

  test.each([
    ["cpus", "is no name=number"],
    ["cpus=", "is no name=number"],
    ["cpus=8,", "is no name=number"],
    ["=8", "is no name=number"],
    ["cpus=many", 'cpus: "many" is no amount'],
    ["cpus=-1", 'cpus: "-1" is no amount'],
    ["cpus=8GiB", 'cpus: "8GiB" is no amount'],
    ["cpus=1e99", "is no amount"],
    ["memory=64 gibibytes", "is no amount"],
    ["memory=1GiB,memoryBytes=1", "memoryBytes is there twice"],
    ["a b=1", "is no name=number"],
    ["__proto__=1", "is no name=number"],
  ])("%j is refused: %s", async (text, words) => {
    expect(await caught(Promise.try(() => parseAmounts(text)))).toMatchObject({
      code: "AmountsInvalid",
      message: expect.stringContaining(words),
    });
  });

  test("sizes are read and shown", () => {
    expect(["512", "1KB", "1 KiB", "1.5tib", "9999999TiB", "1 furlong", "-1"].map(parseByteSize)).toEqual([
      ...[512, 1_000, 1_024, 1.5 * 2 ** 40, undefined, undefined, undefined],
    ]);
    expect([0, 1_023, 1_536, 80 * GIB, 1.25 * 2 ** 40].map(byteSize)).toEqual([
      ...["0 B", "1023 B", "1.5 KiB", "80 GiB", "1.25 TiB"],
    ]);
  });

  test("masks of the environment: an empty one is not none", () => {
    expect(deviceMasks({})).toEqual({});
    expect(deviceMasks({ CUDA_VISIBLE_DEVICES: "", HIP_VISIBLE_DEVICES: "1" })).toEqual({ cuda: "", hip: "1" });
  });
});

describe("the machine", () => {
  let folder = "";
  const write = async (path: string, text: string) => {
    await mkdir(dirname(join(folder, path)), { recursive: true });
    await writeFile(join(folder, path), text);
  };
  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-cgroup-"));
  });
  afterAll(() => rm(folder, { recursive: true, force: true }));

  test("the tightest limit up to the root counts (version 2)", async () => {
    await write("two/proc", "0::/pods/mine\n");
    await write("two/fs/pods/mine/cpu.max", "max 100000\n");
    await write("two/fs/pods/mine/memory.max", `${4 * GIB}\n`);
    await write("two/fs/pods/cpu.max", "250000 100000\n");
    await write("two/fs/pods/memory.max", `${2 * GIB}\n`);
    await write("two/fs/memory.max", "max\n");
    expect(cgroupLimits(join(folder, "two/proc"), join(folder, "two/fs"))).toEqual({ cpus: 2.5, memoryBytes: 2 * GIB });
  });

  test("in a container, whose own path is one of the host's, the mount's files count", async () => {
    await write("in/proc", "0::/kubepods/pod1\n");
    await write("in/fs/cpu.max", "50000 100000\n");
    expect(cgroupLimits(join(folder, "in/proc"), join(folder, "in/fs"))).toEqual({ cpus: 0.5 });
  });

  test("version 1, and no cgroups at all", async () => {
    await write("one/proc", "4:memory:/a\n3:cpu,cpuacct:/a\n1:name=systemd:/\n");
    await write("one/fs/memory/a/memory.limit_in_bytes", `${GIB}\n`);
    await write("one/fs/cpu/a/cpu.cfs_quota_us", "150000\n");
    await write("one/fs/cpu/a/cpu.cfs_period_us", "100000\n");
    await write("one/fs/cpu/cpu.cfs_quota_us", "-1\n");
    await write("one/fs/cpu/cpu.cfs_period_us", "100000\n");
    expect(cgroupLimits(join(folder, "one/proc"), join(folder, "one/fs"))).toEqual({ cpus: 1.5, memoryBytes: GIB });
    expect(cgroupLimits(join(folder, "none"), join(folder, "none"))).toEqual({});
  });

  test("a tenth of the memory is kept, at most 2 GiB; cores are not", () => {
    expect(grantable(8, 10 * GIB, {})).toEqual({ cpus: 8, memoryBytes: 9 * GIB });
    expect(grantable(8, 512 * GIB, {})).toEqual({ cpus: 8, memoryBytes: 512 * GIB - RESERVE_MAX_BYTES });
    expect(grantable(8, 512 * GIB, { cpus: 2.5, memoryBytes: 10 * GIB })).toEqual({ cpus: 2.5, memoryBytes: 9 * GIB });
    expect(grantable(8, 10 * GIB, { cpus: 64, memoryBytes: 2 ** 62 })).toEqual({ cpus: 8, memoryBytes: 9 * GIB });
  });

  test("this one has some of each", () => {
    const { cpus = 0, memoryBytes = 0 } = discoverAmounts();
    expect(cpus).toBeGreaterThan(0);
    expect(memoryBytes).toBeGreaterThan(GIB / 4);
  });
});
