// What others wrote on the server, by mistake or by intent: passed over with a line, or told with its key, and never in anybody's way.

import { headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Codec } from "../../../runtime/codec.ts";
import { nameKey } from "../../../runtime/directory.ts";
import {
  type ActorSystem,
  actorContext,
  type ConnectOptions,
  connect,
  defineActor,
  type LogLine,
  systemClock,
} from "../../../runtime/index.ts";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { token } from "../../../runtime/token.ts";
import { subjectOf } from "../../../runtime/topic-name.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { natsForTests } from "../../support/nats-server.ts";
import { pausableClock } from "../../support/pausable-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";

const nats = natsForTests();

/** How calls of the handles that `relay` got have ended. */
const relayed: string[] = [];

const Worker = defineActor(
  "worker",
  class {
    async gated(): Promise<string> {
      const { signal } = actorContext();
      await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
      return "aborted";
    }
    where(): string {
      return actorContext().address.node;
    }
    async remembered(): Promise<unknown> {
      return actorContext().state.read();
    }
    echo(value: unknown): unknown {
      return value;
    }
    async relay(other: { echo(value: number): Promise<unknown> }): Promise<void> {
      relayed.push(await codeOf(other.echo(1)));
    }
  },
);

const text = (value: string) => new TextEncoder().encode(value);
const packed = (value: unknown) => new Codec().values((address) => address).encode(value, "value");
/** No MessagePack; MessagePack that is nothing of ours; records that readers act on; things of nearly the right shape. */
const garbage: readonly Uint8Array[] = [
  new Uint8Array(0),
  text("garbage"),
  Uint8Array.from([0xc1, 0xff, 0]),
  Uint8Array.from([0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61]),
  packed(null),
  packed([1, 2, 3]),
  packed({ address: null, owner: 1 }),
  packed({ kind: "value", id: 5, history: {} }),
  text('{"node":5,"name":{}}'),
  text('{"node":"x","name":"x","types":[null],"labels":{},"accepts":true,"allowsCode":false,"draining":false}'),
];

describe.skipIf(nats.missing !== undefined)(
  `on a real server (${nats.missing ?? "there"})`,
  { timeout: 30_000, concurrent: true },
  () => {
    const prefix = nats.prefix();
    const lines: LogLine[] = [];
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    const hostClock = pausableClock(systemClock);
    let hosts: readonly ActorSystem[] = [];
    let driver: ActorSystem;
    let stranger: Connection;

    const open = (name: string, more: ConnectOptions = {}) =>
      connect({
        ...nats.options,
        prefix,
        lease: "fast",
        name,
        log: (line) => void lines.push(line),
        ...more,
      });

    const write = async (subject: string, data: Uint8Array) => {
      const { reply } = await stranger.ask("write", subject, data);
      expect(reply.json()).toMatchObject({ seq: expect.any(Number) });
    };
    const store = (key: string, data: Uint8Array) => write(`$KV.${prefix}_store.${key}`, data);

    beforeAll(async () => {
      process.on("unhandledRejection", onUnhandled);
      stranger = await connectNats(nats.options);
      driver = await open("driver");
      hosts = [
        await open("one", { accepts: true, actors: [Worker], clock: hostClock }),
        await open("two", { accepts: true, actors: [Worker] }),
      ];
    });
    afterAll(async () => {
      await hostClock.resume();
      for (const system of [driver, ...hosts]) await system?.close();
      await stranger?.close();
      process.off("unhandledRejection", onUnhandled);
      expect(unhandled).toEqual([]);
    });

    test("names: told with their key, and the others are recovered when a node dies", async () => {
      for (const [at, bytes] of garbage.entries()) await store(nameKey("default", `bad-${at}`), bytes);
      const named = await driver.spawn(Worker, {
        name: "good",
        node: "one",
        restart: { maxRestarts: 1, withinMs: 60_000 },
      });
      for (const at of garbage.keys()) {
        const key = nameKey("default", `bad-${at}`);
        const error = await caught(driver.get(`bad-${at}`));
        expect(error).toMatchObject({ code: "EntryUnreadable", retryable: false, data: { key } });
        expect(error.message).toContain(key);
        expect(await codeOf(driver.spawn(Worker, { name: `bad-${at}`, node: "two" }))).toBe("EntryUnreadable");
      }
      hostClock.pause();
      await waitUntil(
        "the good one lives on the other node",
        async () => {
          const where = await named
            .with({ timeoutMs: 2_000 })
            .where()
            .catch(() => "");
          return where === hosts[1]?.node;
        },
        20_000,
      );
      expect(
        lines.some(({ message, data }) => /among the names/.test(message) && data?.key === nameKey("default", "bad-1")),
      ).toBe(true);
    });

    test("nodes: passed over with a line; the real ones are seen and nobody else", async () => {
      for (const [at, bytes] of garbage.entries()) await store(`node.${token(`bad-${at}`)}`, bytes);
      // A good record, but another's key.
      const record = {
        node: "ghost-1",
        name: "ghost",
        labels: {},
        types: [],
        accepts: true,
        allowsCode: true,
        draining: false,
      };
      await store(`node.${token("not-ghost")}`, text(JSON.stringify(record)));
      const late = await open("late");
      await waitUntil("the newcomer is seen", () => driver.nodes().some(({ name }) => name === "late"));
      expect(
        driver
          .nodes()
          .map(({ name }) => name)
          .filter((name) => !["driver", "one", "two", "late"].includes(name)),
      ).toEqual([]);
      await late.close();
      expect(lines.some(({ message }) => /among the nodes/.test(message))).toBe(true);
    });

    test("work: what is no task is dropped with a line, and tasks go on", async () => {
      for (const [at, bytes] of garbage.entries())
        await write(`${prefix}.queue.${token("worker")}.interactive.bad-${at}`, bytes);
      const ids = await Promise.all([1, 2, 3].map((value) => driver.submit(Worker, "echo", [value])));
      expect(await Promise.all(ids.map((id) => driver.result(id)))).toEqual([1, 2, 3]);
      await waitUntil(
        "all of it was dropped",
        () => lines.filter(({ message }) => /is no task/.test(message)).length >= garbage.length,
      );
    });

    test("outcomes: a task whose place is taken by something else ends with a reason, and can be replayed", async () => {
      for (const [at, bytes] of garbage.entries()) {
        const id = `bad-${at}`;
        await write(`${prefix}.results.result.${token(id)}`, bytes);
        await write(`${prefix}.results.attempt.${token(id)}`, bytes);
        await write(`${prefix}.results.cancel.${token(id)}`, bytes);
        expect(await caught(driver.result(id))).toMatchObject({
          code: "TaskFailed",
          data: { history: [{ code: "TaskDataLost" }] },
        });
        expect(await codeOf(driver.submit(Worker, "echo", [1], { id }))).toBe("TaskIdTaken");
      }
    });

    test("dead tasks: listed without them, shown with the key", async () => {
      for (const [at, bytes] of garbage.entries()) await store(`dead.${token(`bad-${at}`)}`, bytes);
      expect(await driver.deadTasks.list()).toEqual([]);
      for (const at of garbage.keys()) {
        expect(await caught(driver.deadTasks.show(`bad-${at}`))).toMatchObject({ code: "EntryUnreadable" });
        expect(await codeOf(driver.deadTasks.replay(`bad-${at}`))).toBe("EntryUnreadable");
      }
    });

    test("state: the actor that reads it hears what is wrong", async () => {
      const keeper = await driver.spawn(Worker, { name: "keeper", node: "two" });
      await store(nameKey("default", "keeper").replace("name", "state"), text("garbage"));
      expect(await codeOf(keeper.remembered())).toBe("EntryUnreadable");
      expect(await keeper.echo(1)).toBe(1);
    });

    test("events: passed over and counted", async () => {
      await using subscription = driver.subscribe("news.>");
      await subscription.ready();
      const before = driver.stats().badEvents;
      for (const bytes of garbage.slice(0, 4)) await write(`${prefix}.events.${subjectOf("news.today")}`, bytes);
      await driver.publish("news.today", "good");
      expect((await subscription.next()).value).toMatchObject({ topic: "news.today", event: "good" });
      expect(driver.stats().badEvents - before).toBe(4);
    });

    test("messages: answers to what nobody asked, losses nobody had, deliveries with headers, forged senders", async () => {
      const worker = await driver.spawn(Worker, { node: "two", concurrency: 100 });
      const running = codeOf(worker.with({ timeoutMs: 3_000 }).gated());
      const codec = new Codec();
      const stored = headers();
      stored.set("Nats-Stream", `KV_${prefix}_store`);
      const [_one, two] = hosts as [ActorSystem, ActorSystem];
      for (let id = 0; id < 300; id++) {
        const answer = codec.encodeFrame([{ kind: "reply", id, value: "a lie" }]);
        // Not from whom it was asked; and from whom it was, but by way of the server's store, which may put headers before anything.
        stranger.nc.publish(`${prefix}.n.${driver.node}.liar-1`, answer);
        stranger.nc.publish(`${prefix}.n.${driver.node}.${two.node}`, answer, { headers: stored });
        stranger.nc.publish(`${prefix}.n.${driver.node}.a.${two.node}`, answer);
        stranger.nc.publish(`${prefix}.l.${driver.node}.${two.node}.${id}-${id}-0-0-0`, new Uint8Array(0));
        stranger.nc.publish(`${prefix}.l.${driver.node}.${two.node}.${id}-${id}-0-0-0`, answer, { headers: stored });
      }
      await stranger.nc.flush();
      expect(await worker.echo("undisturbed")).toBe("undisturbed");
      expect(await running).toBe("DeadlineExceeded");
    });

    test("handles to places that are no node: calls of them fail, and nothing else", async () => {
      const worker = await driver.spawn(Worker, { node: "two", concurrency: 100 });
      const codec = new Codec();
      const [node, id] = [hosts[1]?.node ?? "", String(worker).replace(/^worker\/(.*)@.*$/, "$1")];
      const to = { node, id, type: "worker", incarnation: 1 };
      const places = ["a b", "x\r\nPUB evil 1\r\n", "a.b", "*", ">", "", "x".repeat(500)];
      for (const [at, place] of places.entries()) {
        const handle = { "\u0000flotilla": ["handle", { ...to, node: place }] };
        const call = {
          kind: "call",
          id: at,
          to,
          method: "relay",
          args: [handle],
          deadlineMs: 1e14,
          chain: [],
        } as const;
        stranger.nc.publish(`${prefix}.n.${node}.liar-2`, codec.encodeFrame([call]));
      }
      await waitUntil("all of them were called", () => relayed.length === places.length);
      expect(new Set(relayed)).toEqual(new Set(["Unavailable"]));
      expect(await worker.echo(1)).toBe(1);
    });
  },
);
