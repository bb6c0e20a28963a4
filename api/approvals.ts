// `flotilla approvals`: what waits for a person, and a person's answer.
// Who may decide what the planning service knows; who the person is nobody does (CS1).
//
// AP1  Status 2: a guard stands against what was approved; it still waits.

import type { Command } from "commander";
import { type Client, type Decision, type PlanningApi, planningOf } from "../actors/index.ts";
import { isFlotillaError } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { plain } from "./paper.ts";
import {
  addPersonFlags,
  commandsOf,
  type PersonFlags,
  personOf,
  print,
  type Run,
  recordedText,
} from "./service-command.ts";
import { approvalsText, approvalText } from "./story-text.ts";

interface ListFlags {
  readonly role?: string;
  readonly story?: string;
}

interface DecideFlags extends PersonFlags {
  readonly feedback?: string;
}

type Planning = Client<PlanningApi>;

/** Adds the commands to the program. */
export function addApprovalCommands(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const group = program.command("approvals").description("what waits for a person: list, show, approve, reject");
  const add = commandsOf(group, terminal, done, planningOf);
  add("list", "all of it, the longest waiting first", listApprovals, true)
    .option("--role <role>", "only what this role may decide")
    .option("--story <id>", "only of this story");
  add("show <id>", "one of them", showApproval);
  addPersonFlags(add("approve <id>", "say yes", decideAs("approve"))).option("--feedback <text>", "why");
  addPersonFlags(add("reject <id>", "say no, and why", decideAs("reject"))).requiredOption("--feedback <text>", "why");
}

export const listApprovals: Run<Planning, ListFlags> = async (planning, _, { role, story }, place) => {
  const filter = { ...(role !== undefined && { role }), ...(story !== undefined && { storyId: story }) };
  const approvals = await planning.approvals(filter);
  print(place, approvals, () => approvalsText(approvals, place.paper));
  return 0;
};

export const showApproval: Run<Planning> = async (planning, [id = ""], _, place) => {
  const approval = await planning.approval(id);
  print(place, approval, () => approvalText(approval, place.paper));
  return 0;
};

export const decideAs =
  (decision: Decision["decision"]): Run<Planning, DecideFlags> =>
  async (planning, [approvalId = ""], flags, place) => {
    const { feedback } = flags;
    const by = personOf(flags);
    try {
      const change = { by, approvalId, decision, ...(feedback !== undefined && { feedback }) };
      const decided = await planning.decide(change);
      print(
        place,
        decided,
        () => `${plain(decided.id)} is ${decided.status}. ${recordedText(decided.decidedBy ?? by)}\n`,
      );
      return 0;
    } catch (error) {
      if (!isFlotillaError(error, "TransitionBlocked")) throw error;
      place.terminal.err.write(`flotilla: ${plain(error.message)}\n`);
      return 2;
    }
  };
