// The benchmark's own nats-server: on loopback, its files in a temporary folder, started when first asked for.
// Stands in for nodes/nats-server.ts until that is there, and is then deleted.

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm, writeFile } from "node:fs/promises";
import { homedir, tmpdir } from "node:os";
import { join } from "node:path";
import { createInterface } from "node:readline";

const PROGRAM = join(homedir(), ".cache", "flotilla", "bin", "nats-server");

export class Server implements AsyncDisposable {
  readonly #durable: boolean;
  #started: Promise<string> | undefined;
  #child: ChildProcess | undefined;
  #folder: string | undefined;

  /** `durable`: every write is on the disk before it is acknowledged, so a power cut loses nothing. */
  constructor({ durable = false } = {}) {
    this.#durable = durable;
  }

  /** Its address; the same for everyone who asks. */
  readonly url = (): Promise<string> => {
    this.#started ??= this.#start();
    return this.#started;
  };

  async #start(): Promise<string> {
    this.#folder = await mkdtemp(join(tmpdir(), "flotilla-bench-nats-"));
    const config = join(this.#folder, "nats.conf");
    const sync = this.#durable ? "always" : '"2m"';
    const jetstream = `jetstream { store_dir: "${this.#folder}/data", sync_interval: ${sync} }`;
    await writeFile(config, `listen: "127.0.0.1:-1"\nmax_payload: 8MB\n${jetstream}\n`);
    const child = spawn(PROGRAM, ["-c", config], { stdio: ["ignore", "ignore", "pipe"] });
    this.#child = child;
    process.once("exit", () => child.kill());
    const failed = once(child, "exit").then(() => Promise.reject(new Error("nats-server did not start")));
    return Promise.race([listening(child.stderr), failed]);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const child = this.#child;
    if (child !== undefined && child.exitCode === null) {
      const exit = once(child, "exit");
      child.kill();
      await exit;
    }
    if (this.#folder !== undefined) await rm(this.#folder, { recursive: true, force: true });
  }
}

/** Reads the port that it chose from its log, and then only empties the pipe. */
function listening(log: NodeJS.ReadableStream): Promise<string> {
  return new Promise((resolve) => {
    createInterface({ input: log }).on("line", (line) => {
      const port = /client connections on 127\.0\.0\.1:(\d+)/.exec(line)?.[1];
      if (port !== undefined) resolve(`nats://127.0.0.1:${port}`);
    });
  });
}
