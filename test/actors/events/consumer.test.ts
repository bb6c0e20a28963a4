// Durable consumers on the ports in memory: what is handled, what waits, what is given up, and where the next life goes on.

import { afterEach, describe, expect, test } from "vitest";
import { agentRequests, agileEvents, deadEvents } from "../../../actors/events/channels.ts";
import { type ConsumerOptions, consume } from "../../../actors/events/consumer.ts";
import { parse } from "../../../actors/events/feed.ts";
import { postEvent } from "../../../actors/events/post.ts";
import { type ActorSystem, connect, FlotillaError } from "../../../runtime/index.ts";
import { settle } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";

type Options = ConsumerOptions<typeof agileEvents>;
const closing: (() => Promise<unknown>)[] = [];

afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
});

async function start() {
  const system = await connect();
  closing.push(() => system.close());
  return system;
}

/** A consumer under the name "c", and how to end it. */
function consumer(system: ActorSystem, handle: (id: string) => Promise<void> | void, more: Partial<Options> = {}) {
  const ending = new AbortController();
  const lines: string[] = [];
  const running = consume({
    ...{ system, channel: agileEvents, name: "c", signal: ending.signal },
    handle: async ({ data }) => handle("projectId" in data ? (data.projectId ?? "") : "?"),
    log: (_, message, data) => lines.push(`${message} ${JSON.stringify(data)}`),
    ...more,
  });
  const stop = async () => {
    ending.abort();
    await running;
  };
  closing.push(stop);
  return { stop, lines };
}

const create = (system: ActorSystem, ...ids: readonly string[]) =>
  Promise.all(
    ids.map((projectId) =>
      postEvent(system, "planning", agileEvents, {
        ...{ type: "project.created", key: projectId, correlationId: projectId },
        data: { projectId, title: "A project" },
      }),
    ),
  );

const raw = (system: ActorSystem, text: string) =>
  system.ports.eventLog.append("topic.agile.events", new TextEncoder().encode(text));

const dead = async (system: ActorSystem) => {
  const logged = await system.ports.eventLog.read("topic.deadletter", 1, 100);
  return logged.map((event) => {
    const fed = parse(deadEvents, event);
    if (fed.kind === "bad") throw new Error(fed.message);
    return fed.event.data;
  });
};

const down = () => new FlotillaError("Unavailable", "the graph is down", { retryable: true });

describe("together (EC6)", () => {
  const idsOf = (events: readonly { event: { data: object } }[]) =>
    events.map(({ event: { data } }) => ("projectId" in data ? String(data.projectId) : "?"));

  test("what gathered in a lane is taken as one, in order", async () => {
    const system = await start();
    await create(system, "a");
    const first = Promise.withResolvers<void>();
    const groups: string[][] = [];
    const together: Options["together"] = async (events) => void groups.push(idsOf(events));
    const handle = (id: string) => {
      groups.push([id]);
      return first.promise;
    };
    consumer(system, handle, { together, concurrency: 8 });
    await waitUntil("the first is in hand", () => groups.length === 1);
    await create(system, "b", "c", "d");
    await waitUntil("the others are read", async () => (await system.ports.eventLog.lastSequence()) === 4);
    await settle();
    first.resolve();
    await waitUntil("all are taken", () => groups.flat().length === 4);
    expect(groups).toEqual([["a"], ["b", "c", "d"]]);
  });

  test("when that fails they are handled one by one, and only the bad one is dead", async () => {
    const system = await start();
    await create(system, "a");
    const first = Promise.withResolvers<void>();
    const seen: string[] = [];
    const handle = async (id: string) => {
      if (id === "a") await first.promise;
      seen.push(id);
      if (id === "bad") throw new Error("no");
    };
    const together = async () => {
      throw new Error("one of them is bad");
    };
    consumer(system, handle, { together, concurrency: 8 });
    await create(system, "b", "bad", "c");
    await waitUntil("the others are read", async () => (await system.ports.eventLog.lastSequence()) === 4);
    await settle();
    first.resolve();
    await waitUntil("the last is handled", () => seen.includes("c"));
    expect([...new Set(seen)]).toEqual(["a", "b", "bad", "c"]);
    expect((await dead(system)).map(({ sequence }) => sequence)).toEqual([3]);
  });
});

describe("positions", () => {
  test("may be kept by whoever consumes, beside what it makes of the events", async () => {
    const system = await start();
    await create(system, "a", "b", "c");
    const kept: number[] = [];
    const refused = new Set([4]);
    const position = {
      read: async () => 2,
      write: async (sequence: number) => {
        kept.push(sequence);
        return !refused.delete(sequence);
      },
    };
    const seen: string[] = [];
    const { stop } = consumer(system, (id) => void seen.push(id), { position });
    await waitUntil("all are handled and kept", () => seen.length === 2 && kept.length > 0);
    await stop();
    // Refused once, it is kept at the end.
    expect([seen, kept]).toEqual([
      ["b", "c"],
      [4, 4],
    ]);
    expect(await system.ports.store.get("consumer.c")).toBeUndefined();
  });

  test("the next life goes on where the last one had done everything", async () => {
    const system = await start();
    const seen: string[] = [];
    await create(system, "a", "b");
    const first = consumer(system, (id) => void seen.push(id));
    await waitUntil("both came", () => seen.length === 2);
    await first.stop();
    await create(system, "d");
    consumer(system, (id) => void seen.push(id));
    await waitUntil("the third came", () => seen.length === 3);
    expect(seen).toEqual(["a", "b", "d"]);
  });

  test("what was in hand at the end comes again, and so does what was done behind it", async () => {
    const system = await start();
    const seen: string[] = [];
    await create(system, "slow", "quick");
    const stuck = Promise.withResolvers<void>();
    const options = { concurrency: 8, laneOf: ({ correlationId }: { correlationId: string }) => correlationId };
    const handle = (id: string) => {
      seen.push(id);
      if (id === "slow") return stuck.promise;
    };
    const first = consumer(system, handle, options);
    await waitUntil("the second overtook the first", () => seen.includes("quick"));
    const stopping = first.stop();
    stuck.reject(new Error("its process was killed"));
    await stopping;
    consumer(system, (id) => void seen.push(`${id} again`));
    await waitUntil("both came again", () => seen.length === 4);
    expect(seen.slice(2)).toEqual(["slow again", "quick again"]);
  });

  test("one that begins new does not see what was before", async () => {
    const system = await start();
    const seen: string[] = [];
    await create(system, "old");
    const { stop } = consumer(system, (id) => void seen.push(id), { from: "new" });
    let told = 0;
    await waitUntil("it reads", async () => {
      await create(system, `new-${told++}`);
      return seen.length > 0;
    });
    await stop();
    expect(seen).not.toContain("old");
  });
});

describe("order", () => {
  test("events of one lane come one after the other, those of others beside them, and never more than allowed", async () => {
    const system = await start();
    const open = new Set<string>();
    const most = { lanes: 0 };
    const seen: string[] = [];
    await create(system, "a1", "b1", "a2", "c1", "b2", "a3", "c2");
    const handle = async (id: string) => {
      const lane = id.charAt(0);
      expect(open.has(lane)).toBe(false);
      open.add(lane);
      most.lanes = Math.max(most.lanes, open.size);
      await settle();
      open.delete(lane);
      seen.push(id);
    };
    consumer(system, handle, { concurrency: 2, laneOf: ({ correlationId }) => correlationId.charAt(0) });
    await waitUntil("all came", () => seen.length === 7);
    expect(most.lanes).toBe(2);
    for (const lane of "abc")
      expect(seen.filter((id) => id.startsWith(lane))).toEqual([...seen.filter((id) => id.startsWith(lane))].sort());
  });
});

describe("failures", () => {
  test("a retryable one is tried until it passes, and nothing overtakes it in its lane", async () => {
    const system = await start();
    const seen: string[] = [];
    await create(system, "a", "b");
    let failures = 3;
    consumer(system, (id) => {
      if (failures-- > 0) throw down();
      seen.push(id);
    });
    await waitUntil("both came", () => seen.length === 2);
    expect(seen).toEqual(["a", "b"]);
    expect(await dead(system)).toEqual([]);
  });

  test("any other is tried three times, then the event is a dead letter with its reason and bytes, and the next one comes", async () => {
    const system = await start();
    const seen: string[] = [];
    await create(system, "bad", "good");
    let tries = 0;
    consumer(system, (id) => {
      if (id !== "bad") return void seen.push(id);
      tries++;
      throw new Error("cannot be divided");
    });
    await waitUntil("the good one came", () => seen.length === 1);
    expect(tries).toBe(3);
    const [letter] = await dead(system);
    expect(letter).toMatchObject({ consumer: "c", topic: "agile.events", sequence: 1, attempts: 3 });
    expect(letter?.reason).toEqual({ code: "HandlerFailed", message: "cannot be divided" });
    expect(JSON.parse(Buffer.from(letter?.raw ?? "", "base64").toString()).data.projectId).toBe("bad");
  });

  test.each([
    ["no JSON", "{ this is not", "EventNotJson"],
    ["bytes that are no text", String.fromCharCode(0), "EventNotJson"],
    ["no envelope", `{"type":"project.created"}`, "EventInvalid"],
    ["an unknown type", envelope({ type: "project.exploded" }), "EventUnknown"],
    ["a type with a name that every object has", envelope({ type: "constructor" }), "EventUnknown"],
    ["a version of the future", envelope({ schemaVersion: 2 }), "EventTooNew"],
    ["data unlike its schema", envelope({ data: { projectId: "a b", title: "x" } }), "EventInvalid"],
  ])("%s is a dead letter at once", async (_, text, code) => {
    const system = await start();
    const seen: string[] = [];
    await raw(system, text);
    await create(system, "after");
    consumer(system, (id) => void seen.push(id));
    await waitUntil("the next one came", () => seen.length === 1);
    const [letter] = await dead(system);
    expect(letter).toMatchObject({ reason: { code }, attempts: 1, rawBytes: Buffer.byteLength(text) });
  });
});

test("an event told again within two minutes is one event, and what does not fit its schema is never sent", async () => {
  const system = await start();
  await create(system, "a", "a");
  await create(system, "a");
  expect(await system.ports.eventLog.lastSequence()).toBe(1);
  const bad = {
    type: "project.created",
    key: "k",
    correlationId: "k",
    data: { projectId: "no spaces", title: "" },
  } as const;
  await expect(postEvent(system, "planning", agileEvents, bad)).rejects.toMatchObject({ code: "EventInvalid" });
  const strange = {
    type: "project.exploded" as "project.created",
    key: "k",
    correlationId: "k",
    data: { projectId: "a", title: "b" },
  };
  await expect(postEvent(system, "planning", agileEvents, strange)).rejects.toMatchObject({ code: "EventInvalid" });
  expect(Object.keys(agentRequests.types)).toContain("agent.requested");
});

function envelope(more: object): string {
  const time = new Date(0).toISOString();
  const names = { eventId: "e", idempotencyKey: "k", correlationId: "c", producer: "p", time };
  const data = { projectId: "a", title: "A project" };
  return JSON.stringify({ ...names, type: "project.created", schemaVersion: 1, data, ...more });
}
