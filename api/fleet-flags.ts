// The options by which every command finds its fleet. What they mean: options.ts.

import type { Command } from "commander";

export function addFleetFlags(command: Command): Command {
  return command
    .option("--servers <addresses>", "NATS servers of the fleet, nats://host:4222,… (FLOTILLA_SERVERS)")
    .option(
      "--creds <file>",
      "NATS credentials file (FLOTILLA_CREDS); a user and password: FLOTILLA_USER, FLOTILLA_PASS",
    )
    .option("--prefix <name>", "begins the fleet's names on the server (FLOTILLA_PREFIX; default: flotilla)");
}
