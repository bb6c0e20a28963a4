// moleculer over NATS as a peer: two nodes, the action on the other one, so that every call goes through the transporter.
// `node moleculer.ts URL FOLDER` is the caller, with moleculer installed in FOLDER, and starts `… callee` itself.

import { randomBytes } from "node:crypto";
import { createRequire } from "node:module";
import { join } from "node:path";
import { drive, driveTimed } from "../load.ts";
import { beReady, startProcess } from "../second-process.ts";
import { type Rows, serve } from "./lines.ts";

interface Broker {
  start(): Promise<void>;
  stop(): Promise<void>;
  createService(schema: object): void;
  waitForServices(name: string): Promise<void>;
  call(action: string, params: unknown): Promise<unknown>;
}

interface Moleculer {
  readonly ServiceBroker: (new (options: object) => Broker) & { readonly MOLECULER_VERSION: string };
}

const OUTSTANDING = 1_000;
const OUTSTANDING_LARGE = 100;

const [servers = "", folder = "", role] = process.argv.slice(2);
const { ServiceBroker }: Moleculer = createRequire(join(folder, "package.json"))("moleculer");

/** Its defaults, with what costs time and is not needed here off: log lines, the parameter validator, metrics and tracing. */
const broker = new ServiceBroker({
  nodeID: role ?? "caller",
  transporter: servers,
  logger: false,
  validator: false,
  metrics: false,
  tracing: false,
});

async function answer(): Promise<void> {
  broker.createService({
    name: "bench",
    actions: {
      add: (context: { params: { by: number } }) => context.params.by,
      echo: (context: { params: { payload: unknown } }) => context.params.payload,
    },
  });
  await broker.start();
  beReady();
}

async function call(): Promise<void> {
  await startProcess(import.meta.filename, servers, folder, "callee");
  await broker.start();
  await broker.waitForServices("bench");
  const add = () => broker.call("bench.add", { by: 1 });
  const echo = (bytes: number) => {
    // Text, because JSON is what it speaks unless told otherwise; bytes would cost it far more.
    const payload = randomBytes(bytes / 2).toString("hex");
    return () => broker.call("bench.echo", { payload });
  };
  const [kilobyte, large] = [echo(1_000), echo(100_000)];
  const rows: Rows = {
    "remote.call.sequential": (ms) => driveTimed(1, ms, add),
    "remote.call.pipelined": (ms) => drive(OUTSTANDING, ms, add),
    "remote.echo.1k": (ms) => drive(OUTSTANDING, ms, kilobyte),
    "remote.echo.100k": (ms) => drive(OUTSTANDING_LARGE, ms, large),
  };
  await serve({ moleculer: ServiceBroker.MOLECULER_VERSION }, rows);
}

await (role === "callee" ? answer() : call());
