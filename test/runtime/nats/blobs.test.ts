// The NATS blobs keep the Blobs contract, against a real server.

import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { systemRandom } from "../../../runtime/index.ts";
import { type NatsBlobs, openNatsBlobs } from "../../../runtime/nats/blobs.ts";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { NatsStream } from "../../../runtime/nats/stream.ts";
import { fleetNames } from "../../../runtime/nats/subjects.ts";
import { blobsContract } from "../../contracts/blobs.ts";
import { natsForTests } from "../../support/nats-server.ts";

const nats = natsForTests();
const NAME = createHash("sha256").update(new Uint8Array(600_000).fill(9)).digest("hex");

describe.skipIf(nats.missing !== undefined)(`a real server (${nats.missing ?? "there"})`, () => {
  let connection: Connection;
  beforeAll(async () => {
    connection = await connectNats(nats.options);
  });
  afterAll(() => connection?.close());

  blobsContract("NATS", async () => {
    const { blobs: names } = fleetNames(nats.prefix());
    const blobs = await openNatsBlobs({ connection, names, blobMaxBytes: 2_000_000, maxBytes: 32 * 1024 * 1024 });
    return { blobs, close: () => blobs.close() };
  });

  test("puts, gets and deletions of one blob at once never leave a record without its bytes, nor bytes without a record", async () => {
    const { blobs: names } = fleetNames(nats.prefix());
    const other = await connectNats(nats.options);
    const forms = await Promise.all(
      [connection, other].map((each) => openNatsBlobs({ connection: each, names, maxBytes: 32 * 1024 * 1024 })),
    );
    const form = (at: number) => forms[at % 2] as NatsBlobs;
    const content = new Uint8Array(600_000).fill(9);
    for (let round = 0; round < 8; round++) {
      const uses = Array.from({ length: 12 }, (_, at) => {
        if (at % 3 === 0) return form(at).delete(NAME);
        return at % 3 === 1 ? form(at).put(content) : form(at).get(NAME);
      });
      for (const got of await Promise.all(uses)) if (got instanceof Uint8Array) expect(got).toHaveLength(600_000);
      expect(await form(0).put(content)).toBe(NAME);
      expect((await form(1).get(NAME))?.every((byte) => byte === 9)).toBe(true);
      await form(round).delete(NAME);
      const stream = new NatsStream(connection, names, systemRandom);
      expect(await stream.first(`${NAME}.*`, 1)).toBeUndefined();
    }
    await other.close();
  });
});
