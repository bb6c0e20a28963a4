// The memory event log keeps the EventLog contract, and its own bounds.

import { describe, expect, test } from "vitest";
import { DEDUPE_WINDOW_MS } from "../../../runtime/event-log.ts";
import { MemoryEventLog } from "../../../runtime/memory/event-log.ts";
import { bytes } from "../../contracts/contract.ts";
import { eventLogContract, KEPT } from "../../contracts/event-log.ts";
import { FakeClock } from "../../support/fake-clock.ts";

eventLogContract("memory", async () => {
  const clock = new FakeClock();
  const log = new MemoryEventLog({ clock, ...KEPT });
  const advance = (ms: number) => clock.advance(ms);
  return { log, maxAgeMs: KEPT.maxAgeMs, dedupeWindowMs: DEDUPE_WINDOW_MS, advance, close: () => log.close() };
});

describe("MemoryEventLog", () => {
  test("keeps no more bytes than maxBytes", async () => {
    const log = new MemoryEventLog({ clock: new FakeClock(), maxBytes: 1_000 });
    for (let at = 0; at < 20; at++) await log.append("a", new Uint8Array(300));
    expect((await log.read("a", 1, 100)).map((event) => event.sequence)).toEqual([18, 19, 20]);
    await expect(log.append("a", new Uint8Array(1_001))).rejects.toMatchObject({ code: "ValueTooLarge" });
  });

  test("an id is new again after the window, and once its event was dropped (EL3)", async () => {
    const clock = new FakeClock();
    const log = new MemoryEventLog({ clock, maxEvents: 2 });
    await log.append("a", bytes("1"), { id: "x" });
    await clock.advance(DEDUPE_WINDOW_MS);
    expect(await log.append("a", bytes("1"), { id: "x" })).toMatchObject({ sequence: 2, duplicate: false });
    expect(await log.append("a", bytes("1"), { id: "x" })).toMatchObject({ sequence: 2, duplicate: true });
    await log.append("b", bytes("1"));
    // The first event of this id is dropped by now; its second still counts.
    expect(await log.append("a", bytes("1"), { id: "x" })).toMatchObject({ sequence: 2, duplicate: true });
    await log.append("b", bytes("1"));
    expect(await log.append("a", bytes("1"), { id: "x" })).toMatchObject({ sequence: 5, duplicate: false });
  });

  test("stamps events by the clock it was given, and runs no timer", async () => {
    const clock = new FakeClock(5_000);
    const log = new MemoryEventLog({ clock });
    await log.append("a", bytes("1"));
    expect((await log.read("a", 1, 1))[0]?.atMs).toBe(5_000);
    expect(clock.pending).toBe(0);
  });
});
