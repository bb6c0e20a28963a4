// The one place where a system is put together: chooses the forms of its ports and starts it.

import type { ActorType } from "./actor.ts";
import type { SystemSettings } from "./assembly.ts";
import { type Clock, systemClock } from "./clock.ts";
import { ownVersions } from "./code/code-format.ts";
import { refuseWhileLoading } from "./code/loading.ts";
import { FleetPlacer } from "./fleet-placer.ts";
import { LEASE_PROFILES } from "./lease.ts";
import { type LogLevel, type LogSink, silentLog } from "./log.ts";
import { Membership } from "./membership.ts";
import { memoryPorts } from "./memory/ports.ts";
import { milliseconds, nodeName, plainName, refuse } from "./options.ts";
import type { NodeRecord } from "./placer.ts";
import type { Ports } from "./ports.ts";
import { type Random, systemRandom } from "./random.ts";
import { ActorSystem } from "./system.ts";

export interface ConnectOptions {
  /** This process's id among the nodes; must be new for each life of it. Default: its name and a random part. */
  readonly node?: string;
  /** Actor types that others may spawn here by name; those this process spawns itself need not be listed. */
  readonly actors?: readonly ActorType[];
  /** Milliseconds until a call without its own time-out fails with DeadlineExceeded. Default 30,000. */
  readonly callTimeoutMs?: number;
  /** Takes log lines, those of one's own actors on other nodes among them. Default: nowhere. */
  readonly log?: LogSink;
  /** Whether spans are recorded; default: when an OpenTelemetry tracer provider is registered when this is called. */
  readonly tracing?: boolean;
  readonly clock?: Clock;
  readonly random?: Random;
  /** Forms of the ports in place of the memory ones; they become the system's and are closed with it. Not together with `servers`. */
  readonly ports?: Partial<Ports>;

  /** Joins the fleet on this NATS server (or these of a cluster): `nats://user:pass@host:4222`. Without it everything stays in this process. */
  readonly servers?: string | readonly string[];
  readonly user?: string;
  readonly pass?: string;
  readonly token?: string;
  /** Content of a NATS credentials file. */
  readonly creds?: string;
  readonly nkeySeed?: string;
  /** Begins every name on the server: fleets with different prefixes do not meet. Default "flotilla". */
  readonly prefix?: string;
  /** What people call this node; one live process of a fleet has it at a time. Letters, digits, _ and -. Default: random. */
  readonly name?: string;
  readonly labels?: Readonly<Record<string, string>>;
  /** Whether this process takes actors that others spawn and runs tasks of its types. Default false: it is a script. */
  readonly accepts?: boolean;
  /** Whether it loads code that scripts bring, which then runs with all of this process's rights. Default false. */
  readonly allowCode?: boolean;
  /** How soon a dead node is noticed: 10 to 12 s, or within 4 s on a quiet local network. All of a fleet say the same. Default "normal". */
  readonly lease?: "normal" | "fast";
}

const CALL_TIMEOUT_MS = 30_000;
const CREDENTIALS = ["user", "pass", "token", "creds", "nkeySeed"] as const;
const ON_A_FLEET = [...CREDENTIALS, "prefix", "labels", "accepts", "allowCode", "lease"] as const;

/**
 * An actor system: in this process alone (nothing to install, nothing to start) or, with `servers`, as a member of a fleet.
 * Throws InvalidOption; with servers also ServerUnreachable, ServerNotNats, ServerRefused, ServerTooOld, ServerWithoutJetStream, StreamDiffers,
 * NodeNameTaken.
 */
export async function connect(options: ConnectOptions = {}): Promise<ActorSystem> {
  refuseWhileLoading();
  const random = options.random ?? systemRandom;
  const name = nodeName("name", options.name ?? `node-${random.id()}`);
  const given = options.node ?? (options.name === undefined ? name : `${name}-${random.id()}`);
  const common = {
    node: plainName("node", given),
    clock: options.clock ?? systemClock,
    random,
    log: options.log ?? silentLog,
    callTimeoutMs: milliseconds("callTimeoutMs", options.callTimeoutMs ?? CALL_TIMEOUT_MS, 1),
    tracing: options.tracing,
  };
  const { servers } = options;
  const settings = servers === undefined ? alone(common, options) : await member({ ...common, servers, name }, options);
  const system = new ActorSystem(settings);
  try {
    for (const type of options.actors ?? []) system.register(type);
    await system.listen();
  } catch (error) {
    await system.close().catch(() => {});
    throw error;
  }
  return system;
}

type Common = Omit<SystemSettings, "ports">;

function alone(common: Common, options: ConnectOptions): SystemSettings {
  const stray = ON_A_FLEET.find((option) => options[option] !== undefined);
  if (stray !== undefined) refuse(stray, "servers beside it", "none");
  return { ...common, ports: memoryPorts(common.node, common.clock, options.ports) };
}

async function member(
  common: Common & { readonly servers: string | readonly string[]; readonly name: string },
  options: ConnectOptions,
): Promise<SystemSettings> {
  const { servers, name, ...settings } = common;
  const { clock, random, log } = settings;
  const node = nodeName("node", settings.node);
  if (options.ports !== undefined) refuse("ports", "no ports of one's own beside servers", "both");
  const profile = LEASE_PROFILES[options.lease ?? "normal"];
  if (profile === undefined) refuse("lease", '"normal" or "fast"', options.lease);
  const given = Object.fromEntries(CREDENTIALS.map((key) => [key, options[key]]));
  const prefix = options.prefix === undefined ? {} : { prefix: options.prefix };
  // Loaded only when wanted: a process that is alone does not pay for a client of NATS.
  const { openNatsPorts } = await import("./nats/ports.ts");
  const ports = await openNatsPorts({ servers, ...given, ...prefix, node, clock, ackWaitMs: profile.ttlMs });
  const line = (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) =>
    log({ level, atMs: clock.now(), node, message, data });
  const record = recordOf(node, name, clock, options);
  const membership = new Membership({ store: ports.store, clock, random, profile, record, log: line });
  const { server, durability, replicas } = ports.facts;
  // Not the addresses as given: they may hold passwords.
  line("info", `connected to nats-server ${server.version} at ${server.address}`, { durability, replicas });
  return {
    ...settings,
    ports: { ...ports, placer: new FleetPlacer(node, () => membership.nodes(), random) },
    membership,
    sharesBlobs: true,
    allowCode: options.allowCode ?? false,
    servesTasks: options.accepts ?? false,
    facts: ports.facts,
  };
}

function recordOf(node: string, name: string, clock: Clock, options: ConnectOptions): NodeRecord {
  const { labels = {}, accepts = false, allowCode = false } = options;
  return {
    node,
    name,
    labels,
    types: [],
    accepts,
    allowsCode: allowCode,
    draining: false,
    ...ownVersions(),
    pid: process.pid,
    startedMs: clock.now(),
  };
}
