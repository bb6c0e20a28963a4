// `flotilla up`: this machine becomes a fleet of its own: a NATS server as a child, with credentials and a config written for it, and one host
// beside it. What the host is: host.ts.
//
// UP1  The same folder gives the same address, credentials and data: nodes come back to it after a restart.
// UP2  The streams are made by the administrator's identity before any node comes; nodes are given lesser rights.
// UP3  The server ends last.

import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { type KeptCredentials, keepCredentials, type NatsServer, startNatsServer } from "../nodes/index.ts";
import { isFlotillaError, prepareFleet } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { addDaemonFlags, type DaemonFlags } from "./daemon-flags.ts";
import { fail } from "./errors.ts";
import { durabilityText } from "./fleet-text.ts";
import { runHost } from "./host.ts";
import { addNodeFlags, chance } from "./node.ts";
import { daemonSettings, type NodeFlags, nodeOptions, type UpFlags, type UpOptions, upOptions } from "./options.ts";
import { plain } from "./paper.ts";

const NATS_PORT = 4_222;

export function addUpCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const command = program
    .command("up")
    .description("make this machine a fleet: a NATS server with credentials of its own, and one node")
    .option("--folder <path>", "for its data, config and credentials (FLOTILLA_HOME; default: ~/.flotilla)")
    .option("--port <number>", `port of the NATS server (default: ${NATS_PORT}; 0: any free one)`)
    .option("--host <address>", "address the NATS server listens on, for other machines (default: 127.0.0.1)")
    .option(
      "--durable",
      "sync before every acknowledgement: a power cut loses nothing, writes are about ten times slower",
    )
    .option("--prefix <name>", "begins the fleet's names on the server (FLOTILLA_PREFIX; default: flotilla)");
  addDaemonFlags(addNodeFlags(command)).action(async (flags: UpFlags & NodeFlags & DaemonFlags) =>
    done(await upCommand(flags, terminal)),
  );
}

async function upCommand(flags: UpFlags & NodeFlags & DaemonFlags, terminal: Terminal): Promise<number> {
  const options = upOptions(flags);
  // A slip of the pen is told before anything is started.
  const daemon = daemonSettings(flags);
  const node = nodeOptions({ ...flags, servers: "nats://127.0.0.1" }, chance());
  const say = (line: string) => void terminal.err.write(`flotilla: ${plain(line)}\n`);
  const { prefix } = node.fleet;
  const credentials = await keepCredentials(options.folder);
  const server = await startServer(options, credentials, prefix, say);
  try {
    const { servers } = server;
    const kept = { ...(prefix !== undefined && { prefix }) };
    await prepareFleet({ servers, nkeySeed: credentials.admin.seed, ...kept });
    await writeFile(join(options.folder, "port"), `${server.port}\n`);
    const creds = await readFile(credentials.nodeFile, "utf8");
    const welcome = welcomeText(server, credentials, options);
    return await runHost({ ...node, fleet: { servers, creds, ...kept }, daemon, welcome }, terminal);
  } finally {
    await server.stop();
  }
}

async function startServer(
  { folder, mode, host, port: wanted }: UpOptions,
  credentials: KeptCredentials,
  prefix: string | undefined,
  say: (line: string) => void,
): Promise<NatsServer> {
  const port = wanted ?? (await portBefore(folder)) ?? NATS_PORT;
  const more = { ...(prefix !== undefined && { prefix }), ...(host !== undefined && { host }) };
  return startNatsServer({ folder, mode, port, credentials, say, ...more }).catch((error: unknown) => {
    throw isFlotillaError(error, "NatsServerFailed") && /address already in use/.test(error.message)
      ? fail("OptionInvalid", `--port: ${port} is in use; give another one, or 0 for any free one.`, { cause: error })
      : error;
  });
}

/** UP1 */
async function portBefore(folder: string): Promise<number | undefined> {
  const text = await readFile(join(folder, "port"), "utf8").catch(() => "");
  return /^\d{1,5}$/.test(text.trim()) ? Number(text) : undefined;
}

function welcomeText(server: NatsServer, { nodeFile }: KeptCredentials, { folder, mode }: UpOptions): string[] {
  return [
    `NATS server at ${server.servers.replace("nats://", "")}, data in ${plain(folder)}`,
    durabilityText({ durability: mode, replicas: 1 }),
    "",
    "More nodes, and scripts, come in with:",
    `  flotilla node --servers ${server.servers} --creds '${plain(nodeFile)}'`,
    `  export FLOTILLA_SERVERS=${server.servers} FLOTILLA_CREDS='${plain(nodeFile)}'`,
    "",
  ];
}
