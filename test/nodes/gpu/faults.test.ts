// What leads to draining: reports of the kernel, errors, temperatures, and devices and tools that do not answer.

import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, describe, expect, test } from "vitest";
import { discoverGpus } from "../../../nodes/gpu/discovery.ts";
import { gpuFaults, HOT_READINGS, NO_HISTORY, withReading, withXids } from "../../../nodes/gpu/faults.ts";
import type { Gpu } from "../../../nodes/gpu/gpu.ts";
import { openKernelLog } from "../../../nodes/gpu/kernel-log.ts";
import type { ToolOutput } from "../../../nodes/gpu/tool-run.ts";
import { FULL_EVERY, GpuWatch, type GpuWatchOptions, UNREAD_MAX } from "../../../nodes/gpu/watch.ts";
import { graveXid, parseXid } from "../../../nodes/gpu/xid.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FIRST, fixture, gpu, H100S, SECOND, says, scripted } from "./tools.ts";

describe("reports in the kernel's log", () => {
  const reports = fixture("kernel-log.txt")
    .split("\n")
    .flatMap((line) => parseXid(line) ?? []);

  test("are read from lines of dmesg, with and without domain and instance", () => {
    expect(reports.map(({ code, pci }) => [code, pci])).toEqual([
      [79, "0000:3b:00"],
      [31, "0000:19:00"],
      [94, "0000:19:00"],
      [62, "0000:01:00"],
      [154, "0000:19:00"],
      [154, "0000:19:00"],
    ]);
    expect(parseXid("6,339,5140900,-;NVRM: Xid (PCI:0000:3b:00): 79, x")).toMatchObject({ code: 79 });
  });

  test("count only when the device is lost for others too", () => {
    expect(reports.map(graveXid)).toEqual([
      "it has fallen off the bus",
      undefined,
      undefined,
      "one of its controllers halted",
      "the driver wants: Node Reboot Required",
      undefined,
    ]);
    const codes = Array.from({ length: 200 }, (_, code) => code);
    expect(codes.filter((code) => graveXid({ code, pci: "", text: "" }) !== undefined)).toEqual([
      46, 48, 62, 64, 74, 79, 95, 109, 110, 119, 120, 136, 140, 143,
    ]);
  });

  let folder: string | undefined;
  afterEach(async () => {
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  });

  test("of a file are those written after it was opened; a file that is not there says why", async () => {
    folder = await mkdtemp(join(tmpdir(), "flotilla-kmsg-"));
    const path = join(folder, "kmsg");
    await writeFile(path, "6,1,1,-;NVRM: Xid (PCI:0000:3b:00): 79, old\n");
    const log = openKernelLog(path);
    if ("kind" in log) throw new Error(log.why);
    expect(log.lines()).toEqual([]);
    await writeFile(path, "6,2,2,-;NVRM: Xid (PCI:0000:3b:00): 48, new\n KEY=value\n", { flag: "a" });
    expect(log.lines()).toEqual(["NVRM: Xid (PCI:0000:3b:00): 48, new"]);
    log.close();
    log.close();
    expect(log.lines()).toEqual([]);
    await rm(path);
    expect(openKernelLog(path)).toMatchObject({ kind: "unreadable", why: expect.stringContaining("ENOENT") });
  });
});

describe("faults of a device", () => {
  const kinds = (reading: Gpu, history = NO_HISTORY) => gpuFaults(reading, history).map(({ kind }) => kind);
  const seen = (...readings: readonly (Gpu | undefined)[]) => readings.reduce(withReading, NO_HISTORY);

  test("a sound one has none", () => expect(kinds(gpu(), seen(gpu(), gpu()))).toEqual([]));

  test("what one reading shows", () => {
    expect(kinds(gpu({ health: { remapFailed: true } }))).toEqual(["memory"]);
    expect(kinds(gpu({ health: { tooManyErrors: true } }))).toEqual(["memory"]);
    expect(kinds(gpu({ health: { recovery: "Reset" } }))).toEqual(["recovery"]);
    expect(kinds(gpu({ health: { recovery: "None", remapFailed: false } }))).toEqual([]);
  });

  test("errors since the first reading, not those from before; they stay", () => {
    const [two, three] = [2, 3].map((uncorrectedErrors) => gpu({ health: { uncorrectedErrors } })) as [Gpu, Gpu];
    expect(kinds(two, seen(two, two))).toEqual([]);
    expect(kinds(three, seen(two, three))).toEqual(["ecc"]);
    expect(kinds(gpu(), seen(two, three, gpu()))).toEqual(["ecc"]);
    expect(kinds(two, seen(gpu({ health: {} }), two))).toEqual([]);
  });

  test("a temperature at the threshold for some readings in a row, and until as many were below", () => {
    const [hot, cool] = [gpu({ temperatureC: 89 }), gpu({ temperatureC: 88 })];
    const hots = Array.from({ length: HOT_READINGS }, () => hot);
    expect(kinds(hot, seen(...hots.slice(1)))).toEqual([]);
    expect(kinds(hot, seen(...hots.slice(1), cool, hot))).toEqual([]);
    expect(kinds(hot, seen(...hots))).toEqual(["hot"]);
    expect(kinds(cool, seen(...hots, cool, cool))).toEqual(["hot"]);
    expect(kinds(cool, seen(...hots, cool, cool, cool))).toEqual([]);
    expect(kinds(gpu({ temperatureC: 200, health: {} }), seen(...hots.map(() => gpu({ health: {} }))))).toEqual([]);
  });

  test("a vanished one stays gone, and a report is told once", () => {
    expect(kinds(gpu(), seen(gpu(), undefined, gpu()))).toEqual(["gone"]);
    const xid = { code: 79, pci: "0000:3b:00", text: "" };
    const history = withXids(withXids(NO_HISTORY, [xid, xid, { ...xid, code: 31 }]), [xid]);
    expect(gpuFaults(gpu(), history)).toEqual([
      { kind: "xid", message: "GPU-a: it has fallen off the bus (Xid 79 in the kernel's log)" },
    ]);
  });
});

/** A watch of two H100 whose tool answers from `answers`, which a test changes. */
async function watched(options: Partial<GpuWatchOptions> = {}) {
  const answers: Record<string, ToolOutput> = { ...H100S };
  const sound = fixture("nvidia-full.xml").replace("Drain and Reset", "None").replaceAll(">Yes<", ">No<");
  answers["nvidia-smi -q -x"] = says(sound);
  const run = scripted(answers);
  const found = await discoverGpus({ run });
  if (found.kind !== "found") throw new Error(JSON.stringify(found));
  const clock = new FakeClock();
  const told: string[][] = [];
  const onFaults = ({ faults }: Gpu) => void told.push(faults.map(({ kind }) => kind));
  const watch = new GpuWatch({ found, run, clock, onFaults, ...options });
  watch.start();
  run.calls.length = 0;
  return { answers, run, clock, told, watch };
}

describe("the watch", () => {
  test("an idle machine costs one query each time, and everything now and then", async () => {
    const { run, clock, told, watch } = await watched();
    await clock.advance(5_000 * (FULL_EVERY - 1));
    expect(run.calls).toHaveLength(FULL_EVERY - 1);
    expect(new Set(run.calls.map((call) => call.split("=")[0]))).toEqual(new Set(["nvidia-smi --query-gpu"]));
    await clock.advance(5_000);
    expect(run.calls.at(-1)).toBe("nvidia-smi -q -x");
    expect(told).toEqual([]);
    watch.stop();
    watch.stop();
    expect(clock.pending).toBe(0);
  });

  test("processes are asked for when the memory used has changed", async () => {
    const readings: (readonly Gpu[])[] = [];
    const { answers, run, clock, watch } = await watched({ onReading: (gpus) => void readings.push(gpus) });
    answers["nvidia-smi --query-gpu"] = says(fixture("nvidia-query.txt").replace("81559, 1127", "81559, 9000"));
    await clock.advance(5_000);
    expect(run.calls.map((call) => call.split("=")[0])).toEqual([
      "nvidia-smi --query-gpu",
      "nvidia-smi --query-compute-apps",
    ]);
    expect(readings[0]?.[0]).toMatchObject({ usedBytes: 9000 * 2 ** 20, processes: [{ pid: 512 }] });
    watch.stop();
  });

  test("faults appear and are told once: a report, new errors, a device that vanished", async () => {
    const lines: string[] = [];
    const { answers, clock, told, watch } = await watched({ kernelLines: () => lines.splice(0) });
    lines.push("NVRM: Xid (PCI:0000:3b:00): 79, GPU has fallen off the bus.", "NVRM: Xid (PCI:0000:99:00): 79, other");
    await clock.advance(5_000);
    expect(told).toEqual([["xid"]]);
    const rows = fixture("nvidia-query.txt").split("\n");
    answers["nvidia-smi --query-gpu"] = says(`${rows[0]?.replace("31, 0,", "31, 2,")}\nUnable to determine …`);
    await clock.advance(10_000);
    expect(told).toEqual([["xid"], ["ecc"], ["xid", "gone"]]);
    expect(watch.gpus.map(({ id }) => id)).toEqual([FIRST, SECOND]);
    watch.stop();
  });

  test("a reading without details forgets neither thresholds nor devices", async () => {
    const { answers, clock, told, watch } = await watched();
    answers["nvidia-smi -q -x"] = says("");
    await clock.advance(5_000 * FULL_EVERY);
    expect(watch.gpus[0]?.health).toMatchObject({ slowdownC: 89, remapFailed: false });
    expect(told).toEqual([]);
    watch.stop();
  });

  test("a tool that hangs says nothing about a device, until it has done so for a while", async () => {
    const unread: string[] = [];
    const { answers, clock, told, watch } = await watched({ onUnread: (why) => void unread.push(why) });
    const query = answers["nvidia-smi --query-gpu"] as ToolOutput;
    answers["nvidia-smi --query-gpu"] = { kind: "late", afterMs: 5_000 };
    await clock.advance(5_000 * (UNREAD_MAX - 1));
    expect(told).toEqual([]);
    expect(unread).toEqual(["nvidia-smi did not answer within 5 s"]);
    await clock.advance(5_000);
    expect(told).toEqual([["unreadable"], ["unreadable"]]);
    answers["nvidia-smi --query-gpu"] = query;
    await clock.advance(5_000);
    expect(told.slice(2)).toEqual([[], []]);
    watch.stop();
  });

  test("one reading at a time, and none is told after the end", async () => {
    const { run, clock, told, watch } = await watched();
    const running: ((output: ToolOutput) => void)[] = [];
    const slow = new GpuWatch({
      ...{ clock, onFaults: () => void told.push([]) },
      run: () => new Promise((resolve) => void running.push(resolve)),
      found: { kind: "found", vendor: "nvidia", gpus: watch.gpus, driver: "", tool: "nvidia-smi", problems: [] },
    });
    watch.stop();
    slow.start();
    await clock.advance(60_000);
    expect(running).toHaveLength(1);
    slow.stop();
    running[0]?.(says(""));
    await clock.advance(60_000);
    expect([running.length, told.length, run.calls.length]).toEqual([1, 0, 0]);
  });
});
