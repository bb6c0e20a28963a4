// Raw nats.js as a peer: `request()` answered by a second process, which is what one would write without a framework.
// `node nats.ts URL` is the caller and starts `node nats.ts URL responder` itself.

import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { connect, type Payload } from "@nats-io/transport-node";
import { drive, driveTimed } from "../load.ts";
import { beReady, startProcess } from "../second-process.ts";
import { type Rows, serve } from "./lines.ts";
import { loginOf } from "./login.ts";

const { version } = createRequire(import.meta.url)("@nats-io/transport-node/package.json");
const SUBJECT = "bench.echo";
const OUTSTANDING = 1_000;
const OUTSTANDING_LARGE = 100;
const REQUEST = { timeout: 30_000 };

/** No stack is captured for each request: nats.js's fastest form. */
const dial = (servers: string) => connect({ ...loginOf(servers), noAsyncTraces: true });

async function respond(servers: string): Promise<void> {
  const connection = await dial(servers);
  connection.subscribe(SUBJECT, { callback: (_error, message) => void message.respond(message.data) });
  await connection.flush();
  beReady();
}

async function call(servers: string): Promise<void> {
  await startProcess(import.meta.filename, servers, "responder");
  const connection = await dial(servers);
  const echo = (payload: Payload) => () => connection.request(SUBJECT, payload, REQUEST);
  const [small, kilobyte, large] = [Buffer.from("ok"), randomBytes(1_000), randomBytes(100_000)];
  const rows: Rows = {
    "remote.call.sequential": (ms) => driveTimed(1, ms, echo(small)),
    "remote.call.pipelined": (ms) => drive(OUTSTANDING, ms, echo(small)),
    "remote.echo.1k": (ms) => drive(OUTSTANDING, ms, echo(kilobyte)),
    "remote.echo.100k": (ms) => drive(OUTSTANDING_LARGE, ms, echo(large)),
  };
  await serve({ nats: version, "nats-server": connection.info?.version ?? "unknown" }, rows);
}

const [servers = "", role] = process.argv.slice(2);
await (role === "responder" ? respond(servers) : call(servers));
