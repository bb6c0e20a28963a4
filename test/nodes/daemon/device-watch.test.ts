// What follows from readings of GPUs: others' memory is not granted, a faulty device is shut, a fault that lasts drains the node once.

import { describe, expect, it } from "vitest";
import { DeviceWatch } from "../../../nodes/daemon/device-watch.ts";
import { lookAtMachine, type Machine } from "../../../nodes/daemon/machine.ts";
import { Ledger, type RunTool, type ToolOutput } from "../../../nodes/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FIRST, fixture, H100S, SECOND, says, scripted } from "../gpu/tools.ts";

const EVERY_MS = 5_000;
/** The second one of the fixture is broken. */
const XML = fixture("nvidia-full.xml")
  .replaceAll(/(<remapped_row_(?:failure|pending)>)Yes/g, "$1No")
  .replaceAll(/(<gpu_recovery_action>)[^<]+/g, "$1None")
  .replaceAll(/(<sram_threshold_exceeded>)Yes/g, "$1No");
const SOUND = { ...H100S, "nvidia-smi -q -x": says(XML) };

/** A host with two H100, whose tool says something else from when `now` is set. */
async function openWatch(start: Readonly<Record<string, ToolOutput>> = SOUND) {
  const clock = new FakeClock();
  let tool = scripted(start);
  const run: RunTool = (program, args) => tool(program, args);
  const machine: Machine = await lookAtMachine({ clock, run, gpus: "0,1" });
  const ledger = new Ledger({ clock, totals: machine.amounts, gpus: machine.gpus });
  const logged: string[] = [];
  let drains = 0;
  const watch = new DeviceWatch({
    ...{ machine, ledger, clock, run },
    log: (level, message) => void logged.push(`${level} ${message}`),
    onLasting: () => {
      drains += 1;
    },
  });
  watch.start();
  return {
    ...{ watch, ledger, logged },
    says: (answers: Readonly<Record<string, ToolOutput>>) => {
      tool = scripted(answers);
    },
    drains: () => drains,
    readings: (count: number) => clock.advance(count * EVERY_MS),
    free: (id: string) => ledger.gpuReports().find((gpu) => gpu.id === id),
    pending: () => clock.pending,
    [Symbol.dispose]: () => watch.close(),
  };
}

const row = (changed: (line: string) => string) => ({
  ...SOUND,
  "nvidia-smi --query-gpu": says(
    fixture("nvidia-query.txt")
      .split("\n")
      .map((line) => (line.includes(FIRST) ? changed(line) : line))
      .join("\n"),
  ),
});

describe("readings", () => {
  it("take what others use of a device from what is free there, again and again", async () => {
    using at = await openWatch();
    const before = at.free(FIRST)?.freeBytes ?? 0;
    const used = fixture("nvidia-query.txt").split("\n")[0]?.split(", ")[4] ?? "";
    at.says(row((line) => line.replace(`, ${used}, `, `, ${Number(used) + 10_240}, `)));
    await at.readings(1);
    expect(before - (at.free(FIRST)?.freeBytes ?? 0)).toBe(10_240 * 2 ** 20);
    at.says(SOUND);
    await at.readings(1);
    expect(at.free(FIRST)?.freeBytes).toBe(before);
  });

  it("that fail are told once, and shut the devices from the third on until the tool answers", async () => {
    using at = await openWatch();
    at.says({ "nvidia-smi": says("", 9, "driver is broken") });
    await at.readings(2);
    expect(at.logged.filter((line) => line.startsWith("warn the GPUs cannot be read"))).toHaveLength(1);
    expect(at.free(FIRST)?.free).toBe(1);
    await at.readings(1);
    expect([at.free(FIRST)?.free, at.free(SECOND)?.free]).toEqual([0, 0]);
    expect(at.watch.faults.join("\n")).toContain("driver is broken");
    expect(at.drains()).toBe(0);
    at.says(SOUND);
    await at.readings(1);
    expect([at.free(FIRST)?.free, at.watch.faults]).toEqual([1, []]);
    expect(at.logged).toContainEqual(`info ${FIRST} has no fault any more`);
  });
});

describe("a fault", () => {
  it("that does not pass shuts its device, is told, and drains the node once, however many follow", async () => {
    using at = await openWatch();
    at.says({ ...SOUND, "nvidia-smi --query-gpu": says(onlyLineOf(SECOND)) });
    await at.readings(1);
    expect(at.watch.faults).toEqual([`${FIRST}: it does not answer any more`]);
    expect(at.free(FIRST)).toMatchObject({ free: 0, freeBytes: 0 });
    expect(at.free(SECOND)?.free).toBe(1);
    expect(at.drains()).toBe(1);
    at.says({ ...SOUND, "nvidia-smi --query-gpu": says(onlyLineOf(FIRST)) });
    await at.readings(2);
    expect(at.watch.faults).toHaveLength(2);
    expect(at.drains()).toBe(1);
    expect(at.logged.filter((line) => line.startsWith("error a GPU is faulty"))).toHaveLength(2);
  });

  it("that is there at the start counts as well", async () => {
    const broken = XML.replace("<remapped_row_failure>No", "<remapped_row_failure>Yes");
    using at = await openWatch({ ...SOUND, "nvidia-smi -q -x": says(broken) });
    expect(at.watch.faults).toEqual([expect.stringContaining("could not be replaced")]);
    expect(at.drains()).toBe(1);
  });
});

it("after it is closed nothing is read or told", async () => {
  const at = await openWatch();
  at.watch.close();
  at.watch.close();
  at.says({ "nvidia-smi": says("", 9, "driver is broken") });
  await at.readings(5);
  expect(at.watch.faults).toEqual([]);
  expect(at.pending()).toBe(0);
});

const onlyLineOf = (id: string): string =>
  `${fixture("nvidia-query.txt")
    .split("\n")
    .find((line) => line.includes(id))}\n`;
