// Streams are made once, accepted by everybody, mended where that is allowed, and named where they are wrong.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { openNatsEventLog } from "../../../runtime/nats/event-log.ts";
import { differencesOf } from "../../../runtime/nats/provision.ts";
import { openNatsStore } from "../../../runtime/nats/store.ts";
import { fleetNames } from "../../../runtime/nats/subjects.ts";
import { listEntries } from "../../../runtime/store.ts";
import { bytes } from "../../contracts/contract.ts";
import { revisionOf } from "../../contracts/store-form.ts";
import { caught } from "../../support/caught.ts";
import { natsMissing, openNats, type TestServer } from "../../support/nats-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const missing = natsMissing();
const MAX_BYTES = 1024 * 1024;
const names = fleetNames("t");

test("differences are told field by field; what the server leaves out counts as false or zero", () => {
  const shape = {
    subjects: ["a.>"],
    storage: "file",
    allow_direct: true,
    deny_delete: false,
    republish: { dest: "b" },
  };
  expect(
    differencesOf(shape, {
      subjects: ["a.>"],
      storage: "file",
      allow_direct: true,
      republish: { dest: "b", src: "a" },
    }),
  ).toEqual([]);
  expect(differencesOf(shape, { subjects: ["a.>", "c"], storage: "memory", allow_direct: true })).toEqual([
    'subjects is ["a.>","c"], expected ["a.>"]',
    'storage is "memory", expected "file"',
    'republish is undefined, expected {"dest":"b"}',
  ]);
});

test("a prefix that cannot be part of a stream's name is refused", () => {
  for (const prefix of ["", "a.b", "a b", "x".repeat(33), "a>"]) {
    expect(() => fleetNames(prefix), prefix).toThrow(expect.objectContaining({ code: "InvalidOption" }));
  }
  expect(fleetNames().store.stream).toBe("KV_flotilla_store");
});

/** Adds user "guest", who may use streams but not make or change them, and has the server read its config again. */
async function addGuest(server: TestServer): Promise<void> {
  const path = join(server.folder, "nats-server.conf");
  const deny = ["CREATE", "UPDATE", "DELETE"].map((verb) => `"$JS.API.STREAM.${verb}.>"`).join(", ");
  const users = [
    `{ user: flotilla, password: ${JSON.stringify(server.pass)} }`,
    `{ user: guest, password: guest, permissions: { publish: { allow: ">", deny: [${deny}] }, subscribe: ">" } }`,
  ].join(", ");
  const config = (await readFile(path, "utf8")).replace(/^authorization .*$/m, `authorization { users: [${users}] }`);
  await writeFile(path, config);
  process.kill(server.pid, "SIGHUP");
}

describe.skipIf(missing !== undefined)(`a real server (${missing ?? "there"})`, () => {
  test("ten at once get one stream, and later ones with other limits too", async () => {
    await using server = await openNats({ mode: "durable" });
    const connection = await connectNats(server.options);
    const open = (maxBytes: number) => openNatsStore({ connection, names: names.store, maxBytes });
    const stores = await Promise.all(Array.from({ length: 10 }, () => open(MAX_BYTES)));
    revisionOf(await (stores[0] ?? (await open(MAX_BYTES))).create("k", bytes("1")));
    for (const store of [...stores, await open(2 * MAX_BYTES)]) {
      expect(await store.get("k")).toBeDefined();
      expect(store.provision).toMatchObject({ durability: "durable", replicas: 1 });
    }
    await connection.close();
  });

  test("who may not make streams is told so at once, and uses those that are there", async () => {
    await using server = await openNats();
    const owner = await connectNats(server.options);
    await addGuest(server);
    const guestOptions = { servers: server.servers, user: "guest", pass: "guest" };
    const guest = await waitUntil("the guest is let in", () => connectNats(guestOptions).catch(() => undefined));
    const open = (connection: Connection) => openNatsStore({ connection, names: names.store, maxBytes: MAX_BYTES });
    const startMs = performance.now();
    expect(await caught(open(guest))).toMatchObject({ code: "ServerRefused", retryable: false });
    expect(performance.now() - startMs).toBeLessThan(1_500);
    await waitUntil("the owner is back", () => owner.isConnected);
    await open(owner);
    const store = await open(guest);
    revisionOf(await store.create("k", bytes("1")));
    expect(await listEntries(store, ">")).toHaveLength(1);

    // A stream of the same name that is none of ours: the guest may not mend it, the owner may.
    const wrong = { name: names.events.stream, subjects: ["elsewhere.>"], storage: "file", num_replicas: 1 };
    await owner.ask("make", `$JS.API.STREAM.CREATE.${wrong.name}`, bytes(JSON.stringify(wrong)));
    const openLog = (connection: Connection) =>
      openNatsEventLog({ connection, names: names.events, maxBytes: MAX_BYTES });
    const error = await caught(openLog(guest));
    expect(error.code).toBe("StreamDiffers");
    expect(error.message).toContain(`subjects is ["elsewhere.>"], expected ["t.events.>"]`);
    expect((await (await openLog(owner)).append("a", bytes("1"))).kind).toBe("appended");
    expect(await (await openLog(guest)).read("a", 1, 1)).toHaveLength(1);

    // What cannot be changed at all is named to the owner too.
    const memory = { name: names.results.stream, subjects: ["t.results.>"], storage: "memory", num_replicas: 1 };
    await owner.ask("make", `$JS.API.STREAM.CREATE.${memory.name}`, bytes(JSON.stringify(memory)));
    const refused = openNatsEventLog({ connection: owner, names: names.results, maxBytes: MAX_BYTES });
    expect((await caught(refused)).message).toContain('storage is "memory", expected "file"');
    await Promise.all([owner.close(), guest.close()]);
  });
});
