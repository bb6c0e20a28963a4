// `flotilla up`: this machine becomes a fleet of its own: a NATS server as a child, with credentials and a config written for it, and one host
// beside it. What the host is: host.ts.
//
// UP1  The same folder gives the same address, credentials and data: nodes come back to it after a restart.
// UP2  The streams are made by the administrator's identity before any node comes; nodes are given lesser rights.
// UP3  The server ends last. One that ends by itself is started again, for as long as it takes: actors and model servers go on meanwhile.

import { constants } from "node:fs";
import { access, mkdir, readFile, writeFile } from "node:fs/promises";
import { hostname } from "node:os";
import { join } from "node:path";
import type { Command } from "commander";
import { type KeptCredentials, keepCredentials, type NatsServer, startNatsServer } from "../nodes/index.ts";
import { isFlotillaError, prepareFleet, sleep, systemClock } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { addDaemonFlags, type DaemonFlags } from "./daemon-flags.ts";
import { fail } from "./errors.ts";
import { runHost } from "./host.ts";
import { addNodeFlags, chance } from "./node.ts";
import { daemonSettings, type NodeFlags, nodeOptions, type UpFlags, type UpOptions, upOptions } from "./options.ts";
import { plain } from "./paper.ts";
import { aborted } from "./stop-signal.ts";

const NATS_PORT = 4_222;
const AGAIN_MS = 500;
const AGAIN_MAX_MS = 10_000;

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
  await checkFolder(options.folder);
  const credentials = await keepCredentials(options.folder);
  const server = await startServer(options, credentials, prefix, say);
  const leaving = new AbortController();
  const kept = keepRunning(server, say, leaving.signal);
  try {
    const { servers } = server;
    const named = { ...(prefix !== undefined && { prefix }) };
    await prepareFleet({ servers, nkeySeed: credentials.admin.seed, ...named });
    await writeFile(join(options.folder, "port"), `${server.port}\n`);
    const creds = await readFile(credentials.nodeFile, "utf8");
    const welcome = welcomeText(server, credentials, options);
    return await runHost({ ...node, fleet: { servers, creds, ...named }, daemon, welcome }, terminal);
  } finally {
    leaving.abort();
    await kept;
    await server.stop();
  }
}

async function checkFolder(folder: string): Promise<void> {
  try {
    await mkdir(folder, { recursive: true, mode: 0o700 });
    await access(folder, constants.R_OK | constants.W_OK | constants.X_OK);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    const message = `--folder (FLOTILLA_HOME): expected a folder that can be written, ${JSON.stringify(folder)} cannot (${code}).`;
    throw fail("OptionInvalid", message, { data: { option: "folder" } });
  }
}

/** UP3. Resolves when it is left alone. */
async function keepRunning(server: NatsServer, say: (line: string) => void, leaving: AbortSignal): Promise<void> {
  for (;;) {
    await Promise.race([server.ended, aborted(leaving)]);
    if (leaving.aborted) return;
    say(`the NATS server ended by itself: ${server.log.at(-1) ?? "it said nothing"}`);
    await startAgain(server, say, leaving);
  }
}

async function startAgain(server: NatsServer, say: (line: string) => void, leaving: AbortSignal): Promise<void> {
  let told = "";
  for (let pauseMs = 0; !leaving.aborted; pauseMs = Math.min(AGAIN_MAX_MS, pauseMs + AGAIN_MS)) {
    await sleep(systemClock, pauseMs, leaving).catch(() => {});
    try {
      await server.restart();
      return say(`the NATS server is up again at ${server.servers.replace("nats://", "")}`);
    } catch (error) {
      const why = error instanceof Error ? error.message : String(error);
      if (why !== told) say(`the NATS server cannot be started again, and is tried on: ${why}`);
      told = why;
    }
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
    const said = isFlotillaError(error, "NatsServerFailed") ? error.message : "";
    if (/address already in use/.test(said))
      throw fail("OptionInvalid", `--port: ${port} is in use; give another one, or 0 for any free one.`, {
        cause: error,
      });
    if (host !== undefined && /cannot assign requested address|no such host/.test(said))
      throw fail(
        "OptionInvalid",
        `--host: ${host} is no address of this machine; give one that it has, or leave it out.`,
        {
          cause: error,
        },
      );
    throw error;
  });
}

/** UP1 */
async function portBefore(folder: string): Promise<number | undefined> {
  const text = await readFile(join(folder, "port"), "utf8").catch(() => "");
  return /^\d{1,5}$/.test(text.trim()) ? Number(text) : undefined;
}

/** Addresses to listen on that are none to come to. */
const EVERYWHERE: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);

function welcomeText(server: NatsServer, { nodeFile }: KeptCredentials, { folder, host }: UpOptions): string[] {
  const isOpen = host !== undefined && EVERYWHERE.has(host);
  const servers = isOpen ? `nats://${hostname()}:${server.port}` : server.servers;
  return [
    `NATS server at ${server.servers.replace("nats://", "")}, data in ${plain(folder)}`,
    "",
    "More nodes, and scripts, come in with:",
    `  flotilla node --servers ${servers} --creds '${plain(nodeFile)}'`,
    `  export FLOTILLA_SERVERS=${servers} FLOTILLA_CREDS='${plain(nodeFile)}'`,
    "",
  ];
}
