// The memory store keeps the Store contract, and its own bounds.

import { describe, expect, test } from "vitest";
import { MemoryStore } from "../../../runtime/memory/store.ts";
import { bytes, next } from "../../contracts/contract.ts";
import { storeContract } from "../../contracts/store.ts";
import { FakeClock } from "../../support/fake-clock.ts";

storeContract("memory", async () => {
  const clock = new FakeClock();
  const store = new MemoryStore({ clock });
  return { store, advance: (ms) => clock.advance(ms), close: () => store.close() };
});

describe("MemoryStore", () => {
  test("refuses a key beyond keysMax and takes it once there is room", async () => {
    const store = new MemoryStore({ clock: new FakeClock(), keysMax: 2 });
    const first = await store.create("a", bytes("1"));
    await store.create("b", bytes("1"));
    await expect(store.create("c", bytes("1"))).rejects.toMatchObject({ code: "StorageFull", retryable: true });
    await store.delete("a", first.kind === "written" ? first.revision : 0);
    expect((await store.create("c", bytes("1"))).kind).toBe("written");
  });

  test("a watcher that leaves too many keys unread ends with ReaderLagged, others go on", async () => {
    const store = new MemoryStore({ clock: new FakeClock(), unreadMax: 3 });
    const slow = store.watch(">");
    const slowReader = slow[Symbol.asyncIterator]();
    const narrow = store.watch("k1")[Symbol.asyncIterator]();
    await next(slowReader);
    await next(narrow);
    for (const at of [1, 2, 3, 4]) await store.create(`k${at}`, bytes("x"));
    await expect(next(slowReader)).rejects.toMatchObject({ code: "ReaderLagged" });
    expect(await next(narrow)).toMatchObject({ kind: "put", entry: { key: "k1" } });
  });

  test("a renewed key costs a slow watcher one unread change (M1)", async () => {
    const store = new MemoryStore({ clock: new FakeClock(), unreadMax: 1 });
    const watch = store.watch(">")[Symbol.asyncIterator]();
    await next(watch);
    let written = await store.create("lease", bytes("0"));
    for (let round = 1; round <= 1_000 && written.kind === "written"; round++) {
      written = await store.update("lease", bytes(String(round)), written.revision);
    }
    expect(await next(watch)).toMatchObject({ kind: "put", entry: { value: bytes("1000") } });
  });

  test("leaves no timer behind after updates, deletion and close", async () => {
    const clock = new FakeClock();
    const store = new MemoryStore({ clock });
    let written = await store.create("a", bytes("1"), { ttlMs: 5_000 });
    if (written.kind === "written") written = await store.update("a", bytes("2"), written.revision, { ttlMs: 5_000 });
    expect(clock.pending).toBe(1);
    if (written.kind === "written") await store.delete("a", written.revision);
    expect(clock.pending).toBe(0);
    await store.create("b", bytes("1"), { ttlMs: 5_000 });
    await store.close();
    expect(clock.pending).toBe(0);
  });
});
