// Following a publisher over real sockets: gaps, replays, new lives, and closing.

import { afterEach, describe, expect, it } from "vitest";
import { decodeKvBatch } from "../../../nodes/telemetry/kv-batch.ts";
import { KvEvents, type KvEventsOptions, type ResetReason } from "../../../nodes/telemetry/kv-events.ts";
import { PrefixView } from "../../../nodes/telemetry/prefix-view.ts";
import { systemClock } from "../../../runtime/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { recordedFrames, storedMap } from "./kv-frames.ts";
import { KvPublisher } from "./publisher.ts";

const open: AsyncDisposable[] = [];
afterEach(async () => {
  for (const one of open.splice(0).reverse()) await one[Symbol.asyncDispose]();
});

async function publisher(port = 0): Promise<KvPublisher> {
  const one = await KvPublisher.start(port);
  open.push(one);
  return one;
}

/** A follower with a view of its own and the log of its resets. */
class Follower {
  readonly view = new PrefixView();
  readonly resets: ResetReason[] = [];
  readonly events: KvEvents;

  constructor(options: Pick<KvEventsOptions, "endpoint"> & Partial<KvEventsOptions>) {
    const onReset = (reason: ResetReason) => void this.resets.push(reason);
    this.events = new KvEvents({ clock: systemClock, follower: this.view, onReset, ...options });
    open.push({ [Symbol.asyncDispose]: () => this.events.close() });
  }

  get blocks(): number {
    return this.view.summary().blocks;
  }

  async reaches(sequence: number): Promise<void> {
    await waitUntil(`batch ${sequence} is applied`, () => this.events.stats().sequence >= sequence);
  }
}

/** The event that stores block `n` of one prompt: as many blocks are linked as were stored without a gap. */
const block = (n: number) => [storedMap([BigInt(n + 1)], n === 0 ? null : BigInt(n), [n, n])];

/** A subscription takes a moment to reach the publisher: publishes until something arrives. */
async function meet(server: KvPublisher, follower: Follower, firstBlock = 0): Promise<number> {
  const before = follower.events.stats().batches;
  let next = firstBlock;
  await waitUntil("the first batch arrives", async () => {
    await server.publish(block(next++));
    return follower.events.stats().batches > before;
  });
  await follower.reaches(server.kept.length - 1);
  return next;
}

it("plays what a real vLLM sent, and ends with what fits into its cache", async () => {
  const server = await publisher();
  for (const [, , payload] of recordedFrames()) await server.publishRaw(payload as Buffer, true);
  const follower = new Follower({ endpoint: server.endpoint, replayEndpoint: server.replayEndpoint });
  await follower.reaches(25);
  // Room for 200, of which one is kept free.
  expect(follower.view.summary()).toMatchObject({
    blockSize: 128,
    blocks: 198,
    tokens: 198 * 128,
    dropped: 0,
    generation: 0,
  });
  expect(follower.events.stats()).toMatchObject({ batches: 26, replayed: 26, passedOver: 0, refused: 0, resets: 0 });
});

describe("without replay", () => {
  it("who joins late knows nothing of before: one reset, and blocks after unknown ones do not count", async () => {
    const server = await publisher();
    for (let n = 0; n < 5; n++) await server.publish(block(n), true);
    const follower = new Follower({ endpoint: server.endpoint });
    const next = await meet(server, follower, 5);
    expect(follower.resets).toEqual(["joined-late"]);
    expect(follower.blocks).toBe(0);
    await server.publish([storedMap([1_000n], null, [7, 7])]);
    await follower.reaches(next);
    expect(follower.blocks).toBe(1);
  });

  it("a gap is answered by a reset", async () => {
    const server = await publisher();
    const follower = new Follower({ endpoint: server.endpoint });
    const next = await meet(server, follower);
    const before = follower.resets.length;
    await server.publish(block(next), true);
    await server.publish(block(next + 1));
    await follower.reaches(next + 1);
    expect(follower.resets.slice(before)).toEqual(["gap"]);
    expect(follower.blocks).toBe(0);
  });
});

describe("with replay", () => {
  it("who joins late gets what was before, also when nothing more is published", async () => {
    const server = await publisher();
    for (let n = 0; n < 5; n++) await server.publish(block(n), true);
    const follower = new Follower({ endpoint: server.endpoint, replayEndpoint: server.replayEndpoint });
    await follower.reaches(4);
    expect(follower.blocks).toBe(5);
    expect(server.asked).toEqual([0]);
    expect(follower.resets).toEqual([]);
  });

  it.each([false, true])("gaps are filled, nothing is applied twice and nothing reset", async (isGenerous) => {
    const server = await publisher();
    server.isGenerous = isGenerous;
    const follower = new Follower({ endpoint: server.endpoint, replayEndpoint: server.replayEndpoint });
    let next = await meet(server, follower);
    for (let round = 0; round < 5; round++) {
      for (const isLost of [true, true, false, true, false]) await server.publish(block(next++), isLost);
      await follower.reaches(next - 1);
    }
    expect(follower.blocks).toBe(next);
    expect(follower.resets).toEqual([]);
    expect(follower.events.stats().batches).toBe(next);
  });

  it("what the server no longer keeps is a gap: reset, then what it has", async () => {
    const server = await publisher();
    const follower = new Follower({ endpoint: server.endpoint, replayEndpoint: server.replayEndpoint });
    const next = await meet(server, follower);
    await server.publish(block(next), true);
    await server.publish([storedMap([500n], null, [5, 5])], true);
    server.kept = server.kept.slice(-1);
    await server.publish([storedMap([501n], 500n, [5, 5])]);
    await follower.reaches(next + 2);
    expect(follower.resets).toEqual(["gap"]);
    expect(follower.blocks).toBe(2);
  });

  it("a server that does not answer costs its time and a reset", async () => {
    const server = await publisher();
    server.isSilent = true;
    const replayTimeoutMs = 50;
    const follower = new Follower({
      endpoint: server.endpoint,
      replayEndpoint: server.replayEndpoint,
      replayTimeoutMs,
    });
    const next = await meet(server, follower);
    const before = follower.resets.length;
    await server.publish(block(next), true);
    await server.publish(block(next + 1));
    await follower.reaches(next + 1);
    expect(follower.resets.slice(before)).toEqual(["gap"]);
  });
});

describe("a new life of the server", () => {
  it("shows in a sequence that begins anew", async () => {
    const server = await publisher();
    const follower = new Follower({ endpoint: server.endpoint, replayEndpoint: server.replayEndpoint });
    const next = await meet(server, follower);
    expect(follower.blocks).toBe(next);
    server.beginAnew();
    await server.publish([storedMap([900n], null, [1, 1])]);
    await waitUntil("the new life is seen", () => follower.resets.includes("restarted"));
    await follower.reaches(0);
    expect(follower.blocks).toBe(1);
  });

  it("and its end in the connection: the cache is gone at once", async () => {
    const server = await publisher();
    const { endpoint, port } = server;
    const follower = new Follower({ endpoint });
    await meet(server, follower);
    await server[Symbol.asyncDispose]();
    await waitUntil("the loss is noticed", () => follower.resets.includes("disconnected"));
    expect(follower.blocks).toBe(0);
    const again = await publisher(port);
    const next = await meet(again, follower);
    expect(follower.resets.at(-1)).not.toBe("restarted");
    expect(follower.events.stats().sequence).toBe(next - 1);
  });
});

it("a server that goes while a gap is mended takes that with it", async () => {
  const server = await publisher();
  const { port, replayEndpoint } = server;
  const clock = new FakeClock();
  const follower = new Follower({ endpoint: server.endpoint, replayEndpoint, clock });
  let next = await meet(server, follower);
  while (next < 100) await server.publish(block(next++));
  await follower.reaches(next - 1);
  server.isSilent = true;
  await server.publish(block(next), true);
  await server.publish(block(next + 1));
  await waitUntil("the replay is asked for", () => server.asked.includes(next));
  await server[Symbol.asyncDispose]();
  await waitUntil("the loss is noticed", () => follower.resets.length > 0);
  const again = await publisher(port);
  const before = follower.events.stats().batches;
  await waitUntil("a batch of the new life is applied", async () => {
    await again.publish([storedMap([900n], 899n, [1, 1])]);
    // Nobody answers replays any more.
    await clock.advance(2_000);
    return follower.events.stats().batches > before;
  });
  expect(follower.events.stats().sequence).toBeLessThan(100);
  expect(follower.resets.filter((reason) => reason !== "joined-late")).toEqual(["disconnected"]);
  expect(follower.blocks).toBe(0);
});

it("a batch that cannot be read is one reset, and the next is no gap", async () => {
  const server = await publisher();
  const follower = new Follower({ endpoint: server.endpoint, replayEndpoint: server.replayEndpoint });
  const next = await meet(server, follower);
  await server.publishRaw(Buffer.from("what?"));
  await server.publish([storedMap([900n], null, [1, 1])]);
  await follower.reaches(next + 1);
  expect(follower.resets).toEqual(["unreadable"]);
  expect(follower.events.stats()).toMatchObject({ refused: 1, refusal: expect.stringContaining("payload") });
  expect(follower.blocks).toBe(1);
});

it("only the topic that is wanted", async () => {
  const server = await publisher();
  const [wanted, other] = ["k", "other"].map((topic) => new Follower({ endpoint: server.endpoint, topic }));
  if (wanted === undefined || other === undefined) throw new Error("two followers");
  await meet(server, wanted);
  expect(other.events.stats().batches).toBe(0);
});

describe("closing", () => {
  it("is prompt in every state, and twice does no harm", async () => {
    const server = await publisher();
    server.isSilent = true;
    const nobody = new Follower({ endpoint: "tcp://127.0.0.1:1" });
    const asking = new Follower({
      endpoint: server.endpoint,
      replayEndpoint: server.replayEndpoint,
      replayTimeoutMs: 60_000,
    });
    await waitUntil("the replay is asked for", () => server.asked.length > 0);
    const beganMs = performance.now();
    for (const { events } of [nobody, asking, nobody]) await events.close();
    expect(performance.now() - beganMs).toBeLessThan(500);
  });

  it("after it nothing is told", async () => {
    const server = await publisher();
    const follower = new Follower({ endpoint: server.endpoint });
    await meet(server, follower);
    await follower.events.close();
    const [stats, resets] = [follower.events.stats(), follower.resets.length];
    const other = new Follower({ endpoint: server.endpoint });
    await meet(server, other, 100);
    await server[Symbol.asyncDispose]();
    await waitUntil("the other notices the loss", () => other.resets.includes("disconnected"));
    expect(follower.events.stats()).toEqual(stats);
    expect(follower.resets.length).toBe(resets);
  });
});

it("an endpoint that is none is told when it is given", () => {
  const follower = new PrefixView();
  expect(() => new KvEvents({ endpoint: "nowhere", clock: systemClock, follower })).toThrow(/[Ii]nvalid/);
});

it("the recorded batches are in order for whoever decodes them alone", () => {
  const view = new PrefixView();
  for (const frames of recordedFrames()) {
    const batch = decodeKvBatch(frames);
    if (batch.kind === "batch") view.apply(batch.events);
  }
  expect(view.summary().blocks).toBe(198);
});
