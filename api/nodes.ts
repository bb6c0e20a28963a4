// `flotilla nodes`: who is in a fleet now.

import type { Command } from "commander";
import { connect } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { addFleetFlags } from "./fleet-flags.ts";
import { durabilityText, serverText } from "./fleet-text.ts";
import { nodesText } from "./nodes-text.ts";
import { type FleetFlags, fleetOptions, wantsColour } from "./options.ts";
import { makePaper } from "./paper.ts";

const COLUMNS = 80;

export function addNodesCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  addFleetFlags(program.command("nodes").description("list the nodes of a fleet and what they host"))
    .option("--json", "print one JSON object and nothing else")
    .allowExcessArguments(false)
    .action(async ({ json = false, ...flags }: FleetFlags & { readonly json?: boolean }) => {
      await nodesCommand(flags, json, terminal);
      done(0);
    });
}

async function nodesCommand(flags: FleetFlags, json: boolean, { out }: Terminal): Promise<void> {
  await using system = await connect(fleetOptions(flags));
  const { facts } = system;
  const nodes = system
    .nodes()
    .filter(({ node }) => node !== system.node)
    .sort((a, b) => (a.name < b.name ? -1 : 1));
  if (json) return void out.write(`${JSON.stringify({ ...facts, nodes })}\n`);
  const paper = makePaper(out.columns ?? COLUMNS, wantsColour(out.isTTY === true));
  if (facts !== undefined) out.write(`${serverText(facts)}; ${durabilityText(facts)}\n\n`);
  out.write(nodes.length > 0 ? nodesText(nodes, paper) : "No nodes. Start one with: flotilla node --actors FILE\n");
}
