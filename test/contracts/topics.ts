// What topics do on every form of the event log. Numbers are the invariants of runtime/topics.ts (TO) and runtime/topic-name.ts (TN).

import fc from "fast-check";
import { expect } from "vitest";
import { type ActorSystem, defineActor, type Handle, type Subscription, type TopicEvent } from "../../runtime/index.ts";
import { topicOf } from "../../runtime/topic-name.ts";
import { caught } from "../support/caught.ts";
import { type Cases, ended, next, runContract, type Skips } from "./contract.ts";

/** Two nodes of one fleet, with an event log in common that nobody else writes to. */
export interface TopicsForm {
  readonly here: ActorSystem;
  readonly there: ActorSystem;
  close(): Promise<void>;
}

const Adder = defineActor(
  "topic-adder",
  class {
    #sum = 0;

    add(by: number): number {
      this.#sum += by;
      return this.#sum;
    }
  },
);

async function take(subscription: Subscription, count: number): Promise<TopicEvent[]> {
  const taken: TopicEvent[] = [];
  while (taken.length < count) taken.push(await next(subscription));
  return taken;
}

const events = (taken: readonly TopicEvent[]): unknown[] => taken.map(({ event }) => event);

const delivery: Cases<TopicsForm> = {
  "an event reaches every subscriber on every node, with its sequence, topic and time (TO1)": async (make) => {
    const { here, there } = await make();
    await using one = here.subscribe("orders.new");
    await using other = there.subscribe("orders.new");
    await Promise.all([one.ready(), other.ready()]);
    const { sequence, duplicate } = await here.publish("orders.new", { id: 7 });
    expect(duplicate).toBe(false);
    for (const subscription of [one, other]) {
      const got = await next(subscription);
      expect(got).toMatchObject({ sequence, topic: "orders.new", event: { id: 7 } });
      expect(got.atMs).toBeGreaterThan(1_600_000_000_000);
    }
  },
  "events come in the order they were published, whether awaited or not (TO1)": async (make) => {
    const { here, there } = await make();
    await using subscription = there.subscribe<number>("n");
    await subscription.ready();
    const published = await Promise.all(Array.from({ length: 300 }, (_, at) => here.publish("n", at)));
    const got = await take(subscription, 300);
    expect(events(got)).toEqual(Array.from({ length: 300 }, (_, at) => at));
    expect(got.map(({ sequence }) => sequence)).toEqual(published.map(({ sequence }) => sequence));
  },
  "a subscription begins with what is new, with the start, or with a sequence": async (make) => {
    const { here, there } = await make();
    const [first, second] = [await here.publish("t", 1), await here.publish("t", 2)];
    expect(second.sequence).toBeGreaterThan(first.sequence);
    const fresh = there.subscribe("t");
    expect(await fresh.ready()).toBe(second.sequence + 1);
    await here.publish("t", 3);
    await using start = there.subscribe("t", { from: "start" });
    await using resumed = there.subscribe("t", { from: first.sequence + 1 });
    expect(events(await take(fresh, 1))).toEqual([3]);
    expect(events(await take(start, 3))).toEqual([1, 2, 3]);
    expect(events(await take(resumed, 2))).toEqual([2, 3]);
    await fresh.return?.();
  },
  "wild cards choose among topics": async (make) => {
    const { here } = await make();
    const topics = ["orders", "orders.new", "orders.new.eu", "jobs.new", "orders.alt für immer"];
    for (const topic of topics) await here.publish(topic, topic);
    const seen = async (pattern: string, count: number) => {
      await using subscription = here.subscribe(pattern, { from: "start" });
      const taken = await take(subscription, count);
      expect(taken.map(({ topic }) => topic)).toEqual(events(taken));
      return events(taken);
    };
    expect(await seen("orders.*", 2)).toEqual(["orders.new", "orders.alt für immer"]);
    expect(await seen("orders.>", 3)).toEqual(["orders.new", "orders.new.eu", "orders.alt für immer"]);
    expect(await seen("*.new", 2)).toEqual(["orders.new", "jobs.new"]);
    expect(await seen(">", 5)).toEqual(topics);
    expect(await seen("orders.alt für immer", 1)).toEqual(["orders.alt für immer"]);
  },
  "an event is the publisher's no more, and what a call can carry it can carry (TO2)": async (make) => {
    const { here, there } = await make();
    const sent = { at: new Date(5), seen: new Set(["a"]), by: new Map([["k", 10n]]), raw: new Uint8Array([1, 2]) };
    const publishing = here.publish("t", sent);
    sent.seen.add("b");
    sent.raw[0] = 9;
    await publishing;
    await here.publish("t", null);
    await using subscription = there.subscribe("t", { from: "start" });
    const expected = { at: new Date(5), seen: new Set(["a"]), by: new Map([["k", 10n]]), raw: new Uint8Array([1, 2]) };
    expect(events(await take(subscription, 2))).toEqual([expected, null]);
  },
  "a handle in an event is the same actor": async (make) => {
    const { here, there } = await make();
    there.register(Adder);
    const adder = await here.spawn(Adder);
    await adder.add(40);
    await here.publish("ready", { adder });
    await using subscription = there.subscribe<{ adder: Handle<typeof Adder> }>("ready", { from: "start" });
    expect(await (await next(subscription)).event.adder.add(2)).toBe(42);
  },
};

const keys: Cases<TopicsForm> = {
  "one key is kept once for each topic, whoever publishes it": async (make) => {
    const { here, there } = await make();
    const first = await here.publish("t", "first", { key: "order 7/ä" });
    expect(await there.publish("t", "again", { key: "order 7/ä" })).toEqual({ ...first, duplicate: true });
    expect(await here.publish("u", "other topic", { key: "order 7/ä" })).toMatchObject({ duplicate: false });
    expect(await here.publish("t", "other key", { key: "x".repeat(5_000) })).toMatchObject({ duplicate: false });
    await using subscription = there.subscribe(">", { from: "start" });
    expect(events(await take(subscription, 3))).toEqual(["first", "other topic", "other key"]);
  },
  "of 50 that publish one key at once, one is kept": async (make) => {
    const { here, there } = await make();
    const publish = (_: unknown, at: number) => (at % 2 === 0 ? here : there).publish("t", at, { key: "k" });
    const published = await Promise.all(Array.from({ length: 50 }, publish));
    expect(new Set(published.map(({ sequence }) => sequence)).size).toBe(1);
    expect(published.filter(({ duplicate }) => !duplicate)).toHaveLength(1);
  },
};

const refusals: Cases<TopicsForm> = {
  "what cannot be sent is refused with its path, what is too large with its size": async (make) => {
    const { here } = await make();
    const unsendable = await caught(here.publish("t", { a: [1, { onDone: () => 1 }] }));
    expect(unsendable).toMatchObject({ code: "NotSendable", data: { path: "event.a[1].onDone" } });
    const large = await caught(here.publish("t", "x".repeat(here.ports.eventLog.eventMaxBytes)));
    expect(large).toMatchObject({ code: "ValueTooLarge" });
    expect(large.message).toContain('topic "t"');
    expect(await here.ports.eventLog.lastSequence()).toBe(0);
  },
  "names, keys and beginnings that cannot be are refused with what was expected (TN2)": async (make) => {
    const { here } = await make();
    for (const topic of ["", ".", "a..b", "a.", ".a", "\ud800", "x".repeat(300), "ä".repeat(120), 7 as never]) {
      expect(await caught(here.publish(topic, 1)), String(topic)).toMatchObject({ code: "InvalidOption" });
      expect(() => here.subscribe(topic), String(topic)).toThrow(expect.objectContaining({ code: "InvalidOption" }));
    }
    for (const topic of ["a.*", "*", ">", "a.>"])
      expect((await caught(here.publish(topic, 1))).message).toContain("subscriptions");
    expect(() => here.subscribe("a.>.b")).toThrow("> as the last part only");
    for (const from of [0, -1, 1.5, Number.NaN, "later" as never])
      expect(() => here.subscribe("a", { from })).toThrow(expect.objectContaining({ code: "InvalidOption" }));
    for (const key of ["", 7 as never])
      expect(await caught(here.publish("a", 1, { key }))).toMatchObject({ code: "InvalidOption" });
  },
  "bytes that are no event are counted and passed over (TO4)": async (make) => {
    const { here } = await make();
    const { eventLog } = here.ports;
    await eventLog.append("topic.t", new TextEncoder().encode("not ours"));
    await eventLog.append("topic.t", new Uint8Array());
    await here.publish("t", "ours");
    await using subscription = here.subscribe("t", { from: "start" });
    expect((await next(subscription)).event).toBe("ours");
    expect(here.stats()).toMatchObject({ badEvents: 2, eventsPublished: 1, eventsDelivered: 1 });
  },
};

const ends: Cases<TopicsForm> = {
  "a signal ends it, before it begins or while it waits (TO3)": async (make) => {
    const { here } = await make();
    await here.publish("t", 1);
    await ended(here.subscribe("t", { from: "start", signal: AbortSignal.abort() }));
    const leaving = new AbortController();
    const subscription = here.subscribe("t", { from: "start", signal: leaving.signal });
    await next(subscription);
    const end = ended(subscription);
    leaving.abort();
    await end;
    await ended(subscription);
  },
  "leaving the loop ends it, and so does return while a next waits (TO3)": async (make) => {
    const { here } = await make();
    await here.publish("t", 1);
    const left = here.subscribe("t", { from: "start" });
    for await (const { event } of left) {
      expect(event).toBe(1);
      break;
    }
    await ended(left);
    const waiting = here.subscribe("t");
    const end = ended(waiting);
    await waiting.return?.();
    await end;
  },
  "the system's close ends its subscriptions and no other's; later uses are refused with Closed (TO3)": async (
    make,
  ) => {
    const { here, there } = await make();
    const [one, unread, other] = [here.subscribe("t"), here.subscribe("t"), there.subscribe("t")];
    const end = ended(one);
    await other.ready();
    await here.close();
    await end;
    await ended(unread);
    expect(() => here.subscribe("t")).toThrow(expect.objectContaining({ code: "Closed" }));
    expect(await caught(here.publish("t", 1))).toMatchObject({ code: "Closed" });
    await there.publish("t", 2);
    expect((await next(other)).event).toBe(2);
    await other.return?.();
  },
};

const part = fc.string({ unit: "grapheme", minLength: 1, maxLength: 6 }).filter((text) => !/[.*>]/.test(text));
const anyTopic = fc.array(part, { minLength: 1, maxLength: 3 }).map((parts) => parts.join("."));

const names: Cases<TopicsForm> = {
  "any text is a topic of its own, and an event knows which (TN1)": async (make) => {
    const { here, there } = await make();
    const property = fc.asyncProperty(fc.uniqueArray(anyTopic, { minLength: 1, maxLength: 8 }), async (topics) => {
      const sequences = await Promise.all(topics.map(async (topic) => (await here.publish(topic, topic)).sequence));
      const from = Math.min(...sequences);
      for (const topic of topics) {
        await using subscription = there.subscribe(topic, { from });
        expect(await next(subscription)).toMatchObject({ topic, event: topic });
      }
      const subjects = (await here.ports.eventLog.read("topic.>", from, 100)).map(({ subject }) => subject);
      expect(subjects.map(topicOf).sort()).toEqual([...topics].sort());
    });
    await fc.assert(property, { numRuns: 60 });
  },
};

export function topicsContract(name: string, make: () => Promise<TopicsForm>, skips: Skips = {}): void {
  runContract(`topics, ${name}`, { ...delivery, ...keys, ...refusals, ...ends, ...names }, make, skips);
}
