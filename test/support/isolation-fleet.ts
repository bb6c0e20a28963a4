// A fleet whose node hosts actors in processes of their own, for tests that look at those processes: none may be there afterwards.

import { fork } from "node:child_process";
import { once } from "node:events";
import { fileURLToPath } from "node:url";
import { type ActorSystem, type ConnectOptions, connect, type LogLine, type NodeRecord } from "../../runtime/index.ts";
import { listEntries } from "../../runtime/store.ts";
import { Probe } from "../fixtures/isolation/probe.ts";
import { waitUntil } from "./wait-until.ts";

const HOST = fileURLToPath(new URL("../fixtures/isolation/host-program.ts", import.meta.url));

/** Whether there is a process of that id. */
export function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}

/** What a node's guard gives its processes, and a busy machine's share. */
const ENDING_MAX_MS = 20_000;

export const gone = (pid: number): Promise<boolean> =>
  waitUntil(`process ${pid} ends`, () => !isThere(pid), ENDING_MAX_MS);

/** All members of the fleet that are processes or threads of single actors. */
export async function processRecords(system: ActorSystem): Promise<readonly NodeRecord[]> {
  const entries = await listEntries(system.ports.store, "node.*");
  const records = entries.map(({ value }) => JSON.parse(new TextDecoder().decode(value)));
  return records.filter(({ parent, left }) => parent !== undefined && left !== true);
}

/** Their ids. */
export const processesOf = async (system: ActorSystem): Promise<string[]> =>
  (await processRecords(system)).map(({ node }) => node);

export interface ProcessFleet extends AsyncDisposable {
  readonly host: ActorSystem;
  readonly script: ActorSystem;
  /** One more node that hosts, once the others know of it; its caller closes it. */
  addHost(name: string): Promise<ActorSystem>;
  /** The node's log. */
  readonly lines: readonly LogLine[];
}

/** `common`: how to reach the server. */
export async function openProcessFleet(common: ConnectOptions, node: ConnectOptions = {}): Promise<ProcessFleet> {
  const lines: LogLine[] = [];
  const log = (line: LogLine) => void lines.push(line);
  await using systems = new AsyncDisposableStack();
  const host = systems.use(await connect({ ...common, name: "host", accepts: true, actors: [Probe], log, ...node }));
  const script = systems.use(await connect({ ...common, name: "script" }));
  await waitUntil("they see each other", () => script.nodes().length === 2 && host.nodes().length === 2);
  const kept = systems.move();
  const addHost = async (name: string) => {
    const added = await connect({ ...common, name, accepts: true, actors: [Probe] });
    await waitUntil("it is seen", () => [host, script].every((system) => system.nodes().length === 3));
    return added;
  };
  return { host, script, lines, addHost, [Symbol.asyncDispose]: () => kept.disposeAsync() };
}

export interface HostProcess extends AsyncDisposable {
  readonly pid: number;
  readonly node: string;
  /** As kill -9. */
  kill(): void;
}

/** The node in a process of its own. */
export async function startHost(options: ConnectOptions): Promise<HostProcess> {
  const child = fork(HOST, [], { stdio: ["ignore", "inherit", "inherit", "ipc"] });
  const exit = once(child, "exit");
  child.send(options);
  const said = await Promise.race([once(child, "message"), exit.then(() => undefined)]);
  if (said === undefined) throw new Error("the host ended before it was there");
  const kill = () => void child.kill("SIGKILL");
  return {
    pid: child.pid as number,
    node: String(said[0]),
    kill,
    async [Symbol.asyncDispose]() {
      kill();
      await exit;
    },
  };
}
