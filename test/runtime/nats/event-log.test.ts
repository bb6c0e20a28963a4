// The NATS event log keeps the EventLog contract, against a real server.

import { afterAll, beforeAll, describe } from "vitest";
import { DEDUPE_WINDOW_MS } from "../../../runtime/event-log.ts";
import { sleep, systemClock } from "../../../runtime/index.ts";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { openNatsEventLog } from "../../../runtime/nats/event-log.ts";
import { fleetNames } from "../../../runtime/nats/subjects.ts";
import { eventLogContract, KEPT } from "../../contracts/event-log.ts";
import { natsForTests } from "../../support/nats-server.ts";

const nats = natsForTests();
/** Long enough that a busy machine still sees the events that a case has just appended. */
const BRIEF_MS = 4_000;
const MAX_BYTES = 16 * 1024 * 1024;

describe.skipIf(nats.missing !== undefined)(`a real server (${nats.missing ?? "there"})`, () => {
  let connection: Connection;
  beforeAll(async () => {
    connection = await connectNats(nats.options);
  });
  afterAll(() => connection?.close());

  eventLogContract(
    "NATS",
    async (keeping) => {
      const { events: names } = fleetNames(nats.prefix());
      const maxAgeMs = keeping?.isBrief ? BRIEF_MS : KEPT.maxAgeMs;
      const log = await openNatsEventLog({ connection, names, ...KEPT, maxAgeMs, maxBytes: MAX_BYTES });
      const dedupeWindowMs = Math.min(DEDUPE_WINDOW_MS, maxAgeMs);
      return { log, maxAgeMs, dedupeWindowMs, advance: (ms) => sleep(systemClock, ms), close: () => log.close() };
    },
    { runs: 15, isConcurrent: true },
  );
});
