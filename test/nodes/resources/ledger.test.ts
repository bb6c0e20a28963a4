// The ledger keeps the Admission contract; leases lapse, reservations hold, devices are chosen as they should be.

import { describe, expect, test } from "vitest";
import { DaemonAdmission } from "../../../nodes/daemon/admission.ts";
import { Engines } from "../../../nodes/engine/engines.ts";
import { Ledger, type LedgerGrant, type LedgerOptions } from "../../../nodes/resources/ledger.ts";
import { visibleDevices } from "../../../nodes/resources/visibility.ts";
import type { Amounts, Demand, Refusal } from "../../../runtime/index.ts";
import { ADMISSION_GPUS, ADMISSION_TOTALS, admissionContract } from "../../contracts/admission.ts";
import { caught } from "../../support/caught.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const GIB = 2 ** 30;
const gpus = (count: number) =>
  Array.from({ length: count }, (_, at) => ({ id: `GPU-${at}`, kind: "H100", memoryBytes: 80 * GIB }));

function ledgerOf(options: Partial<LedgerOptions> = {}): { ledger: Ledger; clock: FakeClock } {
  const clock = new FakeClock();
  return {
    clock,
    ledger: new Ledger({ clock, totals: { cpus: 8, memoryBytes: 64 * GIB }, gpus: gpus(4), ...options }),
  };
}

function granted(answer: LedgerGrant | Refusal): LedgerGrant {
  if (answer.kind === "refused") throw new Error(`refused: ${answer.reason}`);
  return answer;
}
const claim = (ledger: Ledger, resources: Amounts, bundle?: Demand["bundle"], ttlMs?: number) =>
  granted(ledger.claim({ resources, ...(bundle === undefined ? {} : { bundle }) }, "an actor", ttlMs));
const reason = (ledger: Ledger, resources: Amounts, bundle?: Demand["bundle"]): string => {
  const answer = ledger.claim({ resources, ...(bundle === undefined ? {} : { bundle }) }, "an actor");
  return answer.kind === "refused" ? `${answer.passes ? "later" : "never"}: ${answer.reason}` : "granted";
};

admissionContract("a daemon's", async () => {
  const ledger = new Ledger({ clock: new FakeClock(), totals: ADMISSION_TOTALS, gpus: ADMISSION_GPUS });
  return { admission: new DaemonAdmission(ledger, new Engines()), close: async () => {} };
});

describe("amounts", () => {
  test("do not drift: ten tenths are one, however they come and go", () => {
    const { ledger } = ledgerOf({ totals: { cpus: 1 } });
    for (let round = 0; round < 100; round++) {
      const grants = Array.from({ length: 10 }, () => claim(ledger, { cpus: 0.1 }));
      expect(reason(ledger, { cpus: 0.000001 })).toContain("later: cpus");
      for (const { release } of grants) release();
    }
    expect(ledger.free()).toEqual({ cpus: 1, gpus: 4 });
  });

  test("three thirds of a GPU fit into one, and a little is not nothing", () => {
    const { ledger } = ledgerOf({ gpus: gpus(1), totals: { cpus: 1 } });
    for (let count = 0; count < 3; count++) claim(ledger, { gpus: 1 / 3 });
    expect(reason(ledger, { gpus: 0.01 })).toMatch(/^later: gpus: 0.01 /);
    claim(ledger, { cpus: 1e-9 });
    expect(reason(ledger, { cpus: 1 })).toBe("later: cpus: 1 asked, 0.999999 of 1 are free");
  });

  test.each<[Amounts, string]>([
    [{ cpus: 4, memoryBytes: 128 * GIB }, "never: memoryBytes: 128 GiB asked, this node has 64 GiB in all"],
    [{ tape: 1 }, "never: tape: 1 asked, this node has none (it has cpus, memoryBytes, gpus)"],
    [{ gpus: 5 }, "never: gpus: 5 asked, this node has 4 in all"],
    [{ gpus: 1.5 }, "never: gpus: 1.5 asked: more than one must be whole ones"],
    [{ gpuMemoryBytes: 96 * GIB }, "never: gpuMemoryBytes: 96 GiB asked, this node has 4 with at most 80 GiB each"],
    [
      { gpus: 2, gpuMemoryBytes: 81 * GIB },
      "never: gpus: 2 whole with gpuMemoryBytes: 81 GiB asked, this node has 4 with at most 80 GiB each",
    ],
    [{ cpus: Number.NaN }, "never: cpus: NaN is no amount"],
    [{ cpus: 9, gpus: -1 }, "never: gpus: -1 is no amount"],
    [{ cpus: 1e12 }, "never: cpus: 1000000000000 is no amount"],
  ])("%j: %s", (resources, words) => expect(reason(ledgerOf().ledger, resources)).toBe(words));

  test("a node without GPUs says so, and several lacks are all named", () => {
    const { ledger } = ledgerOf({ gpus: [], totals: { cpus: 2, licence: 1 } });
    expect(reason(ledger, { gpus: 1 })).toBe("never: gpus: 1 asked, this node has none (it has cpus, licence)");
    expect(reason(ledger, { gpuMemoryBytes: GIB })).toBe("never: gpuMemoryBytes: 1 GiB asked, this node has none");
    claim(ledger, { cpus: 2, licence: 1 });
    expect(reason(ledger, { cpus: 1, licence: 1 })).toBe(
      "later: cpus: 1 asked, 0 of 2 are free; licence: 1 asked, 0 of 1 are free",
    );
  });

  test("totals that cannot be are refused at the start", async () => {
    for (const totals of [{ gpus: 5 }, { gpuMemoryBytes: GIB }, { cpus: -1 }]) {
      const error = await caught(Promise.try(() => ledgerOf({ totals })));
      expect(error.code).toBe("AmountsInvalid");
      expect(error.message).toContain(Object.keys(totals)[0]);
    }
    const { ledger } = ledgerOf({ totals: { gpus: 2 } });
    claim(ledger, { gpus: 2 });
    expect(reason(ledger, { gpus: 0.5 })).toBe("later: gpus: 0.5 asked, 0 of 2 are free");
    expect(ledger.free()).toEqual({ gpus: 0 });
  });
});

describe("devices", () => {
  test("fractions go to the fullest that fits, whole ones to the emptiest", () => {
    const { ledger } = ledgerOf();
    expect(claim(ledger, { gpus: 0.5 }).devices).toEqual(["GPU-0"]);
    expect(claim(ledger, { gpus: 0.75 }).devices).toEqual(["GPU-1"]);
    expect(claim(ledger, { gpus: 0.25 }).devices).toEqual(["GPU-1"]);
    expect(claim(ledger, { gpus: 0.25 }).devices).toEqual(["GPU-0"]);
    ledger.setUsed("GPU-2", GIB);
    expect(claim(ledger, { gpus: 1 }).devices).toEqual(["GPU-3"]);
    expect(reason(ledger, { gpus: 2 })).toBe("later: gpus: 2 asked, 1.25 of 4 are free");
  });

  test("whole ones need empty devices, whatever the sum", () => {
    const { ledger } = ledgerOf({ gpus: gpus(2) });
    claim(ledger, { gpus: 0.25 });
    claim(ledger, { gpus: 0.8 });
    claim(ledger, { gpuMemoryBytes: GIB }).release();
    expect(reason(ledger, { gpus: 0.9 })).toContain(
      "no device has that free: GPU-0 0.75 and 80 GiB, GPU-1 0.2 and 80 GiB",
    );
    ledger.claim({ resources: { gpus: 0.2 } }, "x");
    const { ledger: other } = ledgerOf({ gpus: gpus(1) });
    claim(other, { gpuMemoryBytes: GIB });
    expect(reason(other, { gpus: 1 })).toBe("later: gpus: 1 whole asked, 0 of 1 are free for that");
  });

  test("nobody gets memory of a device that somebody has whole", () => {
    const { ledger } = ledgerOf({ gpus: gpus(1) });
    const whole = claim(ledger, { gpus: 1, gpuMemoryBytes: GIB });
    expect(reason(ledger, { gpuMemoryBytes: GIB })).toContain("later: gpuMemoryBytes: 1 GiB asked");
    whole.release();
    expect(reason(ledger, { gpuMemoryBytes: 80 * GIB })).toBe("granted");
  });

  test("memory that others use counts, as it comes and goes", () => {
    const { ledger } = ledgerOf({ gpus: gpus(1) });
    ledger.setUsed("GPU-0", 30 * GIB);
    expect(ledger.gpuReports()).toEqual([
      { id: "GPU-0", kind: "H100", free: 1, memoryBytes: 80 * GIB, freeBytes: 50 * GIB },
    ]);
    expect(reason(ledger, { gpus: 0.5, gpuMemoryBytes: 60 * GIB })).toMatch(/^later.*GPU-0 1 and 50 GiB$/);
    claim(ledger, { gpus: 0.5, gpuMemoryBytes: 40 * GIB });
    ledger.setUsed("GPU-0", 70 * GIB);
    expect(ledger.gpuReports()[0]).toMatchObject({ free: 0.5, freeBytes: 0 });
    ledger.setUsed("GPU-0", 0);
    claim(ledger, { gpuMemoryBytes: 40 * GIB });
    ledger.setUsed("GPU-9", GIB);
  });

  test("a device out of use gets nothing new, and keeps what is there", () => {
    const { ledger } = ledgerOf({ gpus: gpus(2) });
    const here = claim(ledger, { gpus: 0.5 });
    ledger.setShut("GPU-0", "it has fallen off the bus");
    expect(claim(ledger, { gpus: 0.5 }).devices).toEqual(["GPU-1"]);
    expect(reason(ledger, { gpus: 2 })).toBe(
      "never: gpus: 2 whole asked, this node has 1; 1 taken out of use: it has fallen off the bus",
    );
    expect(ledger.gpuReports()[0]).toMatchObject({ free: 0, freeBytes: 0 });
    here.release();
    expect(ledger.free()).toMatchObject({ gpus: 0.5 });
    ledger.setShut("GPU-0", undefined);
    expect(claim(ledger, { gpus: 1 }).devices).toEqual(["GPU-0"]);
  });

  test("variables: ids for NVIDIA; ROCr's ids and HIP's places in them for AMD; none without devices", () => {
    expect(visibleDevices("nvidia", ["GPU-b", "GPU-a"])).toEqual({
      CUDA_VISIBLE_DEVICES: "GPU-b,GPU-a",
      CUDA_DEVICE_ORDER: "PCI_BUS_ID",
    });
    expect(visibleDevices("amd", ["GPU-b", "GPU-a"])).toEqual({
      ROCR_VISIBLE_DEVICES: "GPU-b,GPU-a",
      HIP_VISIBLE_DEVICES: "0,1",
    });
    expect(visibleDevices("nvidia", [])).toEqual({});
    const { ledger } = ledgerOf({ vendor: "amd" });
    expect(claim(ledger, { gpus: 1 }).environment).toMatchObject({ ROCR_VISIBLE_DEVICES: "GPU-0" });
  });
});

describe("leases", () => {
  test("lapse unless they are renewed, and cannot be renewed after that", async () => {
    const { ledger, clock } = ledgerOf();
    const [kept, left, lasting] = [
      claim(ledger, { cpus: 2 }, undefined, 10_000),
      claim(ledger, { cpus: 3 }, undefined, 10_000),
      claim(ledger, { cpus: 1 }),
    ];
    await clock.advance(6_000);
    expect(ledger.renew(kept.id, 10_000)).toBe(true);
    await clock.advance(6_000);
    expect(ledger.leases().map(({ id, leftMs }) => [id, leftMs])).toEqual([
      [kept.id, 4_000],
      [lasting.id, undefined],
    ]);
    expect(ledger.renew(left.id, 10_000)).toBe(false);
    left.release();
    expect(ledger.free()).toMatchObject({ cpus: 5 });
    await clock.advance(1e9);
    expect(ledger.leases().map(({ id }) => id)).toEqual([lasting.id]);
    lasting.release();
    expect(clock.pending).toBe(0);
  });

  test("have one timer among them, and a late one does not prolong them", async () => {
    const { ledger, clock } = ledgerOf();
    const grants = [5_000, 1_000, 3_000].map((ttlMs) => claim(ledger, { cpus: 1 }, undefined, ttlMs));
    expect(clock.pending).toBe(1);
    clock.jump(1_500);
    expect(ledger.renew(grants[1]?.id ?? "", 1_000)).toBe(false);
    expect(ledger.renew(grants[0]?.id ?? "", 1_000)).toBe(true);
    await clock.advance(1_000);
    expect(ledger.leases().map(({ id }) => id)).toEqual([grants[2]?.id]);
    grants[2]?.release();
    expect(clock.pending).toBe(0);
  });

  test("what admit grants lapses when the ledger was told how long it lasts", async () => {
    const { ledger, clock } = ledgerOf({ grantTtlMs: 10_000 });
    granted(ledger.admit({ resources: { cpus: 8 } }, "an actor", new AbortController().signal));
    await clock.advance(10_000);
    expect(ledger.free()).toMatchObject({ cpus: 8 });
  });

  test("listeners hear of every change when it is done, and of no refusal", () => {
    const { ledger } = ledgerOf();
    const heard: (number | undefined)[] = [];
    const stop = ledger.onChange(() => void heard.push(ledger.free().cpus));
    const { release } = claim(ledger, { cpus: 2 });
    reason(ledger, { cpus: 7 });
    release();
    release();
    ledger.setUsed("GPU-0", GIB);
    ledger.setUsed("GPU-0", GIB);
    ledger.setShut("GPU-0", "hot");
    stop();
    claim(ledger, { cpus: 1 });
    expect(heard).toEqual([6, 8, 8, 8]);
  });
});

describe("reservations", () => {
  const bundle = { group: "g", index: 0 };

  test("claims take from theirs, and never more than it holds", () => {
    const { ledger } = ledgerOf();
    granted(ledger.reserve("g", 0, { cpus: 2, gpus: 1 }, "group g"));
    expect(ledger.free()).toMatchObject({ cpus: 6, gpus: 3 });
    const first = claim(ledger, { cpus: 1, gpus: 0.5, gpuMemoryBytes: 70 * GIB }, bundle);
    expect(first.devices).toEqual(["GPU-0"]);
    expect(ledger.free()).toMatchObject({ cpus: 6, gpus: 3 });
    expect(reason(ledger, { cpus: 2 }, bundle)).toBe("later: cpus: 2 asked, 1 of 2 are free");
    expect(reason(ledger, { cpus: 3 }, bundle)).toBe("never: cpus: 3 asked, bundle 0 of group g has 2 in all");
    expect(reason(ledger, { gpus: 2 }, bundle)).toBe("never: gpus: 2 asked, bundle 0 of group g has 1 in all");
    expect(reason(ledger, { gpus: 0.5, gpuMemoryBytes: 11 * GIB }, bundle)).toContain("later");
    expect(reason(ledger, { memoryBytes: 1 }, bundle)).toContain(
      "never: memoryBytes: 1 B asked, bundle 0 of group g has none",
    );
    expect(reason(ledger, { cpus: 1 }, { group: "g", index: 1 })).toBe(
      "never: bundle 1 of group g is not reserved on this node",
    );
    first.release();
    expect(reason(ledger, { gpus: 1, cpus: 2 }, bundle)).toBe("granted");
  });

  test("part of a device is no more inside than outside", () => {
    const { ledger } = ledgerOf({ gpus: gpus(1) });
    granted(ledger.reserve("g", 0, { gpus: 0.5, gpuMemoryBytes: 20 * GIB }, "group g"));
    expect(reason(ledger, { gpus: 0.6 })).toContain("later");
    expect(reason(ledger, { gpus: 0.6 }, bundle)).toContain("never");
    expect(reason(ledger, { gpuMemoryBytes: 21 * GIB }, bundle)).toContain("never");
    expect(reason(ledger, { gpus: 0.5, gpuMemoryBytes: 20 * GIB }, bundle)).toBe("granted");
  });

  test("when one ends, what its actors hold stays taken until they release it", async () => {
    const { ledger, clock } = ledgerOf();
    granted(ledger.reserve("g", 0, { cpus: 4, gpus: 2 }, "group g", 10_000));
    const [one, two] = [claim(ledger, { cpus: 1, gpus: 1 }, bundle), claim(ledger, { cpus: 1, gpus: 0.25 }, bundle)];
    await clock.advance(10_000);
    expect(ledger.free()).toMatchObject({ cpus: 6, gpus: 2.75 });
    expect(reason(ledger, { cpus: 1 }, bundle)).toContain("is not reserved");
    one.release();
    two.release();
    two.release();
    expect(ledger.free()).toEqual({ cpus: 8, memoryBytes: 64 * GIB, gpus: 4 });
    expect(ledger.gpuReports().map(({ free, freeBytes }) => [free, freeBytes])).toEqual(Array(4).fill([1, 80 * GIB]));
  });

  test("reserving the same again renews it; with other amounts it is refused", async () => {
    const { ledger, clock } = ledgerOf();
    const first = granted(ledger.reserve("g", 0, { cpus: 2, gpus: 1 }, "group g", 10_000));
    await clock.advance(9_000);
    const again = granted(ledger.reserve("g", 0, { gpus: 1, cpus: 2 }, "group g", 10_000));
    expect(again.id).toBe(first.id);
    await clock.advance(9_000);
    expect(ledger.leases()).toMatchObject([{ bundle, isReservation: true, leftMs: 1_000 }]);
    expect(ledger.reserve("g", 0, { cpus: 3 }, "group g")).toMatchObject({ kind: "refused", passes: false });
    again.release();
    first.release();
    expect(ledger.free()).toMatchObject({ cpus: 8, gpus: 4 });
  });

  test("others' memory and devices out of use count inside as well", () => {
    const { ledger } = ledgerOf({ gpus: gpus(1) });
    ledger.setUsed("GPU-0", 10 * GIB);
    granted(ledger.reserve("g", 0, { gpus: 1 }, "group g"));
    expect(reason(ledger, { gpus: 0.5, gpuMemoryBytes: 75 * GIB }, bundle)).toContain("later");
    ledger.setUsed("GPU-0", 0);
    claim(ledger, { gpus: 0.5, gpuMemoryBytes: 75 * GIB }, bundle);
    ledger.setShut("GPU-0", "hot");
    expect(reason(ledger, { gpus: 0.1 }, bundle)).toContain(
      "never: gpus: 0.1 of one asked, bundle 0 of group g has 0; 1 taken out of use: hot",
    );
  });
});
