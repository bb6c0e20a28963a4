// A peer's process as seen from the benchmark: asks go out as lines, figures come back as lines (lines.ts).
//
// PE1  One ask at a time; while nobody asks it, a peer does nothing but exist.
// PE2  A peer that does not answer in time is ended, and every later ask fails with the same reason.
// PE3  Ending its standard input ends it; one that does not obey is killed.

import { type ChildProcessByStdio, spawn } from "node:child_process";
import { once } from "node:events";
import { createInterface } from "node:readline";
import type { Readable, Writable } from "node:stream";
import { systemClock } from "../../runtime/index.ts";
import type { Sample } from "../sample.ts";
import { NotMeasured, type Peer, type Running, type Setting } from "../scenario.ts";
import type { Answer, Ask, Ready } from "./lines.ts";

const START_MAX_MS = 60_000;
const ANSWER_MAX_MS = 120_000;
const STOP_MAX_MS = 15_000;
const ERROR_TAIL = 500;

export class PeerProcess implements Peer, AsyncDisposable {
  readonly #child: ChildProcessByStdio<Writable, Readable, Readable>;
  readonly #lines: AsyncIterator<string>;
  readonly #exit: Promise<unknown>;
  #said = "";
  #ready: Ready["ready"] = { rows: [], versions: {} };

  private constructor([file, ...args]: readonly [file: string, ...args: string[]]) {
    this.#child = spawn(file, args, { stdio: ["pipe", "pipe", "pipe"] });
    this.#exit = once(this.#child, "close").catch((error) => this.#hear(String(error)));
    this.#child.stderr.on("data", (chunk) => this.#hear(String(chunk)));
    this.#child.stdin.on("error", () => {});
    this.#lines = createInterface({ input: this.#child.stdout })[Symbol.asyncIterator]();
  }

  /** Throws NotMeasured with what it said when it does not get ready. */
  static async start(command: readonly [file: string, ...args: string[]]): Promise<PeerProcess> {
    const peer = new PeerProcess(command);
    const { ready } = await peer.#line<Ready>(START_MAX_MS);
    peer.#ready = ready;
    return peer;
  }

  get rows(): readonly string[] {
    return this.#ready.rows;
  }

  get versions(): Readonly<Record<string, string>> {
    return this.#ready.versions;
  }

  running(row: string, { quick, roundMs }: Setting): Running {
    return { round: () => this.#round({ row, quick, ms: roundMs }), stop: async () => {} };
  }

  async #round(ask: Ask): Promise<Sample> {
    this.#child.stdin.write(`${JSON.stringify(ask)}\n`);
    const answer = await this.#line<Answer>(ANSWER_MAX_MS);
    if ("error" in answer) throw new NotMeasured(answer.error);
    return answer;
  }

  async #line<Line>(withinMs: number): Promise<Line> {
    const timer = systemClock.schedule(withinMs, () => {
      this.#hear(`no answer in ${withinMs / 1_000} s`);
      this.#child.kill("SIGKILL");
    });
    const { value, done } = await this.#lines.next();
    timer.cancel();
    if (!done) return JSON.parse(value);
    await this.#exit;
    throw new NotMeasured(`its process ended: ${this.#said.trim().split("\n").at(-1) ?? ""}`);
  }

  #hear(text: string): void {
    this.#said = (this.#said + text).slice(-ERROR_TAIL);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const timer = systemClock.schedule(STOP_MAX_MS, () => this.#child.kill("SIGKILL"));
    this.#child.stdin.end();
    await this.#exit;
    timer.cancel();
  }
}
