// The benchmark's own nats-server: on loopback, its files in a temporary folder that goes with it, started when first asked for.

import { rmSync } from "node:fs";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type NatsServer, startNatsServer } from "../nodes/index.ts";

export class BenchServer implements AsyncDisposable {
  readonly #mode: "fast" | "durable";
  #folder = "";
  #starting: Promise<NatsServer> | undefined;

  /** `durable`: every write is on the disk before it is acknowledged, so a power cut loses nothing. */
  constructor(mode: "fast" | "durable" = "fast") {
    this.#mode = mode;
  }

  /** Its address with the credentials in it; the same for everyone who asks. Throws NatsServerMissing, NatsServerFailed. */
  readonly url = async (): Promise<string> => {
    this.#starting ??= this.#start();
    const { port, user, pass } = await this.#starting;
    return `nats://${user}:${pass}@127.0.0.1:${port}`;
  };

  async #start(): Promise<NatsServer> {
    this.#folder = await mkdtemp(join(tmpdir(), "flotilla-bench-nats-"));
    // When this process is interrupted nothing is disposed of; the server itself ends with it.
    process.once("exit", () => rmSync(this.#folder, { recursive: true, force: true }));
    return startNatsServer({ folder: this.#folder, mode: this.#mode });
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (this.#starting === undefined) return;
    await (await this.#starting.catch(() => undefined))?.stop();
    await rm(this.#folder, { recursive: true, force: true });
  }
}
