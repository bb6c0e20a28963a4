// Between nodes: what arrives is judged, what cannot be sent is told, and bytes from strangers disturb nothing.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { Codec, PROTOCOL_VERSION } from "../../runtime/codec.ts";
import type { Envelope } from "../../runtime/envelope.ts";
import { type ActorSystem, actorContext, defineActor } from "../../runtime/index.ts";
import { MemoryNetwork } from "../../runtime/memory/transport.ts";
import type { Transport } from "../../runtime/transport.ts";
import { caught, codeOf } from "../support/caught.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { hearing } from "../support/listener.ts";
import { closeWithin, settleFrames } from "../support/places.ts";
import { type Network, openSystems } from "../support/systems.ts";

interface Seen {
  aborted: number;
  cleanedUp: number;
}

function remote(seen: Seen) {
  return defineActor(
    "remote",
    class {
      async work(): Promise<string> {
        await settle();
        await settle();
        return "done";
      }
      async untilAborted(): Promise<string> {
        const { signal } = actorContext();
        await new Promise<void>((resolve) => signal.addEventListener("abort", () => resolve()));
        seen.aborted++;
        return "aborted";
      }
      *chunks(bytes: number) {
        try {
          for (;;) {
            yield new Uint8Array(bytes);
            // One large chunk is enough: a window of them would be gigabytes.
            if (bytes > 1_000) return;
          }
        } finally {
          seen.cleanedUp++;
        }
      }
      async *ticks() {
        try {
          for (;;) {
            await settle();
            yield 1;
          }
        } finally {
          seen.cleanedUp++;
        }
      }
      bytes(count: number): Uint8Array {
        return new Uint8Array(count);
      }
      throwLong(length: number): never {
        throw new Error("x".repeat(length));
      }
      size(bytes: Uint8Array): number {
        return bytes.length;
      }
      ping(): string {
        return "pong";
      }
    },
  );
}

/** A network whose frames from one node to another can be seen and dropped. */
class WatchedNetwork implements Network {
  readonly #inner = new MemoryNetwork();
  readonly #codec = new Codec();
  readonly sent: { from: string; to: string; envelopes: Envelope[] }[] = [];
  drop: (envelope: Envelope) => boolean = () => false;

  join(node: string): Transport {
    const transport = this.#inner.join(node);
    return {
      ...transport,
      send: (to, frame, receipt) => {
        const envelopes = [...(this.#codec.decodeFrame(frame)?.envelopes ?? [])];
        this.sent.push({ from: node, to, envelopes });
        const kept = envelopes.filter((envelope) => !this.drop(envelope));
        return kept.length === envelopes.length
          ? transport.send(to, frame, receipt)
          : kept.length === 0 || transport.send(to, this.#codec.encodeFrame(kept), receipt);
      },
    };
  }
}

async function open(network: Network = new WatchedNetwork()) {
  const clock = new FakeClock();
  const systems = await openSystems(["north", "south"], { clock, network });
  const seen: Seen = { aborted: 0, cleanedUp: 0 };
  const Remote = remote(seen);
  systems.at(1).register(Remote);
  const actor = await systems.at(0).spawn(Remote, { node: "south", concurrency: 1 });
  return {
    clock,
    systems,
    seen,
    actor,
    network: network as WatchedNetwork,
    [Symbol.asyncDispose]: () => closeWithin(systems, clock),
  };
}

describe("frames", () => {
  test("calls of one tick leave as one frame, and so do their answers", async () => {
    await using open1 = await open();
    const { actor, network } = open1;
    network.sent.length = 0;
    await Promise.all(Array.from({ length: 300 }, () => actor.ping()));
    expect(network.sent.map(({ from, envelopes }) => [from, envelopes.length])).toEqual([
      ["north", 300],
      ["south", 300],
    ]);
  });

  test("more than a frame holds is cut and still arrives in order", async () => {
    await using opened = await open();
    const { actor, network } = opened;
    network.sent.length = 0;
    const sizes = Array.from({ length: 20 }, (_, index) => 1_000_000 + index);
    expect(await Promise.all(sizes.map((size) => actor.size(new Uint8Array(size))))).toEqual(sizes);
    expect(network.sent.filter(({ from }) => from === "north").length).toBeGreaterThan(1);
  });
});

const TOO_LARGE = 9 * 1024 * 1024;

describe("what is too large for a frame", () => {
  test("as an argument fails the call, as a cast is a dead letter", async () => {
    await using opened = await open();
    const { actor, systems } = opened;
    expect(await caught(actor.size(new Uint8Array(TOO_LARGE)))).toMatchObject({
      code: "PayloadTooLarge",
      data: { maxBytes: 8 * 1024 * 1024 },
    });
    actor.cast.size(new Uint8Array(TOO_LARGE));
    await settleFrames();
    expect(systems.at(0).deadLetters.recent()).toMatchObject([{ code: "PayloadTooLarge", method: "size" }]);
  });

  test("as a result, an error or a chunk is told to the caller", async () => {
    await using opened = await open();
    const { actor, seen } = opened;
    expect(await codeOf(actor.bytes(TOO_LARGE))).toBe("PayloadTooLarge");
    expect(await codeOf(actor.throwLong(TOO_LARGE))).toBe("PayloadTooLarge");
    expect(await codeOf(actor.chunks(TOO_LARGE).next())).toBe("PayloadTooLarge");
    await settleFrames();
    expect(seen.cleanedUp).toBe(1);
    expect(await actor.ping()).toBe("pong");
  });
});

describe("lost frames", () => {
  test("a lost call ends at its deadline and never ran", async () => {
    await using opened = await open();
    const { actor, network, clock } = opened;
    network.drop = ({ kind }) => kind === "call";
    const code = codeOf(actor.with({ timeoutMs: 100 }).ping());
    await clock.advance(110);
    expect(await code).toBe("DeadlineExceeded");
  });

  test("with the cancel lost, the method still sees its deadline", async () => {
    await using opened = await open();
    const { actor, network, clock, seen } = opened;
    network.drop = ({ kind }) => kind === "cancel";
    const code = codeOf(actor.with({ timeoutMs: 100 }).untilAborted());
    await clock.advance(110);
    expect(await code).toBe("DeadlineExceeded");
    await settleFrames();
    expect(seen.aborted).toBe(1);
    expect(await actor.ping()).toBe("pong");
  });

  test("with the cancel lost, a producer that sends on is told again", async () => {
    await using opened = await open();
    const { actor, network, seen } = opened;
    const stream = actor.ticks();
    await stream.next();
    const lost = { cancels: 0 };
    network.drop = ({ kind }) => kind === "cancel" && lost.cancels++ === 0;
    await stream.return?.();
    await settleFrames();
    expect([lost.cancels, seen.cleanedUp]).toEqual([2, 1]);
  });

  test("a lost chunk breaks the stream instead of leaving a gap", async () => {
    await using opened = await open();
    const { actor, network, seen } = opened;
    network.drop = (envelope) => envelope.kind === "chunk" && envelope.sequence === 5;
    const stream = actor.chunks(1);
    const items: number[] = [];
    const error = await caught(
      (async () => {
        for await (const item of stream) items.push(item.length);
      })(),
    );
    expect([error.code, items.length]).toEqual(["StreamBroken", 5]);
    await settleFrames();
    expect(seen.cleanedUp).toBe(1);
  });

  test("a lost spawn ends at the call time-out; one that comes too late makes nothing", async () => {
    await using opened = await open();
    const { network, clock, systems } = opened;
    network.drop = ({ kind }) => kind === "reply";
    const Plain = defineActor("plain", class {});
    systems.at(1).register(Plain);
    const code = codeOf(systems.at(0).spawn(Plain, { node: "south" }));
    await clock.advance(31_000);
    expect(await code).toBe("DeadlineExceeded");
  });
});

type Nonsense = Partial<Record<string, unknown>>;

/** What our own encoder would make of it if it looked at nothing (words.ts). */
function nonsenseWords({ kind, id, to, method, args, deadlineMs, chain, credit, value, sequence, ...rest }: Nonsense) {
  const target = (to ?? {}) as Nonsense;
  const head = [0, target.node, target.id, target.type, target.incarnation, method, 1, deadlineMs];
  switch (kind) {
    case "call":
      return [...head, 3, id, args, { chain, credit }];
    case "cast":
      return [...head, 4, args];
    case "reply":
      return [6, id, value];
    case "chunk":
      return [7, id, sequence, value];
    default:
      return [9, { kind, id, to, ...rest }];
  }
}

/** A node of our own making, that says what it likes. */
async function stranger(network: WatchedNetwork, name = "stranger") {
  const transport = network.join(name);
  const codec = new Codec();
  await transport.listen(hearing());
  return {
    bytes: (frame: Uint8Array) => transport.send("south", frame),
    says: (...envelopes: Nonsense[]) =>
      transport.send(
        "south",
        codec.values(() => undefined).encode([PROTOCOL_VERSION, ...envelopes.flatMap(nonsenseWords)], "frame"),
      ),
  };
}

describe("strangers", () => {
  test("2,000 frames of noise never throw and never disturb a running call", async () => {
    await using opened = await open();
    const { actor, network, systems } = opened;
    const { bytes } = await stranger(network);
    const before = systems.at(1).stats().badFrames;
    const noise = fc.sample(fc.uint8Array({ maxLength: 64 }), { numRuns: 2_000, seed: 7 });
    const work = actor.work();
    for (const [index, frame] of noise.entries()) {
      bytes(index % 2 === 0 ? frame : Uint8Array.from([1, ...frame]));
    }
    expect(await work).toBe("done");
    await settleFrames();
    expect(systems.at(1).stats().badFrames).toBeGreaterThan(before + 1_500);
    expect(await actor.ping()).toBe("pong");
  });

  const address = { node: "south", id: "1", type: "remote", incarnation: 1 };
  const odd = fc.oneof(
    fc.constantFrom(undefined, null, 0, -1, Number.NaN, "", "1", [], {}, address, { ...address, id: {} }),
    fc.object({ maxDepth: 2 }),
  );
  const kinds = "spawn call cast reply chunk end error cancel credit stop watch unwatch signal nonsense".split(" ");
  const envelope = fc.record(
    {
      kind: fc.constantFrom(...kinds),
      id: fc.oneof(fc.integer({ min: 0, max: 5 }), odd),
      to: odd,
      method: fc.oneof(fc.constantFrom("ping", "constructor", "__proto__"), odd),
      args: fc.oneof(fc.constant([]), odd),
      deadlineMs: odd,
      chain: fc.oneof(fc.constant([]), odd),
      credit: odd,
      count: odd,
      how: fc.constantFrom("stop", "stop soon", undefined),
      timeoutMs: odd,
      options: odd,
      error: odd,
      value: odd,
      sequence: odd,
      end: odd,
    },
    { requiredKeys: ["kind"] },
  );

  test("well-formed frames of nonsense do not either", async () => {
    const unhandled: unknown[] = [];
    const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
    process.on("unhandledRejection", onUnhandled);
    await using opened = await open();
    const { actor, network, systems } = opened;
    const { says } = await stranger(network);
    await fc.assert(
      fc.asyncProperty(fc.array(envelope, { maxLength: 4 }), async (envelopes) => {
        const safe = envelopes.filter(({ kind, to }) => kind !== "stop" || !sameId(to));
        const work = actor.work();
        says(...safe);
        expect(await work).toBe("done");
      }),
      { numRuns: 200 },
    );
    await settleFrames();
    process.off("unhandledRejection", onUnhandled);
    expect(unhandled).toEqual([]);
    expect(systems.at(1).stats().actors).toBe(1);
  });

  test("answers from another node than the one that was asked are ignored", async () => {
    await using opened = await open();
    const { actor, network, systems } = opened;
    const work = actor.work();
    const codec = new Codec();
    const liar = network.join("liar");
    await liar.listen(hearing());
    for (let id = 0; id < 10; id++) liar.send("north", codec.encodeFrame([{ kind: "reply", id, value: "a lie" }]));
    expect(await work).toBe("done");
    expect(systems.at(0).stats().badFrames).toBe(0);
  });
});

function sameId(to: unknown): boolean {
  return typeof to === "object" && to !== null && (to as { id?: unknown }).id === "1";
}

test("a node that cannot be reached is Unavailable at once", async () => {
  await using opened = await open();
  const { actor, systems } = opened;
  const south: ActorSystem = systems.at(1);
  await south.close();
  expect(await caught(actor.ping())).toMatchObject({ code: "Unavailable", retryable: true, data: { node: "south" } });
  const ends: string[] = [];
  systems.at(0).watch(actor, ({ reason, error }) => ends.push(`${reason} ${error?.code}`));
  await settleFrames();
  expect(ends).toEqual(["unknown Unavailable"]);
});
