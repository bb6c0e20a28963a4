// `flotilla server`: a nats-server in the foreground, for those who have none. What it is made of: nodes/nats-server.ts.
//
// SV1  Its address with the password lies in a file that only its owner can read, and is printed nowhere.
// SV2  The same folder gives the same address and the same data, so nodes come back to it after a restart.

import { existsSync, readFileSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import type { Command } from "commander";
import { startNatsServer } from "../nodes/index.ts";
import { isFlotillaError } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { fail } from "./errors.ts";
import { durabilityText } from "./fleet-text.ts";
import { type ServerFlags, type ServerOptions, serverOptions } from "./options.ts";
import { plain } from "./paper.ts";
import { aborted } from "./stop-signal.ts";

export function addServerCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  program
    .command("server")
    .description("run a NATS server for a fleet on this machine, in the foreground")
    .option("--folder <path>", "for its data, config and address (required)")
    .option("--port <number>", "port on 127.0.0.1 (default: 4222; 0: any free one)")
    .option(
      "--durable",
      "sync before every acknowledgement: a power cut loses nothing, writes are about ten times slower",
    )
    .allowExcessArguments(false)
    .action(async (flags: ServerFlags) => done(await serverCommand(serverOptions(flags), terminal)));
}

const NATS_PORT = 4222;

/** Password and port of an earlier start with this folder (SV2). */
function knownAddress(file: string): { readonly pass: string; readonly port: number } | undefined {
  const text = existsSync(file) ? readFileSync(file, "utf8").trim() : "";
  if (!URL.canParse(text)) return undefined;
  const { password, port } = new URL(text);
  return password === "" || port === "" ? undefined : { pass: password, port: Number(port) };
}

async function serverCommand(options: ServerOptions, { out, err, signal }: Terminal): Promise<number> {
  const { folder, mode } = options;
  const file = join(folder, "address");
  const known = knownAddress(file);
  const { pass, port: portBefore = NATS_PORT } = known ?? {};
  const say = (line: string) => void err.write(`flotilla: ${plain(line)}\n`);
  const port = options.port ?? portBefore;
  const starting = startNatsServer({ folder, mode, port, say, ...(pass !== undefined && { pass }) });
  const server = await starting.catch((error: unknown) => {
    throw isFlotillaError(error, "NatsServerFailed") && /address already in use/.test(error.message)
      ? fail("OptionInvalid", `--port: ${port} is in use; give another one, or 0 for any free one.`, { cause: error })
      : error;
  });
  try {
    await writeFile(file, `nats://${server.user}:${server.pass}@127.0.0.1:${server.port}\n`, { mode: 0o600 });
    const lines = [
      `NATS server at 127.0.0.1:${server.port}, data in ${plain(folder)}`,
      durabilityText({ durability: mode, replicas: 1 }),
      "",
      "In the terminals of nodes and scripts:",
      `  export FLOTILLA_SERVERS="$(cat '${plain(file)}')"`,
      "",
      "ready; Ctrl-C ends it",
    ];
    out.write(`${lines.join("\n")}\n`);
    const ended = await Promise.race([server.ended.then(() => true), aborted(signal).then(() => false)]);
    if (!ended) return 0;
    err.write(`flotilla: the server ended by itself: ${plain(server.log.at(-1) ?? "it said nothing")}\n`);
    return 1;
  } finally {
    await server.stop();
  }
}
