// `flotilla services`: hosts the services of a software-engineering fleet (planning, context, orchestrator, workspace runner) and opens their
// door for gRPC, gRPC-Web and JSON. Any number of hosts may run; each service lives once, and moves to another host when its own dies.
//
// SC1  With --json stdout holds one object, written when the services answer; everything else goes to stderr.
// SC2  Stopping is orderly and status 0: the door closes, services are handed over to another host where there is one, or stay as they are in
//      the store until the next start.

import { join } from "node:path";
import type { Command } from "commander";
import { loadServices, type ServiceName } from "../../actors/index.ts";
import { type ActorSystem, connect, foldedLog, type LogLine, systemClock } from "../../runtime/index.ts";
import type { Terminal } from "../cli.ts";
import { addFleetFlags } from "../fleet-flags.ts";
import { logText, serverText } from "../fleet-text.ts";
import { DOOR_SERVICES, type GrpcDoor, keepToken, openGrpcDoor } from "../grpc/index.ts";
import { addNodeFlags, chance } from "../node.ts";
import { wantsColour } from "../options.ts";
import { makePaper } from "../paper.ts";
import { aborted } from "../stop-signal.ts";
import { addServiceFlags, type ServiceFlags, type ServicesChoice, servicesChoice } from "./flags.ts";
import { lendFleet, tellExecutors } from "./options.ts";

const COLUMNS = 80;
const LOOPBACK_CALL_MS = 30_000;

type Services = Awaited<ReturnType<typeof loadServices>>;

export function addServicesCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  const command = program
    .command("services")
    .description("host the services that take stories to commits: planning, context, orchestrator, workspace runner");
  addServiceFlags(addNodeFlags(addFleetFlags(command))).action(async (flags: ServiceFlags) => {
    const choice = servicesChoice(flags, chance());
    tellExecutors(flags);
    done(await runServices(choice, terminal));
  });
}

async function runServices(choice: ServicesChoice, { out, err, signal }: Terminal): Promise<number> {
  const { node, names } = choice;
  const live = node.json ? err : out;
  const paper = makePaper(out.columns ?? COLUMNS, !node.json && wantsColour(out.isTTY === true));
  const say = (line: string) => void live.write(`${line}\n`);
  const log = foldedLog(systemClock, (text, line) => say(logText(text, line, paper)));
  const services = await loadServices();
  let door: GrpcDoor | undefined;
  try {
    const types = await services.serviceTypes(names);
    const { fleet, name, labels, lease } = node;
    lendFleet(fleet);
    say("connecting …");
    await using system = await connect({ ...fleet, name, labels, lease, actors: types, accepts: true, log: log.sink });
    if (system.facts !== undefined) say(`Fleet       ${serverText(system.facts)}`);
    // First the door: where it cannot listen, services that run somewhere are better left alone.
    const opened = await openDoor(choice, system, services, log.sink);
    door = opened?.door;
    const tell = (level: LogLine["level"], message: string) => log.sink({ level, message, ...at(system), data: {} });
    await services.startServices(system, names, choice.settings, { log: tell, signal });
    say(`Services    ${names.join(", ")}`);
    for (const { url, services: served } of door?.addresses ?? []) say(`RPC         ${url}  ${served.join(", ")}`);
    if (opened !== undefined) say(`Token       in ${opened.file}, for every call: authorization: Bearer …`);
    if (choice.settings.model === undefined && names.includes("orchestrator"))
      say("Model       none: tasks and councils fail with ModelUnset until --model is given");
    if (node.json) out.write(`${JSON.stringify(readyView(system, names, opened))}\n`);
    say("ready; Ctrl-C hands over and leaves");
    await aborted(signal);
    say("leaving …");
    await door?.close();
  } catch (error) {
    if (!signal.aborted || error !== signal.reason) throw error;
  } finally {
    await door?.close();
    log.close();
  }
  say("left");
  return 0;
}

const at = ({ node, clock }: ActorSystem) => ({ node, atMs: clock.now() });

async function openDoor(
  { rpc, tls, settings }: ServicesChoice,
  system: ActorSystem,
  services: Services,
  log: (line: LogLine) => void,
): Promise<{ readonly door: GrpcDoor; readonly file: string } | undefined> {
  if (rpc.length === 0) return undefined;
  const { folder } = services.serviceHostOptions();
  const token = await keepToken(folder);
  const { coach, scorer } = await services.openRules(system, settings);
  const clients = new services.ServiceClients(system);
  const door = await openGrpcDoor({
    clients: (call) => ({
      planning: clients.of("planning", call),
      context: clients.of("context", call),
      orchestrator: clients.of("orchestrator", call),
      runner: clients.of("workspace-runner", call),
    }),
    watch: (taskId, { timeoutMs = LOOPBACK_CALL_MS, signal }) =>
      services.watchDeliberation(system, taskId, { timeoutMs, ...(signal && { signal }) }),
    ...{ coach, scorer, system, token },
    addresses: rpc.map(({ services: served, ...address }) => ({
      ...address,
      services: served === "all" ? DOOR_SERVICES : served,
    })),
    ...(tls !== undefined && { tls }),
    log: ({ level, message, data = {} }) => log({ level, message, data, ...at(system) }),
  });
  return { door, file: join(folder, "token") };
}

const readyView = (
  system: ActorSystem,
  names: readonly ServiceName[],
  opened: { readonly door: GrpcDoor; readonly file: string } | undefined,
) => ({
  ready: true,
  node: system.node,
  services: names,
  rpc: opened?.door.addresses ?? [],
  ...(opened !== undefined && { tokenFile: opened.file }),
});
