// The errors of the doors: what a user of the command is told before any agent starts.

import { errorsFrom, type FlotillaError } from "../runtime/index.ts";
import { inKeys } from "./engine-words.ts";

export const fail = errorsFrom({
  OptionInvalid: { retryable: false, remedy: "Correct the option that the message names." },
  DecisionUnknown: {
    retryable: false,
    remedy: "Ask about an actor of a daemon that has a name, resources or a placement.",
  },
  PortTaken: { retryable: false, remedy: "Give another port, or end what listens there." },
  ServicesMissing: {
    retryable: true,
    remedy: "Start the fleet's services on one of its nodes, or name another fleet.",
  },
  TokenUnusable: {
    retryable: false,
    remedy: "Delete the token file that the message names, for a new one, or let its folder be written.",
  },
  ClockOff: {
    retryable: false,
    remedy: "Set this machine's clock by NTP (timedatectl set-ntp true), or that of the machine with the NATS server.",
  },
  ModelNotChosen: { retryable: false, remedy: "Name a model server and a model, or ask for the mock by name." },
  FleetWithoutAgents: { retryable: true, remedy: "Start a node (flotilla node), or wait until one stops draining." },
  ModelNotOnFleet: {
    retryable: true,
    remedy: "Name one of the models that the message lists, or have a node serve this one.",
  },
  WorkMissing: {
    retryable: false,
    remedy: "Run the task again, and look at the log of the node that the message names.",
  },
  NoAgentAsked: { retryable: true, remedy: "Mend what the message names: no agent could ask its model even once." },
});

/** What a user of the command does about errors of the fleet, whose own remedies speak to programmers. */
const REMEDIES: Readonly<Record<string, string>> = {
  ServerUnreachable: "Start one there (flotilla server --folder DIR), or correct --servers (FLOTILLA_SERVERS)",
  ServerNotNats: "Give the address and port of a NATS server in --servers (FLOTILLA_SERVERS)",
  ServerRefused: "Correct FLOTILLA_USER and FLOTILLA_PASS, --creds, or the user and password in FLOTILLA_SERVERS",
  ServerWithoutJetStream: "Start it with JetStream: nats-server -js, or flotilla server --folder DIR",
  NodeNameTaken: "Give this node another --name, or stop that one first",
  NatsFolderInUse: "Stop that one, or give this one another --folder",
  AmountsInvalid: "Write --resources as name=number with commas between them: cpus=8,memory=64GiB,licence=3",
  GpuOverrideInvalid: "Correct --gpus (docs/gpus.md)",
  GpuOverrideContradicted: "Correct --gpus, or leave it out: then those that are found are used",
  EngineNeedsGpus: "Give it fewer (gpus=N, tp=N), or start fewer model servers on this machine",
};

/** An error as a sentence for a terminal: what was wrong, and what to do. */
export function sentenceOf({ code, message }: FlotillaError): string {
  const remedy = REMEDIES[code];
  if (remedy !== undefined) return `${message}. ${remedy}.`;
  return code.startsWith("Engine") ? `${inKeys(message)}.` : message;
}
