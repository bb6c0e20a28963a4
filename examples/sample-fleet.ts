// A small fleet for the examples: a NATS server, unless FLOTILLA_SERVERS names one, and nodes in processes of their own.
// Elsewhere people start both: `flotilla server --folder DIR` and, on each machine, `flotilla node --actors FILE`.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { startNatsServer } from "../nodes/index.ts";
import { fleetVariables, nodeVariables } from "./options.ts";

const PROGRAM = new URL("../api/main.ts", import.meta.url).pathname;

export interface SampleNode {
  /** As Ctrl-C does: it hands over and leaves. */
  stop(): Promise<void>;
}

export interface SampleFleet extends AsyncDisposable {
  /** For `connect`. */
  readonly options: { readonly servers: string; readonly prefix?: string };
  /** Runs `flotilla node --name NAME …` in a process of its own and resolves when it is ready. */
  node(name: string, ...args: readonly string[]): Promise<SampleNode>;
}

export async function openSampleFleet(): Promise<SampleFleet> {
  const variables = fleetVariables();
  const own = variables.servers === undefined ? await ownServer() : undefined;
  const options = { servers: variables.servers ?? own?.address ?? "", ...variables };
  const nodes: ChildProcess[] = [];
  return {
    options,
    async node(name, ...args) {
      const child = spawn(process.execPath, [PROGRAM, "node", "--name", name, "--json", ...args], {
        cwd: import.meta.dirname,
        env: nodeVariables(options.servers),
        stdio: ["ignore", "pipe", "pipe"],
      });
      nodes.push(child);
      await isReady(child);
      return { stop: () => end(child) };
    },
    async [Symbol.asyncDispose]() {
      await Promise.all(nodes.map(end));
      await own?.end();
    },
  };
}

async function ownServer() {
  const folder = await mkdtemp(join(tmpdir(), "flotilla-example-"));
  const server = await startNatsServer({ folder });
  return {
    address: server.servers.replace("//", `//${server.user}:${server.pass}@`),
    async end() {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  };
}

/** With --json a node writes one object when it is ready; whatever else it says goes to stderr. */
function isReady(child: ChildProcess): Promise<void> {
  const said: string[] = [];
  child.stderr?.setEncoding("utf8").on("data", (text: string) => void said.push(text));
  return new Promise((resolve, reject) => {
    child.stdout?.once("data", () => resolve());
    child.once("exit", () => reject(new Error(`the node ended: ${said.join("")}`)));
  });
}

async function end(child: ChildProcess): Promise<void> {
  if (child.exitCode !== null || child.signalCode !== null) return;
  child.kill("SIGTERM");
  await once(child, "exit");
}
