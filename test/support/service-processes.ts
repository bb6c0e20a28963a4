// The services of a fleet, each in a process of its own, to be killed: `flotilla services --only …` for each, and a door beside a second host
// of planning. What it measures is the time from the signal to the first answer of the life after it.
// It is not what is worked on meanwhile (story-team.ts) nor what must hold afterwards (story-audit.ts).
//
// SP1  Whoever is killed is started again with the same command, at once; or stays dead, and a host that was there before takes over.

import { readFileSync } from "node:fs";
import { readFile } from "node:fs/promises";
import {
  contextOf,
  orchestratorOf,
  planningOf,
  runnerOf,
  SERVICE_NAMES,
  SERVICES,
  type ServiceName,
} from "../../actors/service-handles.ts";
import { addressIn } from "../../runtime/address.ts";
import type { ActorSystem } from "../../runtime/index.ts";
import { type ProcessEntry, processTable } from "./process-tree.ts";
import { type ServiceFleet, type ServiceHost, workspacesLeft } from "./service-fleet.ts";
import { waitUntil } from "./wait-until.ts";

/** Who can be killed: a service, the door, an agent's process, the shell that watches over one, the server between all of them. */
export type Victim = ServiceName | "door" | "executor" | "supervisor" | "nats";

const DOOR = "door";
const PROBE_MS = 500;
const RECOVERS_WITHIN_MS = 60_000;

/** One question that changes nothing, for each service. */
const PROBES: Readonly<Record<ServiceName, (system: ActorSystem) => Promise<unknown>>> = {
  planning: (system) => planningOf(system, { timeoutMs: PROBE_MS }).projects(),
  context: (system) =>
    contextOf(system, { timeoutMs: PROBE_MS }).validateScope({ role: "DEV", phase: "BUILD", scopes: [] }),
  orchestrator: (system) => orchestratorOf(system, { timeoutMs: PROBE_MS }).status(),
  "workspace-runner": (system) => runnerOf(system, { timeoutMs: PROBE_MS }).jobs({ max: 1 }),
};

export interface Agent {
  readonly jobId: string;
  readonly executor: number;
  readonly supervisor: number;
}

export class ServiceProcesses {
  readonly #fleet: ServiceFleet;
  readonly #hosts = new Map<string, ServiceHost>();
  readonly #said: { readonly who: string; readonly text: () => string }[] = [];
  #starting: Promise<unknown>[] = [];

  constructor(fleet: ServiceFleet) {
    this.#fleet = fleet;
  }

  /** Starts one process for each service, and the door. */
  async start(): Promise<void> {
    await Promise.all([...SERVICE_NAMES, DOOR].map((name) => this.#start(name)));
  }

  /** Kills it and resolves, with the milliseconds that took, when its next life answers. */
  async kill(victim: ServiceName | "door" | "nats", isTakenOver = false): Promise<number> {
    if (victim === "nats") return this.#killServer();
    const name = victim === "planning" ? await this.#hostOf("planning") : victim;
    const next = isTakenOver ? await this.#host(name) : undefined;
    const { command } = this.#hosts.get(name) as ServiceHost;
    const fromMs = performance.now();
    command.signal("SIGKILL");
    await command.ended;
    if (next === undefined) this.#starting.push(this.#start(name));
    else this.#hosts.set(name, next);
    await (victim === DOOR ? this.#doorAnswers() : this.#answers(victim));
    return performance.now() - fromMs;
  }

  /** Agents at work: the id of each one's job, its own process and the shell that watches over it. */
  agents(): readonly Agent[] {
    const ours = processTable().flatMap(({ pid, group, state }) => {
      const command = state === "Z" ? "" : readProcess(pid, "cmdline");
      const jobId = command.includes(this.#fleet.folder) ? /\0--job-id=([^\0]+)/.exec(command)?.[1] : undefined;
      return jobId === undefined
        ? []
        : [{ pid, jobId, isShell: command.includes("flotilla-job"), isLeader: pid === group }];
    });
    const shells = ours.filter(({ isShell, isLeader }) => isShell && isLeader);
    return shells.flatMap(({ jobId, pid }) => {
      const executor = ours.find((each) => each.jobId === jobId && !each.isShell);
      return executor === undefined ? [] : [{ jobId, executor: executor.pid, supervisor: pid }];
    });
  }

  /** Calls a method of the door as a client of it would, as JSON, until it is answered. */
  async call(method: string, body: object): Promise<void> {
    const { url, token } = await this.#door();
    const answer = await fetch(`${url}/fleet.planning.v1.PlanningService/${method}`, {
      method: "POST",
      headers: { "content-type": "application/json", authorization: `Bearer ${token}` },
      body: JSON.stringify(body),
      signal: AbortSignal.timeout(20_000),
    });
    if (!answer.ok) throw new Error(`${method}: ${answer.status} ${await answer.text()}`);
    await answer.text();
  }

  /** What the hosts have said that was more than information, of all lives. */
  complaints(): readonly string[] {
    const isOne = (line: string) =>
      /passes over|cannot go on|\bdefect|could not|does not show|ends\b|was left|Error/.test(line);
    return this.#said.flatMap(({ who, text }) =>
      text()
        .split("\n")
        .filter(isOne)
        .map((line) => `${who}: ${line.slice(0, 400)}`),
    );
  }

  /** Everything that they said. */
  said(): string {
    return this.#said.map(({ who, text }) => `=== ${who}\n${text()}`).join("\n");
  }

  /** Ends all of them in order, and resolves when nothing of theirs is left: no process, no workspace, no job's folder. */
  async end(): Promise<void> {
    await Promise.all(this.#starting);
    const { folder } = this.#fleet;
    await waitUntil("no workspace is left", async () => (await workspacesLeft(folder)).length === 0, 30_000);
    for (const { command } of this.#hosts.values()) command.signal("SIGTERM");
    await Promise.all([...this.#hosts.values()].map(({ command }) => command.ended));
    await waitUntil("no process is left", () => this.left().length === 0, 10_000).catch((error: Error) => {
      throw new Error(`${error.message}: ${JSON.stringify(this.left())}`);
    });
  }

  /** Processes that have the fleet's folder in their command or in their environment. */
  left(): readonly ProcessEntry[] {
    const { folder } = this.#fleet;
    return processTable().filter(
      ({ pid, state }) =>
        state !== "Z" && `${readProcess(pid, "environ")}${readProcess(pid, "cmdline")}`.includes(folder),
    );
  }

  async #start(name: string): Promise<void> {
    this.#hosts.set(name, await this.#host(name));
  }

  async #host(name: string): Promise<ServiceHost> {
    const host = await this.#fleet.host(
      ...(name === DOOR ? ["--only", "planning", "--rpc", "127.0.0.1:0"] : ["--only", name, "--rpc", "off"]),
    );
    this.#said.push({ who: `${name} ${host.ready.node}`, text: () => host.command.err });
    return host;
  }

  /** By whose process the service is hosted now. */
  async #hostOf(service: ServiceName): Promise<string> {
    return waitUntil(`${service} is somewhere`, async () => {
      const handle = await this.#fleet.system.get(service, undefined, SERVICES).catch(() => undefined);
      const node = addressIn(handle)?.node;
      return [...this.#hosts].find(([, { ready }]) => ready.node === node)?.[0];
    });
  }

  #answers(service: ServiceName): Promise<unknown> {
    const isThere = () =>
      PROBES[service](this.#fleet.system).then(
        () => true,
        () => false,
      );
    return waitUntil(`${service} answers again`, isThere, RECOVERS_WITHIN_MS);
  }

  #doorAnswers(): Promise<unknown> {
    const isThere = () =>
      this.call("ListProjects", {}).then(
        () => true,
        () => false,
      );
    return waitUntil("the door answers again", isThere, RECOVERS_WITHIN_MS);
  }

  async #killServer(): Promise<number> {
    const { nats } = this.#fleet;
    const fromMs = performance.now();
    await nats.kill();
    await nats.restart();
    await Promise.all(SERVICE_NAMES.map((name) => this.#answers(name)));
    return performance.now() - fromMs;
  }

  async #door(): Promise<{ readonly url: string; readonly token: string }> {
    const { ready } = this.#hosts.get(DOOR) as ServiceHost;
    return { url: ready.rpc[0]?.url ?? "", token: (await readFile(ready.tokenFile ?? "", "utf8")).trim() };
  }
}

function readProcess(pid: number, what: "cmdline" | "environ"): string {
  try {
    return readFileSync(`/proc/${pid}/${what}`, "utf8");
  } catch {
    return "";
  }
}
