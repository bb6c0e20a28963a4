// A lease: held by renewing, over for good when it cannot be, whatever the order of timers after a pause.

import { describe, expect, test } from "vitest";
import { type Clock, type Store, seededRandom } from "../../../runtime/index.ts";
import { LEASE_PROFILES, Lease } from "../../../runtime/lease.ts";
import { MemoryStore } from "../../../runtime/memory/store.ts";
import { bytes, text } from "../../contracts/contract.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { faultyStore } from "../../support/faulty-store.ts";
import { pausableClock } from "../../support/pausable-clock.ts";

const { ttlMs, renewMs, selfFenceMs } = LEASE_PROFILES.normal;

function open(
  options: { readonly clock?: Clock; readonly store?: Store; readonly own?: string; readonly fake?: FakeClock } = {},
) {
  const fake = options.fake ?? new FakeClock();
  const clock = options.clock ?? fake;
  const store = options.store ?? new MemoryStore({ clock: fake });
  const own = options.own ?? "me";
  const lost: string[] = [];
  const lease = new Lease({
    store,
    clock,
    random: seededRandom(1),
    key: "node.a",
    profile: LEASE_PROFILES.normal,
    value: () => bytes(own),
    isOurs: (value) => text(value) === own,
    onLost: (why) => lost.push(why),
  });
  return { fake, store, lease, lost };
}

describe("a lease", () => {
  test("outlives many times its TTL by renewing, and stands for what it says", async () => {
    const { fake, store, lease, lost } = open();
    expect(lease.isValid).toBe(false);
    expect(await lease.acquire()).toEqual({ kind: "held" });
    for (let step = 0; step < 30; step++) {
      await fake.advance(renewMs);
      expect(lease.isValid).toBe(true);
    }
    expect(text((await store.get("node.a"))?.value)).toBe("me");
    await lease.release();
    expect([lease.isValid, lost, await store.get("node.a")]).toEqual([false, [], undefined]);
    expect(fake.pending).toBe(0);
  });

  test("of a holder that is gone expires after one TTL; taking it shows who has it until then", async () => {
    const { fake, store, lease } = open();
    await store.create("node.a", bytes("other"), { ttlMs });
    const taken = await lease.acquire();
    expect(taken.kind === "taken" && text(taken.by?.value)).toBe("other");
    await fake.advance(ttlMs);
    expect((await lease.acquire()).kind).toBe("held");
  });

  test.each(["another's value", "absence"])("ends once, by %s in its place", async (what) => {
    const { fake, store, lease, lost } = open();
    await lease.acquire();
    const revision = (await store.get("node.a"))?.revision ?? 0;
    if (what === "absence") await store.delete("node.a", revision);
    else await store.update("node.a", bytes("other"), revision);
    await fake.advance(renewMs * 1.2);
    expect([lease.isValid, lost.length]).toEqual([false, 1]);
    await fake.advance(ttlMs);
    await lease.renew();
    expect(lost).toHaveLength(1);
    expect(text((await store.get("node.a"))?.value)).toBe(what === "absence" ? undefined : "other");
  });

  test("without the store ends by itself before the key can expire (LE1, LE4)", async () => {
    const fake = new FakeClock();
    const shared = new MemoryStore({ clock: fake });
    const faulty = faultyStore(shared);
    const { lease, lost } = open({ fake, store: faulty.store });
    await lease.acquire();
    faulty.mode = "down";
    await fake.advance(selfFenceMs - 1);
    expect([lease.isValid, lost]).toEqual([true, []]);
    await fake.advance(1);
    expect([lease.isValid, lost.length]).toEqual([false, 1]);
    expect(await shared.get("node.a")).toBeDefined();
  });

  test("survives an outage shorter than that, and answers that got lost (LE4)", async () => {
    const fake = new FakeClock();
    const faulty = faultyStore(new MemoryStore({ clock: fake }));
    const { lease, lost } = open({ fake, store: faulty.store });
    await lease.acquire();
    for (const mode of ["down", "deaf"] as const) {
      faulty.mode = mode;
      await fake.advance(5_000);
      faulty.mode = "up";
      await fake.advance(5_000);
      expect([mode, lease.isValid, lost]).toEqual([mode, true, []]);
    }
    await fake.advance(10 * ttlMs);
    expect(lease.isValid).toBe(true);
  });

  test("whose first answer got lost is taken by asking again", async () => {
    const fake = new FakeClock();
    const faulty = faultyStore(new MemoryStore({ clock: fake }));
    const { lease } = open({ fake, store: faulty.store });
    faulty.mode = "deaf";
    await expect(lease.acquire()).rejects.toMatchObject({ code: "Unavailable" });
    faulty.mode = "up";
    expect((await lease.acquire()).kind).toBe("held");
  });

  test.each([selfFenceMs, 3 * ttlMs])(
    "of a process stopped for %i ms is invalid before any timer runs (LE1)",
    async (ms) => {
      const fake = new FakeClock();
      const clock = pausableClock(fake);
      const { lease, lost, store } = open({ fake, clock });
      await lease.acquire();
      clock.pause();
      await fake.advance(ms);
      expect([lease.isValid, lost]).toEqual([false, []]);
      const before = (await store.get("node.a"))?.revision;
      await clock.resume();
      await fake.advance(0);
      expect([lease.isValid, lost.length]).toEqual([false, 1]);
      expect((await store.get("node.a"))?.revision).toBe(before);
    },
  );

  test("of a process stopped for less goes on", async () => {
    const fake = new FakeClock();
    const clock = pausableClock(fake);
    const { lease, lost } = open({ fake, clock });
    await lease.acquire();
    clock.pause();
    await fake.advance(selfFenceMs - 100);
    await clock.resume();
    await fake.advance(ttlMs);
    expect([lease.isValid, lost]).toEqual([true, []]);
  });

  test.each(["expired", "stands"])(
    "in a suspended machine is nobody's until the store has said whether its key %s (LE2)",
    async (key) => {
      const fake = new FakeClock();
      let aheadMs = 0;
      const clock: Clock = { ...bound(fake), now: () => fake.now() + aheadMs };
      const { lease, lost, store } = open({ fake, clock });
      await lease.acquire();
      aheadMs = 3 * ttlMs;
      if (key === "expired") await store.delete("node.a", (await store.get("node.a"))?.revision ?? 0);
      expect([lease.isValid, lost]).toEqual([false, []]);
      await fake.advance(renewMs * 1.2);
      expect([lease.isValid, lost.length]).toEqual(key === "expired" ? [false, 1] : [true, 0]);
    },
  );

  test("does not mind a clock that is set back", async () => {
    const fake = new FakeClock();
    let aheadMs = 0;
    const faulty = faultyStore(new MemoryStore({ clock: fake }));
    const { lease } = open({ fake, clock: { ...bound(fake), now: () => fake.now() + aheadMs }, store: faulty.store });
    await lease.acquire();
    aheadMs = -3_600_000;
    await fake.advance(5 * ttlMs);
    expect(lease.isValid).toBe(true);
    faulty.mode = "down";
    await fake.advance(selfFenceMs);
    expect(lease.isValid).toBe(false);
  });

  test("renewed now writes its new value at once", async () => {
    const fake = new FakeClock();
    const store = new MemoryStore({ clock: fake });
    let value = "one";
    const lease = new Lease({
      store,
      clock: fake,
      random: seededRandom(1),
      key: "node.a",
      profile: LEASE_PROFILES.fast,
      value: () => bytes(value),
      isOurs: () => true,
      onLost: () => {},
    });
    await lease.acquire();
    value = "two";
    await Promise.all([lease.renew(), lease.renew()]);
    expect(text((await store.get("node.a"))?.value)).toBe("two");
    await lease.release({ value: bytes("bye"), ttlMs: 1_000 });
    expect(text((await store.get("node.a"))?.value)).toBe("bye");
    await fake.advance(1_000);
    expect(await store.get("node.a")).toBeUndefined();
  });
});

const bound = (clock: FakeClock): Clock => ({
  now: () => clock.now(),
  monotonic: () => clock.monotonic(),
  soon: (run) => clock.soon(run),
  schedule: (delayMs, run) => clock.schedule(delayMs, run),
});
