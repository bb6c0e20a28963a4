// The list of bad input on a fleet over a real server: each is a typed error that says what to do, and disturbs nobody else.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ActorSystem, type ConnectOptions, connect, defineActor, systemClock } from "../../runtime/index.ts";
import { caught, codeOf } from "../support/caught.ts";
import { natsForTests, openNats } from "../support/nats-server.ts";
import { pausableClock } from "../support/pausable-clock.ts";
import { greetAsNats, listenTcp } from "../support/tcp-listener.ts";
import { waitUntil } from "../support/wait-until.ts";

const nats = natsForTests();

const Store = defineActor(
  "store",
  class {
    give(bytes: number): Uint8Array {
      return new Uint8Array(bytes);
    }
    take(...values: unknown[]): number {
      return values.length;
    }
    async *chunks(...sizes: number[]) {
      for (const size of sizes) yield new Uint8Array(size);
    }
    fail(bytes: number): never {
      throw new Error("x".repeat(bytes));
    }
    giveFunction(): unknown {
      return { deep: [{ call: () => 1 }] };
    }
  },
);
const Local = defineActor("local-only", class {});

const MB = 1024 * 1024;
const TOO_LARGE = 65 * MB;

describe.skipIf(nats.missing !== undefined)(
  `on a real server (${nats.missing ?? "there"})`,
  { timeout: 30_000 },
  () => {
    const prefix = nats.prefix();
    const hostClock = pausableClock(systemClock);
    let host: ActorSystem;
    let driver: ActorSystem;
    const open = (name: string, more: ConnectOptions = {}) =>
      connect({ ...nats.options, prefix, lease: "fast", name, ...more });
    beforeAll(async () => {
      driver = await open("driver");
      host = await open("host", { accepts: true, actors: [Store], clock: hostClock });
    });
    afterAll(async () => {
      await hostClock.resume();
      await driver?.close();
      await host?.close();
    });

    describe.concurrent("a server that is", () => {
      test("not there, no NATS server, too old, or too small for our messages", async () => {
        await using old = await listenTcp(greetAsNats("2.10.0"));
        await using small = await listenTcp(greetAsNats("2.15.2", 65_536));
        await using other = await listenTcp((socket) => void socket.write("HTTP/1.1 400 Bad Request\r\n\r\n"));
        const gone = await listenTcp(() => {});
        await gone[Symbol.asyncDispose]();
        const refusals = await Promise.all(
          [gone, other, old, small].map(({ port }) => caught(connect({ servers: `nats://127.0.0.1:${port}` }))),
        );
        expect(refusals.map(({ code }) => code)).toEqual([
          "ServerUnreachable",
          "ServerNotNats",
          "ServerTooOld",
          "ServerPayloadSmall",
        ]);
        for (const [at, { message }] of refusals.entries())
          expect(message).toContain(String([gone, other, old, small][at]?.port));
        expect(refusals[3]).toMatchObject({
          data: { maxBytes: 65_536 },
          message: expect.stringMatching(/max_payload/),
        });
      });

      test("protected: the user is told who was refused where, and no secret", async () => {
        const { servers, user } = nats.options;
        for (const more of [{}, { user, pass: "hush-hush" }, { token: "hush-hush" }]) {
          const error = await caught(connect({ servers, ...more }));
          expect(error).toMatchObject({ code: "ServerRefused", retryable: false });
          expect(error.message).toContain(servers.replace("nats://", ""));
          expect(`${error.message} ${String(error.cause)}`).not.toMatch(/hush/);
        }
      });

      test("without JetStream", async () => {
        await using bare = await openNats({ hasJetStream: false });
        expect(await codeOf(connect(bare.options))).toBe("ServerWithoutJetStream");
      });

      test("full: submit and publish say so, calls go on", async () => {
        await using full = await openNats({ storageMaxBytes: 4 * MB });
        const error = await caught(connect({ ...full.options, prefix: "f" }));
        // Its streams want more than it has: nothing is begun that could not be kept.
        expect(error).toMatchObject({ code: expect.stringMatching(/^StorageFull$|^ServerFailed$|^StreamDiffers$/) });
        expect(error.message).toMatch(/storage|resource|bytes/i);
      });

      test("gone: calls fail at once, and work again when it is back", async () => {
        await using server = await openNats();
        const options = { ...server.options, lease: "fast" } as const;
        const far = await connect({ ...options, name: "far", accepts: true, actors: [Store] });
        const near = await connect({ ...options, name: "near" });
        const store = await near.spawn(Store);
        await server.kill();
        const begunMs = performance.now();
        await waitUntil("the loss is noticed", async () => (await store.take().catch(() => "lost")) === "lost", 8_000);
        expect(await codeOf(store.take())).toBe("Unavailable");
        expect(await codeOf(near.spawn(Store))).toBe("Unavailable");
        expect(await codeOf(near.submit(Store, "take"))).toBe("Unavailable");
        expect(await codeOf(near.publish("t", 1))).toBe("Unavailable");
        expect(performance.now() - begunMs).toBeLessThan(8_000);
        await server.restart();
        await waitUntil(
          "calls work again",
          async () => (await near.spawn(Store).catch(() => undefined)) !== undefined,
          15_000,
        );
        await near.close();
        await far.close();
      });
    });

    describe("actors", () => {
      test("of a type that the fleet does not know, or that the node named does not", async () => {
        const anywhere = await caught(driver.spawn(Local));
        const there = await caught(driver.spawn(Local, { node: host.node }));
        for (const error of [anywhere, there]) {
          expect(error.code).toBe("Unplaceable");
          expect(error.message).toMatch(/does not know the type local-only; it knows store/);
        }
        expect(await codeOf(driver.spawn(Store, { node: "nowhere" }))).toBe("Unplaceable");
      });

      test("whose name is taken: by a live one at once, by a silent one with word since when, and it may be retried", async () => {
        const silent = pausableClock(systemClock);
        const old = await open("silent", { accepts: true, actors: [Store], clock: silent });
        await driver.spawn(Store, { name: "taken", node: "host" });
        await driver.spawn(Store, { name: "held", node: "silent" });
        expect(await caught(driver.spawn(Store, { name: "taken" }))).toMatchObject({
          code: "NameTaken",
          retryable: false,
          message: expect.stringMatching(/"taken" is held by store\/\d+@host-/),
        });
        silent.pause();
        const codes = new Set<string>();
        await waitUntil(
          "the name is free again, or says why not",
          async () => {
            const error = await driver.spawn(Store, { name: "held", node: "host" }).then(
              () => undefined,
              (reason) => reason,
            );
            if (error !== undefined) codes.add(error.code);
            return error === undefined;
          },
          15_000,
        );
        expect([...codes].filter((code) => code !== "NameTaken")).toEqual([]);
        await silent.resume();
        await old.close();
        // Or the next test's actor may be placed on it.
        await waitUntil("it is seen to leave", () => !driver.nodes().some(({ name }) => name === "silent"));
      });
    });

    describe("what is sent", () => {
      // Copying 65 MB may hold up a busy process for longer than a fast lease allows; and nobody else's nodes are here.
      let sender: ActorSystem;
      let taker: ActorSystem;
      beforeAll(async () => {
        const own = { ...nats.options, prefix: nats.prefix(), lease: "normal" } as const;
        sender = await connect({ ...own, name: "sender" });
        taker = await connect({ ...own, name: "taker", accepts: true, actors: [Store] });
        await waitUntil("the taker is seen", () => sender.nodes().some(({ name }) => name === "taker"));
      });
      afterAll(async () => {
        await sender?.close();
        await taker?.close();
      });

      test("and cannot be encoded is named by its path, in both directions, and nothing else is lost", async () => {
        const store = await sender.spawn(Store);
        const results = await Promise.allSettled([
          store.take(1),
          store.take({ list: [0, { call: () => 1 }] }),
          store.giveFunction(),
          store.take(2, new Map([["key", Symbol("s")]])),
          sender.spawn(Store, { args: [{ on: () => 1 }] as never }),
          sender.submit(store, "take", [[() => 1]]),
          sender.publish("t", { on: Promise.resolve() }),
          store.take(3),
        ]);
        const shown = results.map((result) => (result.status === "fulfilled" ? result.value : result.reason.message));
        expect(shown).toEqual([
          1,
          "args[0].list[1].call cannot be sent: it is a function",
          "result.deep[0].call cannot be sent: it is a function",
          "args[1].values[0] cannot be sent: it is a symbol",
          "args[0].on cannot be sent: it is a function",
          "args[0][0] cannot be sent: it is a function",
          "event.on cannot be sent: it is a Promise",
          1,
        ]);
      });

      test("or answered and is too large says how large and how much fits; everybody else's calls go on", async () => {
        const store = await sender.spawn(Store, { concurrency: 100 });
        const others = Array.from({ length: 20 }, () => store.take(new Uint8Array(600_000)));
        const errors = [await caught(store.give(TOO_LARGE)), await caught(store.take(new Uint8Array(TOO_LARGE)))];
        for (const error of errors) {
          expect(error).toMatchObject({ code: "PayloadTooLarge", retryable: false });
          expect(error.message).toMatch(/^the (result|argument list) has 68\d{6} bytes; at most 67\d{6} fit$/);
        }
        expect(await Promise.all(others)).toEqual(Array.from({ length: 20 }, () => 1));
        const bytes = await store.give(5 * MB);
        expect(bytes).toHaveLength(5 * MB);
        expect(await codeOf(sender.publish("t", new Uint8Array(MB)))).toBe("ValueTooLarge");
        expect(await codeOf(sender.submit(store, "take", [new Uint8Array(TOO_LARGE)]))).toBe("ValueTooLarge");
      });
    });
  },
);
