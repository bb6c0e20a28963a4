// One node as a child process (node-program.ts): started, killed, paused, resumed and closed by its own pid.
// It is not a fleet (fleet-processes.ts).

import { spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import type { LogLine } from "../../runtime/index.ts";
import { ROOT } from "../tidy/source.ts";
import type { NodeStart } from "./node-program.ts";
import { pauseProcess } from "./paused-process.ts";

const LOG_LINES = 2_000;

export interface NodeProcess {
  /** Its id among the nodes of the fleet. */
  readonly node: string;
  readonly pid: number;
  /** Last lines of its log. */
  readonly log: readonly LogLine[];
  /** What else it wrote: whatever is here, nobody expected. */
  readonly errors: string;
  /** Its exit status once it has ended; null when a signal ended it. */
  readonly ended: Promise<number | null>;
  /** kill -9, and until it has ended. */
  kill(): Promise<void>;
  /** SIGSTOP, and until it has stopped. */
  pause(): Promise<void>;
  resume(): void;
  /** SIGTERM: closes in order. Its exit status. */
  close(): Promise<number | null>;
}

interface Said {
  readonly ready?: { readonly node: string };
  readonly log?: LogLine;
  readonly failed?: string;
}

/** Starts a node and resolves once it is a member of its fleet. */
export async function startNode(start: NodeStart): Promise<NodeProcess> {
  const child = spawn(process.execPath, [join(ROOT, "test/support/node-program.ts")], {
    stdio: ["pipe", "pipe", "pipe"],
  });
  const log: LogLine[] = [];
  let errors = "";
  child.stderr.setEncoding("utf8").on("data", (text: string) => {
    errors += text;
  });
  child.stdin.on("error", () => {});
  const ended = new Promise<number | null>((resolve) => child.once("close", resolve));
  const signal = (name: NodeJS.Signals) => child.exitCode === null && child.signalCode === null && child.kill(name);
  const ready = new Promise<string>((resolve, reject) => {
    createInterface({ input: child.stdout }).on("line", (line) => {
      const said = JSON.parse(line) as Said;
      if (said.ready !== undefined) resolve(said.ready.node);
      if (said.failed !== undefined) reject(new Error(said.failed));
      if (said.log !== undefined && log.push(said.log) > LOG_LINES) log.shift();
    });
    void ended.then((status) => reject(new Error(`the node ended with status ${status}: ${errors}`)));
  });
  child.stdin.write(`${JSON.stringify(start)}\n`);
  const kill = async () => {
    signal("SIGKILL");
    await ended;
  };
  const node = await ready.catch(async (error: unknown) => {
    await kill();
    throw error;
  });
  return {
    node,
    pid: child.pid as number,
    log,
    get errors() {
      return errors;
    },
    ended,
    kill,
    pause: () => pauseProcess(child.pid as number),
    resume: () => void signal("SIGCONT"),
    close: () => {
      signal("SIGTERM");
      return ended;
    },
  };
}
