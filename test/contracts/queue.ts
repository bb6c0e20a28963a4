// The WorkQueue contract: what every form of runtime/queue.ts does. Numbers are that file's invariants.

import { expect } from "vitest";
import type { Delivery, Lane, WorkItem, WorkQueue } from "../../runtime/queue.ts";
import { BULK_TURN } from "../../runtime/queue.ts";
import { waitUntil } from "../support/wait-until.ts";
import { bytes, type Cases, runContract, type Skips, text } from "./contract.ts";

export interface QueueForm {
  readonly queue: WorkQueue;
  /** Another way to the same items: a second process's queue, or the same object where there is but one process. */
  readonly other: WorkQueue;
  /** Lets this much time pass for the queue. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

const item = (id: string, lane: Lane = "interactive", kind = "counter"): WorkItem => ({
  id,
  kind,
  lane,
  data: bytes(`data of ${id}`),
});

/** Takes into a list; acknowledges at once when `acks`. */
async function taking(
  queue: WorkQueue,
  options: { kinds?: readonly string[]; maxInFlight?: number; acks?: boolean } = {},
) {
  const taken: Delivery[] = [];
  const consumption = queue.consume(
    (delivery) => {
      taken.push(delivery);
      if (options.acks) delivery.ack();
    },
    { maxInFlight: options.maxInFlight ?? 16 },
  );
  for (const kind of options.kinds ?? ["counter"]) await consumption.add(kind);
  return { taken, consumption, ids: () => taken.map(({ id }) => id) };
}

/** Lets nothing happen for a while: what must not come has had its chance. */
const nothingMore = async (form: QueueForm): Promise<void> => form.advance(300);

const putting: Cases<QueueForm> = {
  "what was put is taken once, whole, and is gone when acknowledged (WQ1)": async (make) => {
    const form = await make();
    expect(await form.queue.put(item("a"))).toBe("accepted");
    const { taken } = await taking(form.queue);
    await waitUntil("the item is taken", () => taken.length === 1);
    const [a] = taken;
    expect({ ...a, data: text(a?.data) }).toMatchObject({
      id: "a",
      kind: "counter",
      lane: "interactive",
      delivery: 1,
      data: "data of a",
    });
    expect(await form.other.find("a")).toMatchObject({ id: "a", kind: "counter", lane: "interactive" });
    a?.ack();
    await waitUntil("the item is gone", async () => (await form.other.find("a")) === undefined);
    await form.advance(form.queue.ackWaitMs * 1.5);
    expect(taken).toHaveLength(1);
  },
  "an id that is there, or was lately, is a duplicate (WQ2)": async (make) => {
    const { queue, other } = await make();
    const answers = await Promise.all(Array.from({ length: 20 }, (_, at) => (at % 2 ? queue : other).put(item("a"))));
    expect(answers.filter((answer) => answer === "accepted")).toHaveLength(1);
    expect(await queue.put(item("a", "bulk", "other"))).toBe("duplicate");
    const { taken } = await taking(queue, { acks: true });
    await waitUntil("the item is gone", async () => taken.length === 1 && (await queue.find("a")) === undefined);
    expect(await other.put(item("a"))).toBe("duplicate");
    expect(await queue.put(item("b"))).toBe("accepted");
    await waitUntil("the other item is taken", () => taken.length === 2);
  },
  "find and remove see what is there (WQ1)": async (make) => {
    const form = await make();
    expect(await form.queue.find("a")).toBeUndefined();
    await form.queue.remove("a");
    await form.queue.put(item("a", "bulk"));
    await form.queue.put(item("b", "bulk"));
    expect(text((await form.other.find("a"))?.data)).toBe("data of a");
    await form.other.remove("a");
    expect(await form.queue.find("a")).toBeUndefined();
    const { ids } = await taking(form.queue, { acks: true });
    await waitUntil("the other item is taken", () => ids().includes("b"));
    await nothingMore(form);
    expect(ids()).toEqual(["b"]);
  },
  "bytes are copied in and out, and odd or large ones arrive whole (WQ8)": async (make) => {
    const { queue } = await make();
    const given = bytes("good");
    const put = queue.put({ ...item("a"), data: given });
    await put;
    given.fill(0);
    await queue.put({ ...item("empty"), data: new Uint8Array(0) });
    await queue.put({ ...item("large"), data: new Uint8Array(queue.itemMaxBytes).fill(7) });
    const { taken } = await taking(queue, { acks: true });
    await waitUntil("all are taken", () => taken.length === 3);
    const dataOf = (id: string) => taken.find((delivery) => delivery.id === id)?.data;
    expect(text(dataOf("a"))).toBe("good");
    expect(dataOf("empty")).toHaveLength(0);
    expect(dataOf("large")).toEqual(new Uint8Array(queue.itemMaxBytes).fill(7));
  },
  "what is too large, or no token, is refused": async (make) => {
    const { queue } = await make();
    const tooLarge = { ...item("a"), data: new Uint8Array(queue.itemMaxBytes + 1) };
    await expect(queue.put(tooLarge)).rejects.toMatchObject({ code: "ValueTooLarge" });
    for (const bad of ["", "a.b", "a b", "*", ">", "ä", "x".repeat(121)]) {
      await expect(queue.put(item(bad)), bad).rejects.toMatchObject({ code: "InvalidSubject" });
      await expect(queue.put(item("a", "bulk", bad)), bad).rejects.toMatchObject({ code: "InvalidSubject" });
      await expect(queue.find(bad), bad).rejects.toMatchObject({ code: "InvalidSubject" });
    }
    expect(() => queue.consume(() => {}, { maxInFlight: 0 })).toThrow(
      expect.objectContaining({ code: "InvalidOption" }),
    );
  },
};

const delivering: Cases<QueueForm> = {
  "an item nobody answers for comes again, counted, to whoever is there (WQ3)": async (make) => {
    const form = await make();
    const dead = await taking(form.other);
    await form.queue.put(item("a"));
    await waitUntil("it is taken", () => dead.taken.length === 1);
    dead.consumption.stop();
    const alive = await taking(form.queue);
    await form.advance(form.queue.ackWaitMs / 2);
    expect(alive.taken).toHaveLength(0);
    await form.advance(form.queue.ackWaitMs);
    await waitUntil("it comes again", () => alive.taken.length === 1);
    expect(alive.taken[0]?.delivery).toBe(2);
    // The first taker was not dead, only slow.
    dead.taken[0]?.ack();
    await waitUntil("the late acknowledgement counts", async () => (await form.queue.find("a")) === undefined);
  },
  "an item that is extended does not come again (WQ3)": async (make) => {
    const form = await make();
    await form.queue.put(item("a"));
    const { taken } = await taking(form.queue);
    await waitUntil("it is taken", () => taken.length === 1);
    for (let round = 0; round < 5; round++) {
      await form.advance(form.queue.ackWaitMs / 2);
      taken[0]?.extend();
    }
    expect(taken).toHaveLength(1);
    taken[0]?.ack();
    await waitUntil("it is gone", async () => (await form.queue.find("a")) === undefined);
  },
  "an item given back comes again after its pause, not before (WQ4)": async (make) => {
    const form = await make();
    await form.queue.put(item("a"));
    const { taken } = await taking(form.queue);
    await waitUntil("it is taken", () => taken.length === 1);
    taken[0]?.retry(800);
    await form.advance(500);
    expect(taken).toHaveLength(1);
    await form.advance(500);
    await waitUntil("it comes again", () => taken.length === 2);
    expect(taken[1]?.delivery).toBe(2);
    taken[1]?.retry(0);
    await waitUntil("it comes at once", () => taken.length === 3);
    expect(text(taken[2]?.data)).toBe("data of a");
  },
  "kinds are kept apart, and one may be added later": async (make) => {
    const form = await make();
    await form.queue.put(item("a", "interactive", "apple"));
    await form.queue.put(item("p", "interactive", "pear"));
    const { ids, consumption } = await taking(form.queue, { kinds: ["apple"], acks: true });
    await waitUntil("the apple is taken", () => ids().length === 1);
    await nothingMore(form);
    expect(ids()).toEqual(["a"]);
    await consumption.add("pear");
    await waitUntil("the pear is taken", () => ids().length === 2);
  },
  "two takers share: each item goes to one of them": async (make) => {
    const form = await make();
    const one = await taking(form.queue, { acks: true });
    const two = await taking(form.other, { acks: true });
    const all = Array.from({ length: 300 }, (_, at) => `i${at}`);
    await Promise.all(all.map((id) => form.queue.put(item(id))));
    await waitUntil("all are taken", () => one.taken.length + two.taken.length >= all.length);
    await nothingMore(form);
    expect([...one.ids(), ...two.ids()].sort()).toEqual([...all].sort());
  },
};

const bounding: Cases<QueueForm> = {
  "no more are in hand than asked for, and what is freed is filled (WQ6)": async (make) => {
    const form = await make();
    for (let at = 0; at < 30; at++) await form.queue.put(item(`i${at}`));
    const { taken } = await taking(form.queue, { maxInFlight: 4 });
    await waitUntil("the hand is full", () => taken.length >= 4);
    await nothingMore(form);
    expect(taken.length).toBeLessThanOrEqual(6);
    const full = taken.length;
    taken[0]?.ack();
    taken[1]?.ack();
    taken[2]?.retry(60_000);
    await waitUntil("the hand is filled again", () => taken.length >= full + 2);
    await nothingMore(form);
    expect(taken.length).toBeLessThanOrEqual(9);
  },
  "interactive overtakes bulk, and bulk does not starve (WQ5)": async (make) => {
    const form = await make();
    for (let at = 0; at < 20; at++) await form.queue.put(item(`b${at}`, "bulk"));
    for (let at = 0; at < 40; at++) await form.queue.put(item(`i${at}`));
    const order: string[] = [];
    const consumption = form.queue.consume(
      (delivery) => {
        order.push(delivery.id);
        delivery.ack();
      },
      { maxInFlight: 1 },
    );
    await consumption.add("counter");
    await waitUntil("all are taken", () => order.length === 60);
    const isBulk = (id: string) => id.startsWith("b");
    const untilLastInteractive = order.slice(0, order.findLastIndex((id) => !isBulk(id)) + 1);
    const bulkMeanwhile = untilLastInteractive.filter(isBulk).length;
    expect(bulkMeanwhile).toBeGreaterThanOrEqual(2);
    expect(bulkMeanwhile).toBeLessThanOrEqual(Math.ceil(60 / BULK_TURN) + 2);
    // In each lane the order of the puts.
    for (const prefix of ["b", "i"]) {
      const own = order.filter((id) => id.startsWith(prefix));
      expect(own).toEqual([...own].sort((a, b) => Number(a.slice(1)) - Number(b.slice(1))));
    }
  },
  "a stopped consumption takes no more; close may come twice, and later uses reject (WQ6, WQ8)": async (make) => {
    const form = await make();
    const { ids, consumption } = await taking(form.queue, { acks: true });
    await form.queue.put(item("a"));
    await waitUntil("it is taken", () => ids().length === 1);
    consumption.stop();
    consumption.stop();
    await form.queue.put(item("b"));
    await nothingMore(form);
    expect(ids()).toEqual(["a"]);
    await form.queue.close();
    await form.queue.close();
    const closed = { code: "Closed" };
    await expect(form.queue.put(item("c"))).rejects.toMatchObject(closed);
    await expect(form.queue.find("c")).rejects.toMatchObject(closed);
    await expect(form.queue.remove("c")).rejects.toMatchObject(closed);
    expect(() => form.queue.consume(() => {}, { maxInFlight: 1 })).toThrow(expect.objectContaining(closed));
  },
};

export function queueContract(
  name: string,
  make: () => Promise<QueueForm>,
  skips: Skips = {},
  isConcurrent = false,
): void {
  runContract(`the WorkQueue contract: ${name}`, { ...putting, ...delivering, ...bounding }, make, skips, isConcurrent);
}
