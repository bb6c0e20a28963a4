// Store and log while their server is killed, stopped or full: nothing acknowledged is lost, nothing is seen twice, everything goes on.

import { describe, expect, test } from "vitest";
import type { Appended } from "../../../runtime/event-log.ts";
import { isFlotillaError } from "../../../runtime/index.ts";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { openNatsEventLog } from "../../../runtime/nats/event-log.ts";
import { openNatsStore } from "../../../runtime/nats/store.ts";
import { fleetNames } from "../../../runtime/nats/subjects.ts";
import { type Change, listEntries, type Store } from "../../../runtime/store.ts";
import { bytes, text } from "../../contracts/contract.ts";
import { revisionOf } from "../../contracts/store-form.ts";
import { natsMissing, openNats, type TestServer } from "../../support/nats-server.ts";
import { pauseProcess } from "../../support/paused-process.ts";
import { waitUntil } from "../../support/wait-until.ts";

const missing = natsMissing();
const MAX_BYTES = 16 * 1024 * 1024;
const names = fleetNames("t");

async function openBoth(connection: Connection) {
  const store = await openNatsStore({ connection, names: names.store, maxBytes: MAX_BYTES });
  const log = await openNatsEventLog({ connection, names: names.events, maxBytes: MAX_BYTES });
  return { store, log };
}

const isUnavailable = (error: unknown) => isFlotillaError(error, "Unavailable");

/** Calls `run` until the server is there. */
async function untilAvailable<T>(run: () => Promise<T>): Promise<T> {
  const done = await waitUntil("the server is back", () =>
    run().then(
      (value) => ({ value }),
      (error) => {
        if (isUnavailable(error)) return undefined;
        throw error;
      },
    ),
  );
  return done.value;
}

/** Collects what an iteration gives until it ends. */
function collect<T>(items: AsyncIterable<T>): { readonly seen: T[]; readonly end: Promise<void> } {
  const seen: T[] = [];
  const end = (async () => {
    for await (const item of items) seen.push(item);
  })();
  return { seen, end };
}

/** What a reader of these changes believes is in the store. */
function believed(changes: readonly Change[]): Map<string, string | undefined> {
  const keys = new Map<string, string | undefined>();
  for (const change of changes) {
    if (change.kind === "put") keys.set(change.entry.key, text(change.entry.value));
    else if (change.kind === "gone") keys.delete(change.key);
  }
  return keys;
}

const listed = async (store: Store) =>
  new Map((await listEntries(store, ">")).map(({ key, value }) => [key, text(value)]));

async function killAndRestart(server: TestServer, connection: Connection): Promise<void> {
  await server.kill();
  await waitUntil("the loss is seen", () => !connection.isConnected);
  await server.restart();
  await waitUntil("the return is seen", () => connection.isConnected);
}

describe.skipIf(missing !== undefined)(`outages (${missing ?? "there is a server"})`, { concurrent: true }, () => {
  test("three kill -9 during writes: acknowledged events stay, a follower sees each once, a watch the last word", async () => {
    await using server = await openNats();
    const [connection, other] = await Promise.all([connectNats(server.options), connectNats(server.options)]);
    const { store, log } = await openBoth(connection);
    const reading = await openBoth(other);
    const follower = collect(reading.log.follow("job.*", 1));
    const watch = collect(reading.store.watch(">"));
    await store.create("lease", bytes("x"), { ttlMs: 1_000 });
    const acknowledged = new Set<number>();
    let isWriting = true;
    const write = async (lane: number) => {
      for (let at = 0; isWriting; at++) {
        const appended = await untilAvailable(() =>
          log.append(`job.${lane}`, bytes(String(at)), { id: `${lane}-${at}` }),
        );
        if (appended.kind === "appended") acknowledged.add(appended.sequence);
        await untilAvailable(() => store.create(`key.${lane}.${at % 10}`, bytes(String(at))));
      }
    };
    const writers = [0, 1, 2, 3].map(write);
    for (let round = 0; round < 3; round++) {
      const before = acknowledged.size;
      await waitUntil("events are appended", () => acknowledged.size > before + 50);
      await killAndRestart(server, connection);
    }
    isWriting = false;
    await Promise.all(writers);
    await waitUntil("the lease expires", async () => (await store.get("lease")) === undefined);
    const kept: number[] = [];
    for (let page = await log.read(">", 1, 10_000); page.length > 0; ) {
      kept.push(...page.map(({ sequence }) => sequence));
      page = await log.read(">", (kept.at(-1) ?? 0) + 1, 10_000);
    }
    expect(kept).toEqual([...acknowledged].sort((a, b) => a - b));
    await waitUntil("the follower has caught up", () => follower.seen.at(-1)?.sequence === kept.at(-1));
    expect(follower.seen.map(({ sequence }) => sequence)).toEqual(kept);
    const truth = await listed(store);
    await waitUntil("the watch has caught up", () => believed(watch.seen).size === truth.size);
    expect(believed(watch.seen)).toEqual(truth);
    expect(watch.seen.filter(({ kind }) => kind === "ready")).toHaveLength(1);
    await Promise.all([reading.store.close(), reading.log.close()]);
    await Promise.all([watch.end, follower.end]);
    await Promise.all([connection.close(), other.close()]);
  });

  test("a key that expires while the server is down is told as gone, and a key that lives on is not", async () => {
    await using server = await openNats();
    const connection = await connectNats(server.options);
    const { store } = await openBoth(connection);
    const watch = collect(store.watch(">"));
    await store.create("stays", bytes("x"));
    await store.create("goes", bytes("x"), { ttlMs: 1_000 });
    await waitUntil("both are seen", () => believed(watch.seen).size === 2);
    await killAndRestart(server, connection);
    await waitUntil("the expiry is told", () => believed(watch.seen).size === 1);
    expect([...believed(watch.seen).keys()]).toEqual(["stays"]);
    await store.close();
    await watch.end;
    await connection.close();
  });

  test("writes whose answers were lost are done once, and say so", async () => {
    await using server = await openNats();
    const connection = await connectNats(server.options);
    const { store, log } = await openBoth(connection);
    const fence = { key: "name", revision: revisionOf(await store.create("name", bytes("me"))) };
    // The requests lie in the stopped server's buffers; it answers them all when it goes on, the first to nobody.
    await pauseProcess(server.pid);
    const sequenceOf = (appended: Appended) => (appended.kind === "appended" ? appended.sequence : appended);
    const asked = Promise.all([
      log.append("a", bytes("plain")),
      log.append("a.first", bytes("expects nothing"), { expectedSequence: 0 }),
      log.append("a.id", bytes("both"), { id: "x", expectedSequence: 0 }),
      store.create("k", bytes("1")),
      store.putFenced("state", bytes("1"), fence),
    ]);
    const startMs = performance.now();
    await waitUntil("the first attempts have ended", () => performance.now() - startMs > 2_400);
    process.kill(server.pid, "SIGCONT");
    const [plain, first, both, created, fenced] = await asked;
    expect([plain, first, both].map(sequenceOf)).toEqual([1, 2, 3]);
    expect(await log.read(">", 1, 10)).toHaveLength(3);
    expect(created).toEqual({ kind: "written", revision: (await store.get("k"))?.revision });
    expect(fenced.kind).toBe("written");
    expect(await store.create("k", bytes("2"))).toMatchObject({ kind: "conflict" });
    await connection.close();
  });

  test("a full bucket refuses new keys, lets leases be renewed and keys deleted, and keeps what it had", async () => {
    await using server = await openNats({ storageMaxBytes: 8 * 1024 * 1024 });
    const connection = await connectNats(server.options);
    const open = (prefix: string, maxBytes: number) =>
      openNatsStore({ connection, names: fleetNames(prefix).store, maxBytes });
    await expect(open("large", 9 * 1024 * 1024)).rejects.toMatchObject({ code: "StorageFull", retryable: true });
    const store = await open("small", 1024 * 1024);
    const lease = revisionOf(await store.create("lease", bytes("me"), { ttlMs: 60_000 }));
    const revisions: number[] = [];
    const fill = async () => {
      for (;;) revisions.push(revisionOf(await store.create(`k.${revisions.length}`, new Uint8Array(50_000))));
    };
    await expect(fill()).rejects.toMatchObject({ code: "StorageFull", retryable: true });
    expect(revisions.length).toBeGreaterThan(10);
    expect(await listEntries(store, "k.*")).toHaveLength(revisions.length);
    revisionOf(await store.update("lease", bytes("me"), lease, { ttlMs: 60_000 }));
    revisionOf(await store.delete("k.0", revisions[0] ?? 0));
    revisionOf(await store.create("new", new Uint8Array(50_000)));
    const log = await openNatsEventLog({ connection, names: names.events, maxBytes: 1024 * 1024 });
    expect((await log.append("a", bytes("x"))).kind).toBe("appended");
    await connection.close();
  });
});
