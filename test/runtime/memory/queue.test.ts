// The memory queue keeps the WorkQueue contract, and its own bounds.

import { describe, expect, test } from "vitest";
import { MemoryQueue } from "../../../runtime/memory/queue.ts";
import { PUT_WINDOW_MS } from "../../../runtime/queue.ts";
import { bytes } from "../../contracts/contract.ts";
import { queueContract } from "../../contracts/queue.ts";
import { FakeClock } from "../../support/fake-clock.ts";

queueContract("memory", async () => {
  const clock = new FakeClock();
  const queue = new MemoryQueue({ clock, ackWaitMs: 2_000 });
  return { queue, other: queue, advance: (ms) => clock.advance(ms), close: () => queue.close() };
});

const item = (id: string) => ({ id, kind: "k", lane: "bulk", data: bytes(id) }) as const;

describe("MemoryQueue", () => {
  test("refuses an item beyond itemsMax and takes it once there is room", async () => {
    const queue = new MemoryQueue({ clock: new FakeClock(), itemsMax: 2 });
    await queue.put(item("a"));
    await queue.put(item("b"));
    await expect(queue.put(item("c"))).rejects.toMatchObject({ code: "StorageFull", retryable: true });
    await queue.remove("a");
    expect(await queue.put(item("c"))).toBe("accepted");
  });

  test("an id is new again after the window, once its item has gone (WQ2)", async () => {
    const clock = new FakeClock();
    const queue = new MemoryQueue({ clock });
    await queue.put(item("a"));
    await queue.put(item("b"));
    await queue.remove("a");
    expect(await queue.put(item("a"))).toBe("duplicate");
    await clock.advance(PUT_WINDOW_MS);
    expect(await queue.put(item("a"))).toBe("accepted");
    expect(await queue.put(item("b"))).toBe("duplicate");
  });

  test("leaves no timer behind", async () => {
    const clock = new FakeClock();
    const queue = new MemoryQueue({ clock });
    await queue
      .consume((delivery) => (delivery.id === "a" ? delivery.ack() : delivery.retry(5_000)), {
        maxInFlight: 8,
      })
      .add("k");
    await queue.put(item("a"));
    await queue.put(item("b"));
    await clock.advance(100);
    expect(clock.pending).toBe(1);
    await queue.close();
    expect(clock.pending).toBe(0);
  });
});
