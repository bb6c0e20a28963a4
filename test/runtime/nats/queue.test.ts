// The NATS work queue keeps the WorkQueue contract, against a real server, and loses nothing when the server or a taker is killed.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { sleep, systemClock, systemRandom } from "../../../runtime/index.ts";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { openNatsQueue } from "../../../runtime/nats/queue.ts";
import { NatsStream } from "../../../runtime/nats/stream.ts";
import { fleetNames } from "../../../runtime/nats/subjects.ts";
import type { Delivery } from "../../../runtime/queue.ts";
import { bytes } from "../../contracts/contract.ts";
import { queueContract } from "../../contracts/queue.ts";
import { natsForTests, openNats } from "../../support/nats-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const nats = natsForTests();
const MAX_BYTES = 64 * 1024 * 1024;
const ACK_WAIT_MS = 1_500;

describe.skipIf(nats.missing !== undefined)(`a real server (${nats.missing ?? "there"})`, () => {
  let connection: Connection;
  let second: Connection;
  beforeAll(async () => {
    [connection, second] = await Promise.all([connectNats(nats.options), connectNats(nats.options)]);
  });
  afterAll(() => Promise.all([connection?.close(), second?.close()]));

  const open = async (prefix = nats.prefix(), itemsMax?: number) => {
    const { queue: names } = fleetNames(prefix);
    const options = { names, maxBytes: MAX_BYTES, ackWaitMs: ACK_WAIT_MS, ...(itemsMax && { itemsMax }) };
    const queue = await openNatsQueue({ connection, ...options });
    const other = await openNatsQueue({ connection: second, ...options });
    const close = async () => void (await Promise.all([queue.close(), other.close()]));
    return { queue, other, advance: (ms: number) => sleep(systemClock, ms), close };
  };

  queueContract("NATS", () => open(), {}, true);

  test("an id that is there is a duplicate beyond the server's window, in any kind and lane (Q1)", async () => {
    const { queue: names } = fleetNames(nats.prefix());
    // As after the window: the server has never heard of this id, only of the item.
    const queue = await openNatsQueue({ connection, names, maxBytes: MAX_BYTES });
    await new NatsStream(connection, names, systemRandom).write("k.bulk.a", bytes("a"));
    expect(await queue.put({ id: "a", kind: "other", lane: "interactive", data: bytes("a") })).toBe("duplicate");
    expect(await queue.find("a")).toMatchObject({ kind: "k", lane: "bulk" });
    await queue.close();
  });

  test("refuses an item beyond itemsMax and takes it once there is room", async () => {
    const { queue, close } = await open(nats.prefix(), 2);
    const put = (id: string) => queue.put({ id, kind: "k", lane: "bulk", data: bytes(id) });
    await put("a");
    await put("b");
    await expect(put("c")).rejects.toMatchObject({ code: "StorageFull", retryable: true });
    await queue.remove("a");
    expect(await put("c")).toBe("accepted");
    await close();
  });
});

describe.skipIf(nats.missing !== undefined)("kill -9", () => {
  test("of the server during puts and takes: nothing that was accepted is lost", async () => {
    await using server = await openNats();
    const connection = await connectNats(server.options);
    const names = fleetNames().queue;
    const queue = await openNatsQueue({ connection, names, maxBytes: MAX_BYTES, ackWaitMs: ACK_WAIT_MS });
    const taken = new Set<string>();
    const take = (delivery: Delivery) => {
      taken.add(delivery.id);
      delivery.ack();
    };
    await queue.consume(take, { maxInFlight: 16 }).add("k");
    const accepted: string[] = [];
    let isOver = false;
    const putting = (async () => {
      for (let at = 0; !isOver; at++) {
        const id = `i${at}`;
        const put = queue.put({ id, kind: "k", lane: at % 2 ? "bulk" : "interactive", data: bytes(id) });
        await put.then(
          () => accepted.push(id),
          () => sleep(systemClock, 20),
        );
      }
    })();
    for (let round = 1; round <= 2; round++) {
      await waitUntil("items flow", () => taken.size > round * 100);
      await server.kill();
      await server.restart();
      await connection.whenConnected();
    }
    await waitUntil("items flow again", () => taken.size > 400);
    isOver = true;
    await putting;
    await waitUntil("all that was accepted is taken", () => accepted.every((id) => taken.has(id)), 15_000);
    await queue.close();
    await connection.close();
  });

  test("of a taker: what it had in hand comes to another", async () => {
    await using server = await openNats();
    const [doomed, connection] = await Promise.all([connectNats(server.options), connectNats(server.options)]);
    const options = { names: fleetNames().queue, maxBytes: MAX_BYTES, ackWaitMs: ACK_WAIT_MS };
    const theirs = await openNatsQueue({ connection: doomed, ...options });
    const ours = await openNatsQueue({ connection, ...options });
    const ids = Array.from({ length: 20 }, (_, at) => `i${at}`);
    await Promise.all(ids.map((id) => ours.put({ id, kind: "k", lane: "bulk", data: bytes(id) })));
    const held: string[] = [];
    await theirs.consume(({ id }) => held.push(id), { maxInFlight: 10 }).add("k");
    await waitUntil("the taker has its hands full", () => held.length >= 10);
    await doomed.nc.close();
    const taken = new Map<string, number>();
    await ours
      .consume(
        (delivery) => {
          taken.set(delivery.id, delivery.delivery);
          delivery.ack();
        },
        { maxInFlight: 4 },
      )
      .add("k");
    await waitUntil("all come", () => taken.size === ids.length);
    for (const id of held) expect(taken.get(id), id).toBe(2);
    await Promise.all([connection.close(), doomed.close()]);
  });
});
