// Daemons as users start them, each a process of its own: `flotilla up`, and `flotilla node`s that join it. Whatever a test does to them,
// disposing of the fleet ends every process by its pid and removes the folders.
//
//     await using fleet = await openDaemons();
//     const north = await fleet.up("north", "--vllm-sim", "tiny");
//     const south = await fleet.node("south");
//     const script = await fleet.script();                               an ActorSystem here

import { readFileSync } from "node:fs";
import { readdir } from "node:fs/promises";
import { dirname, join } from "node:path";
import {
  type ActorSystem,
  type ConnectOptions,
  connect,
  type NodeRecord,
  sleep,
  systemClock,
} from "../../runtime/index.ts";
import { ROOT } from "../tidy/source.ts";
import { makeFolder } from "./git-repository.ts";
import { natsPath } from "./nats-server.ts";
import { familyOf, leftOf, type ProcessEntry } from "./process-tree.ts";
import { type RunningCommand, runFlotilla } from "./running-command.ts";
import { waitUntil } from "./wait-until.ts";

export const WORKERS = join(ROOT, "test/fixtures/daemon/actors.ts");
/** Orphans may take this long to go. */
export const ORPHANS_MS = 6_000;
const ENDS_WITHIN_MS = 60_000;

export interface Daemon {
  readonly name: string;
  readonly command: RunningCommand;
  /** "http://127.0.0.1:40000". */
  readonly url: string;
  /** Status of a page of its door; 0: nobody listens. */
  status(path: string): Promise<number>;
  /** The fleet as this node sees it: itself first. */
  nodes(): Promise<readonly NodeRecord[]>;
  /** Its own record. */
  own(): Promise<NodeRecord>;
  /** What it and its children are now. */
  family(): readonly ProcessEntry[];
  /** Ends it by a signal, and answers what is left of all it had when that came. */
  end(signal: NodeJS.Signals): Promise<{ status: number | string; left: readonly ProcessEntry[]; tookMs: number }>;
}

export interface Daemons extends AsyncDisposable {
  readonly servers: string;
  readonly creds: string;
  readonly folder: string;
  /** What is in the temp folder of its processes. */
  temp(): Promise<readonly string[]>;
  up(name: string, ...args: string[]): Promise<Daemon>;
  node(name: string, ...args: string[]): Promise<Daemon>;
  /** Starts a node and does not wait for it. */
  begin(name: string, args: readonly string[], env?: Readonly<Record<string, string>>): RunningCommand;
  command(...args: string[]): RunningCommand;
  script(options?: Partial<ConnectOptions>): Promise<ActorSystem>;
}

/** `lease`: "fast" only where what is tested is how soon a loss is noticed; on a busy machine a node may lose it. */
export async function openDaemons(lease: "fast" | "normal" = "normal"): Promise<Daemons> {
  const [home, temp] = [await makeFolder("flotilla-daemons-"), await makeFolder("flotilla-daemons-tmp-")];
  const path = `${dirname(natsPath())}:${process.env.PATH}`;
  const around = { PATH: path, TMPDIR: temp.path };
  const running: RunningCommand[] = [];
  const scripts: ActorSystem[] = [];
  const seen: ProcessEntry[] = [];
  const creds = join(home.path, "node.creds");
  const port = () => readFileSync(join(home.path, "port"), "utf8").trim();
  const servers = () => `nats://127.0.0.1:${port()}`;
  const start = (args: readonly string[], more: Readonly<Record<string, string>> = {}) => {
    const command = runFlotilla(args, { ...around, ...more });
    running.push(command);
    return command;
  };
  const common = ["--lease", lease, "--actors", WORKERS, "--http", "127.0.0.1:0"];
  const ready = async (name: string, command: RunningCommand): Promise<Daemon> => {
    await command.says("ready; Ctrl-C");
    return daemonOf(name, command, seen);
  };
  const begin: Daemons["begin"] = (name, args, more) =>
    start(["node", "--servers", servers(), "--creds", creds, "--name", name, ...common, ...args], more);
  return {
    creds,
    folder: home.path,
    get servers() {
      return servers();
    },
    temp: () => readdir(temp.path),
    up: (name, ...args) =>
      ready(name, start(["up", "--folder", home.path, "--port", "0", "--name", name, ...common, ...args])),
    node: (name, ...args) => ready(name, begin(name, args)),
    begin,
    command: (...args) => start(args, { FLOTILLA_SERVERS: servers(), FLOTILLA_CREDS: creds }),
    async script(options = {}) {
      const text = readFileSync(creds, "utf8");
      const system = await connect({ servers: servers(), creds: text, lease, ...options });
      scripts.push(system);
      return system;
    },
    async [Symbol.asyncDispose]() {
      for (const { pid } of running) seen.push(...familyOf(pid));
      await Promise.all(scripts.map((script) => script.close().catch(() => {})));
      await Promise.all(running.map((command) => command[Symbol.asyncDispose]()));
      for (const { pid } of leftOf(seen)) {
        try {
          process.kill(pid, "SIGKILL");
        } catch {
          // It has ended by itself.
        }
      }
      await Promise.all([home[Symbol.asyncDispose](), temp[Symbol.asyncDispose]()]);
    },
  };
}

function daemonOf(name: string, command: RunningCommand, seen: ProcessEntry[]): Daemon {
  const url = /HTTP at (http:\S+):/.exec(command.out + command.err)?.[1] ?? "";
  const nodes = async () => {
    const answer = await fetch(`${url}/nodes`);
    return ((await answer.json()) as { nodes: NodeRecord[] }).nodes;
  };
  const family = () => familyOf(command.pid);
  return {
    ...{ name, command, url, nodes, family },
    status: (path) =>
      fetch(`${url}${path}`).then(
        async (answer) => {
          await answer.body?.cancel();
          return answer.status;
        },
        () => 0,
      ),
    async own() {
      const [own] = await nodes();
      if (own === undefined) throw new Error(`${name} tells nothing of itself`);
      return own;
    },
    async end(signal) {
      const before = family();
      seen.push(...before);
      const sinceMs = performance.now();
      command.signal(signal);
      // One that does not end fails its test, and must not keep it from tidying up.
      const late = sleep(systemClock, ENDS_WITHIN_MS).then(() => {
        throw new Error(`${name} did not end within ${ENDS_WITHIN_MS} ms of ${signal}; it said:\n${command.out}`);
      });
      const status = await Promise.race([command.ended, late]);
      return { status, left: leftOf(before), tookMs: Math.round(performance.now() - sinceMs) };
    },
  };
}

/** Resolves when this daemon's model server is in that state; answers its report. */
export function modelIs(daemon: Daemon, model: string, state: string, withinMs = 20_000) {
  return waitUntil(
    `${model} of ${daemon.name} is ${state}`,
    async () => (await daemon.own()).report?.engines.find((each) => each.model === model && each.state === state),
    withinMs,
  );
}

/** Its pid, by the process table. */
export function serverPid(daemon: Daemon, model: string): number {
  const found = daemon.family().find(({ command }) => command.includes(`vllm-sim --model ${model} `));
  if (found === undefined) throw new Error(`${daemon.name} runs no server of ${model}`);
  return found.pid;
}
