// What `flotilla doctor` looks at, in the order in which it is shown. All looks are made at once; how one is made is in the files beside
// this one, and how it looks on paper in api/doctor.ts.

import { readFileSync } from "node:fs";
import { totalmem } from "node:os";
import { type Clock, type ProbeOptions, probeFleet, systemClock } from "../../runtime/index.ts";
import { discoverGpus, type GpuDiscovery } from "../gpu/discovery.ts";
import { toolRunner } from "../gpu/tool-run.ts";
import { deviceMasks, type ProgramPlaces, programPlaces } from "../options.ts";
import { type Check, type CheckPlan, runChecks, skipped, type Verdict, warn } from "./check.ts";
import { FLEET_CHECKS, fleetVerdict, type Probing } from "./fleet.ts";
import { gpusVerdict } from "./gpus.ts";
import {
  cgroupVerdict,
  credsVerdict,
  diskVerdict,
  folderVerdict,
  memoryVerdict,
  openFilesVerdict,
  type PortUse,
  portVerdict,
} from "./machine.ts";
import { modelServerVerdict } from "./model-server.ts";
import { gitVerdict, natsProgramVerdict, nodeVerdict, sandboxVerdict, VLLM_LIMIT_MS, vllmVerdict } from "./programs.ts";

export interface DoctorOptions {
  /** The fleet to look at; absent: only this machine is. */
  readonly fleet?: Omit<ProbeOptions, "signal" | "clock">;
  /** The file that its credentials came from. */
  readonly credsFile?: string;
  /** Where this machine's part of a fleet keeps its data and credentials. Absent: only the disk of the project's cache is looked at. */
  readonly folder?: string;
  /** Model servers that a node would adopt: "http://127.0.0.1:8000". */
  readonly adopt?: readonly string[];
  /** Finds the GPUs. Default: as a daemon does. */
  readonly gpus?: () => Promise<GpuDiscovery>;
  /** Told of each check as it ends. */
  readonly onCheck?: (check: Check) => void;
  /** Cuts what still runs. */
  readonly signal?: AbortSignal;
  readonly clock?: Clock;
  readonly places?: ProgramPlaces;
}

const LIMIT_MS = 5_000;
/** Connecting takes up to 5 s to be refused, and looking about 1.5 s more. */
const FLEET_LIMIT_MS = 10_000;
/** A tool that hangs is given up after 5 s, and there are three. */
const GPU_LIMIT_MS = 16_000;

/** Looks at everything and resolves with what was found, in a fixed order. Never rejects. */
export function examine(options: DoctorOptions): Promise<readonly Check[]> {
  const { clock = systemClock, onCheck, signal } = options;
  return runChecks(doctorPlans(options), { clock, onCheck, signal });
}

/** What examine would look at, in its order: for whoever shows checks as they end. */
export function doctorPlans(options: DoctorOptions): readonly CheckPlan[] {
  const { adopt = [], clock = systemClock, places = programPlaces() } = options;
  const { gpus = () => discoverGpus({ run: toolRunner({ clock }), masks: deviceMasks() }) } = options;
  return [
    ...programPlans(places),
    plan("gpus", "GPUs", async () => gpusVerdict(await gpus()), GPU_LIMIT_MS),
    ...machinePlans(options, clock, places),
    ...portPlans(options, places),
    ...fleetPlans(options),
    ...adopt.map((url, at) =>
      plan(`modelServer${at + 1}`, "Model server", (signal) => modelServerVerdict(url, signal)),
    ),
    plan("vllm", "vLLM", (signal) => vllmVerdict(places, signal), VLLM_LIMIT_MS),
  ];
}

function plan(
  id: string,
  title: string,
  run: (signal: AbortSignal) => Promise<Verdict>,
  limitMs = LIMIT_MS,
  late = warn("no answer", "Look whether this machine is overloaded, or what it hangs on, and run this again."),
): CheckPlan {
  return { id, title, run, limitMs, late };
}

function programPlans(places: ProgramPlaces): readonly CheckPlan[] {
  return [
    plan("node", "Node", async () => nodeVerdict(process.versions.node, engines())),
    plan("natsProgram", "NATS program", (signal) => natsProgramVerdict(places, signal)),
    plan("git", "git", (signal) => gitVerdict(places, signal)),
    plan("sandbox", "Sandbox", (signal) => sandboxVerdict(places, signal)),
  ];
}

const engines = (): string =>
  JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")).engines.node;

function machinePlans({ folder, credsFile }: DoctorOptions, clock: Clock, places: ProgramPlaces): readonly CheckPlan[] {
  const memory = async () => {
    const total = Math.min(totalmem(), process.constrainedMemory() || Number.POSITIVE_INFINITY);
    return memoryVerdict(process.availableMemory(), total);
  };
  return [
    plan("disk", "Disk", () => diskVerdict(folder ?? places.cache, clock)),
    ...(folder === undefined ? [] : [plan("folder", "Folder", () => folderVerdict(folder))]),
    ...(credsFile === undefined ? [] : [plan("creds", "Credentials", () => credsVerdict(credsFile))]),
    plan("openFiles", "Open files", openFilesVerdict),
    plan("memory", "Memory", memory),
    plan("cgroup", "Control groups", () => cgroupVerdict()),
  ];
}

const PORTS: readonly PortUse[] = [
  {
    port: 4222,
    use: "NATS",
    remedy: "If that is a fleet's server, name it: --servers. Else give Flotilla's another port.",
  },
  {
    port: 8000,
    use: "vLLM",
    remedy: "If that is a model server, adopt it: --adopt http://127.0.0.1:8000. Else give yours another port.",
  },
  { port: 8470, use: "API", remedy: "Another node's API may run there; one of them needs another port." },
];

function portPlans({ fleet, adopt = [] }: DoctorOptions, places: ProgramPlaces): readonly CheckPlan[] {
  const named = [...[fleet?.servers ?? []].flat().flatMap((servers) => servers.split(",")), ...adopt];
  const isNamed = (port: number) =>
    named.some((address) => new RegExp(`[:@/]?(127\\.0\\.0\\.1|localhost):${port}(/|$)`).test(address));
  return PORTS.map((use) =>
    plan(`port${use.port}`, `Port ${use.port}`, (signal) => portVerdict(use, isNamed(use.port), places, signal)),
  );
}

/** One probe for all of them: it begins with the first, whose signal ends it. */
function fleetPlans({ fleet, clock = systemClock }: DoctorOptions): readonly CheckPlan[] {
  if (fleet === undefined) {
    const found = "not looked at: no --servers (FLOTILLA_SERVERS) were given";
    return [plan("server", "NATS server", async () => skipped(found))];
  }
  let probing: Promise<Probing> | undefined;
  const probe = (signal: AbortSignal): Promise<Probing> =>
    probeFleet({ ...fleet, clock, signal }).then(
      (found) => ({ kind: "found", probe: found }),
      (error: unknown) => ({ kind: "failed", error }),
    );
  return FLEET_CHECKS.map(({ id, title }) => {
    const run = async (signal: AbortSignal) => {
      probing ??= probe(signal);
      return fleetVerdict(id, await probing);
    };
    return plan(id, title, run, FLEET_LIMIT_MS);
  });
}
