// `flotilla node`: this machine joins a fleet and hosts actors, tasks and model servers until it is told to stop. What it does: host.ts.

import type { Command } from "commander";
import { systemRandom } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { addDaemonFlags, type DaemonFlags } from "./daemon-flags.ts";
import { addFleetFlags } from "./fleet-flags.ts";
import { runHost } from "./host.ts";
import { daemonSettings, type NodeFlags, nodeOptions } from "./options.ts";

const CHANCE_LENGTH = 4;
const PASSWORD = "the password in --servers can be read by everybody on this machine; FLOTILLA_SERVERS hides it";

export function addNodeCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const command = program
    .command("node")
    .description("join a fleet and host actors, tasks and model servers until told to stop");
  addDaemonFlags(addNodeFlags(addFleetFlags(command))).action(async (flags: NodeFlags & DaemonFlags) => {
    const options = { ...nodeOptions(flags, chance()), daemon: daemonSettings(flags) };
    if (options.showsPassword) terminal.err.write(`flotilla: ${PASSWORD}\n`);
    done(await runHost(options, terminal));
  });
}

/** Options of a node beyond those of its fleet and its daemon. */
export function addNodeFlags(command: Command): Command {
  return command
    .option("--actors <files...>", "modules that export further actor types to host")
    .option("--name <name>", "what people call this node (default: the machine's name and a random part)")
    .option("--labels <key=value...>", "labels of this node: zone=a,gpu=a100")
    .option("--allow-code", "load actors that scripts bring: they run with all rights of this process")
    .option(
      "--lease <profile>",
      "how soon a dead node is noticed: normal (10 to 12 s), fast (within 4 s; quiet networks)",
    )
    .option(
      "--warm-processes <count>",
      'processes that wait ready for actors with isolation: "process" (default: 1 once used)',
    )
    .option("--json", "print one JSON object when ready; everything else goes to stderr")
    .allowExcessArguments(false);
}

/** A part of a name that nobody else has. */
export const chance = (): string => systemRandom.id().slice(0, CHANCE_LENGTH);
