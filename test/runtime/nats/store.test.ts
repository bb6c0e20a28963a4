// The NATS store keeps the Store contract, against a real server.

import { afterAll, beforeAll, describe } from "vitest";
import { sleep, systemClock } from "../../../runtime/index.ts";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { openNatsStore } from "../../../runtime/nats/store.ts";
import { fleetNames } from "../../../runtime/nats/subjects.ts";
import { storeContract } from "../../contracts/store.ts";
import { natsForTests } from "../../support/nats-server.ts";

const nats = natsForTests();
const MAX_BYTES = 16 * 1024 * 1024;

describe.skipIf(nats.missing !== undefined)(`a real server (${nats.missing ?? "there"})`, () => {
  let connection: Connection;
  beforeAll(async () => {
    connection = await connectNats(nats.options);
  });
  afterAll(() => connection?.close());

  storeContract(
    "NATS",
    async () => {
      const { store: names } = fleetNames(nats.prefix());
      const store = await openNatsStore({ connection, names, maxBytes: MAX_BYTES });
      return { store, advance: (ms) => sleep(systemClock, ms), close: () => store.close() };
    },
    { runs: 20, isConcurrent: true },
  );
});
