// 20,000 messages of every wrong kind on every subject that a node listens to, while it works: nothing ends, nothing is disturbed, nothing
// goes deaf. The seed is in the name of the test.

import { headers, type Msg } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { Codec, PROTOCOL_VERSION } from "../../../runtime/codec.ts";
import { type ActorSystem, connect, defineActor, type LogLine, seededRandom } from "../../../runtime/index.ts";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { natsForTests } from "../../support/nats-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const SEED = 20_261_126;
const MESSAGES = 20_000;
const BURST = 500;
const NEVER_ASKED = "zzzzzzzzzz";

const nats = natsForTests();
const gates: (() => void)[] = [];

const Worker = defineActor(
  "worker",
  class {
    async gated(what: number): Promise<number> {
      await new Promise<void>((resolve) => gates.push(resolve));
      return what;
    }
    echo(value: unknown): unknown {
      return value;
    }
    async *count(to: number) {
      for (let at = 0; at < to; at++) yield at;
    }
  },
);

describe.skipIf(nats.missing !== undefined)(`a fleet on a real server (${nats.missing ?? "there"})`, () => {
  const random = seededRandom(SEED);
  const codec = new Codec();
  const lines: LogLine[] = [];
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  const prefix = nats.prefix();
  let host: ActorSystem;
  let driver: ActorSystem;
  let stranger: Connection;
  /** What was heard on the server: frames that were good, and where nodes wait for answers and for work. */
  const good: Uint8Array[] = [];
  const inboxes = new Set<string>();

  beforeAll(async () => {
    process.on("unhandledRejection", onUnhandled);
    const common = { ...nats.options, prefix, lease: "fast", log: (line: LogLine) => void lines.push(line) } as const;
    stranger = await connectNats(nats.options);
    const callback = (_error: Error | null, { data, reply }: Msg) => {
      if (reply?.startsWith("_I.") && !reply.startsWith(stranger.inbox))
        inboxes.add(reply.slice(0, reply.lastIndexOf(".")));
      if (reply?.startsWith(`${prefix}.l.`) && data.length < 20_000 && good.length < 2_000) good.push(data.slice());
    };
    for (const subject of [`${prefix}.n.>`, "$JS.API.>", `$KV.${prefix}_store.>`])
      stranger.nc.subscribe(subject, { callback });
    await stranger.nc.flush();
    host = await connect({ ...common, name: "host", accepts: true, actors: [Worker] });
    driver = await connect({ ...common, name: "driver" });
  });
  afterAll(async () => {
    await driver?.close();
    await host?.close();
    await stranger?.close();
    process.off("unhandledRejection", onUnhandled);
  });

  const bytes = (length: number) => Uint8Array.from({ length }, () => random.below(256));
  const pick = <T>(from: readonly T[]): T => from[random.below(from.length)] as T;

  function mutated(): Uint8Array {
    const frame = pick(good).slice();
    for (let times = random.below(4); times >= 0; times--) frame[random.below(frame.length)] = random.below(256);
    return random.below(3) === 0 ? frame.subarray(0, random.below(frame.length)) : frame;
  }

  function nested(): Uint8Array {
    const deep = new Uint8Array(2 + random.below(50_000)).fill(pick([0x91, 0x81, 0x92]));
    deep[0] = 0x92;
    deep[1] = PROTOCOL_VERSION;
    return deep;
  }

  const others = [0, 1, PROTOCOL_VERSION + 1, 255].map((version) => Uint8Array.from([0x91, version, 0]));
  // A record, extensions, a date, a 64-bit integer: what MessagePack readers act on.
  const typed = [
    [0xd4, 0x72, 0x40, 0x91, 0xa1, 0x61],
    [0xd6, 0xff, 0, 0, 0, 1],
    [0xc7, 4, 1, 1, 2, 3, 4],
    [0xcf, 255, 255, 255, 255, 255, 255, 255, 255],
    [0xdf, 255, 255, 255, 255],
    [0xdd, 255, 255, 255, 255],
    [0xc6, 255, 255, 255, 255],
  ].map((tail) => Uint8Array.from([0x92, PROTOCOL_VERSION, ...tail]));
  const nonsense = [
    { kind: "error", id: 1, error: { code: 5 } },
    {
      kind: "spawn",
      id: 1,
      type: "worker",
      options: { type: "worker", args: [], settings: { mailboxMax: -1 } },
      deadlineMs: 1e18,
    },
    { kind: "spawn", id: 2, type: "worker", options: null, deadlineMs: Number.POSITIVE_INFINITY },
    { kind: "load", id: 3, request: null, deadlineMs: 1e300 },
    { kind: "blob", id: 4, of: "call", hash: "0".repeat(64) },
    { kind: "blob", id: 4, of: "reply", hash: 7 },
    { kind: "watch", id: 5, to: {} },
    { kind: "signal", id: 5, end: null },
    { kind: "probe", id: 0, ids: "all" },
    { kind: "forgotten", id: 0, ids: [Number.NaN, "1", {}] },
    { kind: "stop", id: 6, to: null, how: "now", timeoutMs: "soon" },
    { kind: "credit", id: 1, count: Number.NaN },
    { kind: "log", id: 0, lines: null },
    { kind: "log", id: 0, lines: [null, { level: 5, message: {}, atMs: "now" }] },
    { kind: "moved", id: 0, key: {}, actor: 5 },
    { kind: "moved", id: 0, key: "name.x.y", actor: "1" },
    { kind: "reconnected", id: 0 },
    { kind: "no such kind", id: 1 },
  ].map((envelope) => codec.encodeFrame([envelope as never]));

  function payload(): Uint8Array {
    const roll = random.below(100);
    if (roll < 30) return bytes(random.below(200));
    if (roll < 65) return mutated();
    if (roll < 75) return Uint8Array.from([0x90 + random.below(16), PROTOCOL_VERSION, ...bytes(random.below(60))]);
    if (roll < 80) return nested();
    if (roll < 85) return pick(others);
    if (roll < 90) return pick(typed);
    return pick(nonsense);
  }

  function subject(): string {
    const { node } = pick([host, driver]);
    const sender = pick(["stranger", "nobody-1", `x${random.below(20)}`]);
    const roll = random.below(100);
    if (roll < 60) return `${prefix}.n.${node}.${sender}`;
    if (roll < 65)
      return `${prefix}.l.${node}.${sender}.${pick(["", "1-9007199254740991-1-9007199254740991-9007199254740991", "x-y-z", "-1--5"]) || "-"}`;
    if (roll < 75) return `${prefix}.tail.store.node.${sender}`;
    if (roll < 80) return `${prefix}.tail.store.name.${sender}.x`;
    if (roll < 85) return `${prefix}.tail.results.result.${sender}`;
    if (roll < 90) return `${prefix}.tail.events.t.fuzz`;
    return `${pick([...inboxes])}.${NEVER_ASKED}${random.below(100)}`;
  }

  function withHeaders() {
    const roll = random.below(10);
    if (roll < 6) return {};
    const made = roll === 6 ? headers(503, "No Responders") : headers();
    if (roll > 7) made.set("Nats-Subject", `$KV.${prefix}_store.node.${random.below(10)}`);
    if (roll > 7) made.set("Nats-Sequence", pick(["x", "-1", "0", "NaN", "1e400", ""]));
    if (roll > 8) made.set("Nats-Stream", pick([`KV_${prefix}_store`, "other"]));
    return { headers: made };
  }

  test(`bears ${MESSAGES} messages of seed ${SEED}`, { timeout: 60_000 }, async () => {
    const worker = await driver.spawn(Worker, { concurrency: 1_000 });
    const subscription = driver.subscribe("t.fuzz");
    await subscription.ready();
    const ends: string[] = [];
    driver.watch(worker, ({ reason }) => ends.push(reason));
    // Traffic of every kind, to be heard and made worse.
    await worker.echo([new Map([[1n, new Date()]]), new Uint8Array(100)]);
    for await (const _ of worker.count(5));
    await worker.echo("x".repeat(10_000));
    await driver.result(await driver.submit(worker, "echo", [1]));
    await waitUntil("frames and inboxes were heard", () => good.length >= 6 && inboxes.size >= 3);
    const running = Array.from({ length: 50 }, (_, at) => worker.with({ timeoutMs: 60_000 }).gated(at));
    await waitUntil("all of them run", () => gates.length === 50);
    const before = host.stats().badFrames + driver.stats().badFrames;
    for (let sent = 0; sent < MESSAGES; ) {
      const echoed = Promise.all(Array.from({ length: 20 }, (_, at) => worker.echo(at)));
      const published = driver.publish("t.fuzz", sent);
      for (let at = 0; at < BURST; at++, sent++) stranger.nc.publish(subject(), payload(), withHeaders());
      if (sent % 5_000 === 0) stranger.nc.publish(`${prefix}.n.${host.node}.stranger`, bytes(1_000_000));
      await stranger.nc.flush();
      expect(await echoed).toEqual(Array.from({ length: 20 }, (_, at) => at));
      expect((await subscription.next()).value?.event).toBe(sent - BURST);
      await published;
    }
    for (const open of gates) open();
    expect(await Promise.all(running)).toEqual(running.map((_call, at) => at));
    expect(host.stats().badFrames + driver.stats().badFrames - before).toBeGreaterThan(MESSAGES / 4);
    expect(unhandled).toEqual([]);
    expect(ends).toEqual([]);
    await subscription.return?.();
  });

  test("and hears and works afterwards as before", { timeout: 30_000 }, async () => {
    const worker = await driver.spawn(Worker, { name: "after" });
    expect(await worker.echo(new Uint8Array(1_000_000))).toHaveLength(1_000_000);
    expect(await driver.result(await driver.submit(Worker, "echo", ["done"]))).toBe("done");
    const late = await connect({ ...nats.options, prefix, name: "late", lease: "fast" });
    await waitUntil("the others see who comes", () => driver.nodes().some(({ name }) => name === "late"));
    await late.close();
    await waitUntil("and who goes", () => !driver.nodes().some(({ name }) => name === "late"));
    expect(
      driver
        .nodes()
        .map(({ name }) => name)
        .sort(),
    ).toEqual(["driver", "host"]);
    const ends: string[] = [];
    driver.watch(worker, ({ reason }) => ends.push(reason));
    await driver.kill(worker);
    await waitUntil("the end is heard", () => ends.length === 1);
    expect(unhandled).toEqual([]);
  });
});
