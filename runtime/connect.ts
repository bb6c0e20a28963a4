// The one place where a system is put together: chooses the forms of its ports and starts it.

import type { ActorType } from "./actor.ts";
import { type Clock, systemClock } from "./clock.ts";
import { ownVersions } from "./code/code-format.ts";
import { refuseWhileLoading } from "./code/loading.ts";
import { checkConnectOptions } from "./connect-options.ts";
import type { ProcessSettings } from "./isolation/process-pool.ts";
import { LEASE_PROFILES } from "./lease.ts";
import { type LogLevel, type LogSink, silentLog, unfailing } from "./log.ts";
import { Membership } from "./membership.ts";
import { memoryPorts } from "./memory/ports.ts";
import type { NodeRecord } from "./node-record.ts";
import { milliseconds, NODE_NAME_MAX, nodeName, plainName, refuse, wholeNumber } from "./options.ts";
import type { Placer, PlacerModule, PlacerView } from "./placer.ts";
import type { Ports } from "./ports.ts";
import { type Random, systemRandom } from "./random.ts";
import type { Admission, Amounts } from "./resources.ts";
import { ActorSystem } from "./system.ts";
import type { SystemSettings } from "./system-settings.ts";

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
  /**
   * Processes that wait ready for actors with `isolation: "process"`; each takes about 80 MB. Default: 1 from the first such actor on.
   * 0: each is started when it is wanted, which takes some tenths of a second.
   */
  readonly warmProcesses?: number;
  /** `file:` URL of the module that places actors (PlacerModule). Default: the one of placement/. */
  readonly placer?: string;
  /** What this node has to grant, in all, and who grants it. Default: nothing. */
  readonly resources?: Amounts;
  readonly admission?: Admission;
}

const CALL_TIMEOUT_MS = 30_000;
const WARM_MAX = 64;
const CREDENTIALS = ["user", "pass", "token", "creds", "nkeySeed"] as const;
const ON_A_FLEET = [
  ...CREDENTIALS,
  "prefix",
  "labels",
  "accepts",
  "allowCode",
  "lease",
  "warmProcesses",
  "placer",
  "resources",
  "admission",
] as const;

/**
 * An actor system: in this process alone (nothing to install, nothing to start) or, with `servers`, as a member of a fleet.
 * Throws InvalidOption; with servers also ServerUnreachable, ServerNotNats, ServerRefused, ServerTooOld, ServerPayloadSmall, ServerWithoutJetStream, StreamDiffers,
 * NodeNameTaken.
 */
export function connect(options: ConnectOptions = {}): Promise<ActorSystem> {
  return open(options);
}

/** The same for a process that holds one actor of the node `parent`; called by isolation/actor-program.ts. */
export function connectProcess(options: ConnectOptions, parent: string): Promise<ActorSystem> {
  return open(options, parent);
}

/** A node's name of its own. A long one gives up its end: with what is added it is still part of subjects. */
const ownName = (name: string, chance: string): string =>
  `${name.slice(0, NODE_NAME_MAX - chance.length - 1)}-${chance}`;

async function open(options: ConnectOptions, parent?: string): Promise<ActorSystem> {
  refuseWhileLoading();
  checkConnectOptions(options);
  const random = options.random ?? systemRandom;
  const name = nodeName("name", options.name ?? `node-${random.id()}`);
  const given = options.node ?? (options.name === undefined ? name : ownName(name, random.id()));
  const common = {
    node: plainName("node", given),
    clock: options.clock ?? systemClock,
    random,
    log: options.log === undefined ? silentLog : unfailing(options.log),
    callTimeoutMs: milliseconds("callTimeoutMs", options.callTimeoutMs ?? CALL_TIMEOUT_MS, 1),
    tracing: options.tracing,
  };
  const { servers } = options;
  const settings =
    servers === undefined ? alone(common, options) : await member({ ...common, servers, name, parent }, options);
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
  if (stray !== undefined) refuse("servers", `an address beside ${stray}`, undefined);
  return { ...common, ports: memoryPorts(common.node, common.clock, options.ports) };
}

interface Place {
  readonly servers: string | readonly string[];
  readonly name: string;
  readonly parent: string | undefined;
}

async function member(common: Common & Place, options: ConnectOptions): Promise<SystemSettings> {
  const { servers, name, parent, ...settings } = common;
  const { clock, random, log } = settings;
  const node = nodeName("node", settings.node);
  if (options.ports !== undefined) refuse("ports", "none beside servers", options.ports);
  const processes = processesOf(name, options);
  const profile = LEASE_PROFILES[options.lease ?? "normal"];
  if (profile === undefined) refuse("lease", '"normal" or "fast"', options.lease);
  const given = Object.fromEntries(CREDENTIALS.map((key) => [key, options[key]]));
  const prefix = options.prefix === undefined ? {} : { prefix: options.prefix };
  // Loaded only when wanted: a process that is alone does not pay for a client of NATS.
  const { openNatsPorts } = await import("./nats/ports.ts");
  const ports = await openNatsPorts({ servers, ...given, ...prefix, node, clock, ackWaitMs: profile.ttlMs });
  const line = (level: LogLevel, message: string, data: Readonly<Record<string, unknown>>) =>
    log({ level, atMs: clock.now(), node, message, data });
  const record = { ...recordOf(node, name, clock, options), ...(parent !== undefined && { parent }) };
  const membership = new Membership({ store: ports.store, clock, random, profile, record, log: line });
  const { server, durability, replicas } = ports.facts;
  // Not the addresses as given: they may hold passwords.
  line("info", `connected to nats-server ${server.version} at ${server.address}`, { durability, replicas });
  return {
    ...settings,
    ports: {
      ...ports,
      placer: await openPlacer({ here: node, nodes: () => membership.nodes(), random }, options.placer),
    },
    membership,
    ...(options.admission !== undefined && { admission: options.admission }),
    sharesBlobs: true,
    allowCode: options.allowCode ?? false,
    servesTasks: options.accepts ?? false,
    facts: ports.facts,
    ...(parent === undefined && { processes }),
  };
}

/** package.json says which module that is: the runtime knows no placer of its own but the one without choice. */
const DEFAULT_PLACER = "#placer";

async function openPlacer(view: PlacerView, module = DEFAULT_PLACER): Promise<Placer> {
  const { openPlacer: open } = (await import(module)) as Partial<PlacerModule>;
  return open === undefined ? refuse("placer", "the URL of a module that exports openPlacer", module) : open(view);
}

/** What the node's processes are to know; each setting as it was given. */
function processesOf(name: string, options: ConnectOptions): ProcessSettings {
  const { servers, prefix, labels, allowCode, lease, callTimeoutMs, warmProcesses: warm, placer } = options;
  const { user, pass, token, creds, nkeySeed } = options;
  const given = {
    servers,
    prefix,
    labels,
    allowCode,
    lease,
    callTimeoutMs,
    placer,
    user,
    pass,
    token,
    creds,
    nkeySeed,
  };
  const join = Object.fromEntries(Object.entries(given).filter(([, value]) => value !== undefined));
  return { name, join, warm: warm === undefined ? undefined : wholeNumber("warmProcesses", warm, 0, WARM_MAX) };
}

function recordOf(node: string, name: string, clock: Clock, options: ConnectOptions): NodeRecord {
  const { labels = {}, accepts = false, allowCode = false, resources } = options;
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
    ...(resources !== undefined && { resources }),
  };
}
