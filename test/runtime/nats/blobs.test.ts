// The NATS blobs keep the Blobs contract, against a real server.

import { afterAll, beforeAll, describe } from "vitest";
import { openNatsBlobs } from "../../../runtime/nats/blobs.ts";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { fleetNames } from "../../../runtime/nats/subjects.ts";
import { blobsContract } from "../../contracts/blobs.ts";
import { natsForTests } from "../../support/nats-server.ts";

const nats = natsForTests();

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
});
