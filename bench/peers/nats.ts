// Raw nats.js as a peer: `request()` answered by a second process, which is what one would write without a framework.
// `node nats.ts URL` is the caller and starts `node nats.ts URL responder` itself.

import { randomBytes } from "node:crypto";
import { connect, type Payload } from "@nats-io/transport-node";
import { drive, driveTimed } from "../load.ts";
import { startProcess } from "../second-process.ts";
import { type Rows, serve } from "./lines.ts";

const SUBJECT = "bench.echo";
const OUTSTANDING = 1_000;
const OUTSTANDING_LARGE = 100;
/** The reply takes the request's own listener, and no stack is captured for each request: its fastest form. */
const REQUEST = { timeout: 30_000, noMux: false };

async function respond(servers: string): Promise<void> {
  const connection = await connect({ servers, noAsyncTraces: true });
  connection.subscribe(SUBJECT, { callback: (_error, message) => void message.respond(message.data) });
  await connection.flush();
  console.log("ready");
  process.stdin.resume().once("end", () => connection.close());
}

async function call(servers: string): Promise<void> {
  await using _responder = await startProcess(import.meta.filename, servers, "responder");
  const connection = await connect({ servers, noAsyncTraces: true });
  const echo = (payload: Payload) => () => connection.request(SUBJECT, payload, REQUEST);
  const [small, kilobyte, large] = [Buffer.from("ok"), randomBytes(1_000), randomBytes(100_000)];
  const rows: Rows = {
    "remote.call.sequential": (ms) => driveTimed(1, ms, echo(small)),
    "remote.call.pipelined": (ms) => drive(OUTSTANDING, ms, echo(small)),
    "remote.echo.1k": (ms) => drive(OUTSTANDING, ms, echo(kilobyte)),
    "remote.echo.100k": (ms) => drive(OUTSTANDING_LARGE, ms, echo(large)),
  };
  await serve({ nats: "@nats-io/transport-node", server: connection.info?.version ?? "unknown" }, rows);
  await connection.close();
}

const [servers = "", role] = process.argv.slice(2);
await (role === "responder" ? respond(servers) : call(servers));
