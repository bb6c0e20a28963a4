// The command `flotilla` while it runs: a node or a server, with what it has said so far. It ends with the test, however that ends.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { join } from "node:path";
import { ROOT } from "../tidy/source.ts";
import { waitUntil } from "./wait-until.ts";

export interface RunningCommand extends AsyncDisposable {
  readonly pid: number;
  readonly out: string;
  readonly err: string;
  /** Resolves once it has printed this; rejects with all it said when it ends first. */
  says(what: string | RegExp, timeoutMs?: number): Promise<void>;
  signal(name: NodeJS.Signals): void;
  /** Exit status, or the signal that ended it. */
  readonly ended: Promise<number | string>;
}

const STARTS_WITHIN_MS = 20_000;

/** Starts it; only `env` of FLOTILLA_… is seen. */
export function runFlotilla(args: readonly string[], env: Readonly<Record<string, string>> = {}): RunningCommand {
  const clean = Object.entries(process.env).filter(
    ([name]) => !/^(FLOTILLA_(?!CACHE)|NO_COLOR|FORCE_COLOR)/.test(name),
  );
  const child: ChildProcess = spawn(process.execPath, [join(ROOT, "api/main.ts"), ...args], {
    env: { ...Object.fromEntries(clean), ...env },
    stdio: ["ignore", "pipe", "pipe"],
  });
  const text = { out: "", err: "" };
  child.stdout?.setEncoding("utf8").on("data", (piece: string) => (text.out += piece));
  child.stderr?.setEncoding("utf8").on("data", (piece: string) => (text.err += piece));
  const ended = once(child, "close").then(([status, signal]) => (status ?? signal) as number | string);
  let isOver = false;
  void ended.then(() => {
    isOver = true;
  });
  const all = () => text.out + text.err;
  return {
    pid: child.pid ?? 0,
    get out() {
      return text.out;
    },
    get err() {
      return text.err;
    },
    ended,
    async says(what, timeoutMs = STARTS_WITHIN_MS) {
      const isSaid = () => (typeof what === "string" ? all().includes(what) : what.test(all()));
      await waitUntil(`the command says ${what}`, () => isSaid() || isOver, timeoutMs).catch((error: Error) => {
        throw new Error(`${error.message}; it said:\n${all()}`);
      });
      if (!isSaid()) throw new Error(`the command ended and did not say ${what}; it said:\n${all()}`);
    },
    signal: (name) => void child.kill(name),
    async [Symbol.asyncDispose]() {
      if (!isOver) child.kill("SIGKILL");
      await ended;
    },
  };
}
