// One process of a node, seen from the node: started, told what to do, listened to, and ended.
// Which actor it gets is decided in process-pool.ts; its other half is actor-process.ts.
//
// CH1  `ended` resolves once, when the operating system says that the process is no more. Whoever waits for a word of it is told then.
// CH2  It is ended in order first and by force after END_MAX_MS: nothing that an actor does keeps it.
// CH3  What it prints or logs goes to the node's log in its own name, with bounds on lines and their length.

import { type ChildProcess, fork } from "node:child_process";
import { extname } from "node:path";
import { fileURLToPath } from "node:url";
import type { Address } from "../address.ts";
import type { Clock } from "../clock.ts";
import type { FlotillaError } from "../errors.ts";
import { errorOf } from "../failure.ts";
import { LogForwarder, type LogSink, receiveLogLines } from "../log.ts";
import { processError } from "./errors.ts";
import { OutputLines } from "./output.ts";
import { isProcessWord, type JoinOptions, type NodeWord, type ProcessWord } from "./words.ts";

const START = fileURLToPath(new URL("./cached-start.mjs", import.meta.url));
/** In whatever language it was published. */
const PROGRAM = new URL("./actor-process.ts".replace(/\.ts$/, extname(import.meta.url)), import.meta.url).href;
/** To load everything and join, on a machine that is busy starting others. */
const START_MAX_MS = 30_000;
/** To import a module of actors. */
const LOAD_MAX_MS = 10_000;
/** What is in hand may finish, and onStop run, as on any node that is closed. */
const END_MAX_MS = 11_000;
/** Between asking for an orderly end and making one. */
const FORCE_AFTER_MS = 1_000;
/** What it printed before it ended may still be on its way. */
const LAST_WORDS_MS = 1_000;
const MS_IN_S = 1_000;

export interface ChildOptions {
  /** Its name and id among the nodes. */
  readonly name: string;
  readonly parent: string;
  readonly join: JoinOptions;
  readonly modules: readonly string[];
  /** Where compiled code is kept. */
  readonly folder: string;
  readonly clock: Clock;
  readonly log: LogSink;
}

type Answer = "joined" | "loaded" | "drained";

interface Expected {
  readonly resolve: () => void;
  readonly reject: (error: FlotillaError) => void;
}

export class Child {
  readonly name: string;
  /** Resolves when it has joined the fleet. Rejects with ProcessFailed, or why it could not join. */
  readonly joined: Promise<void>;
  /** Resolves when the process is no more (CH1); `inOrder`: it told the fleet itself. */
  readonly ended: Promise<{ readonly inOrder: boolean }>;
  readonly #options: ChildOptions;
  readonly #process: ChildProcess;
  readonly #forwarder: LogForwarder;
  readonly #expected = new Map<Answer, Expected>();
  #hasLeft = false;
  #isEnding = false;
  #why = "";

  constructor(options: ChildOptions) {
    const { name, parent, join, modules, folder, clock, log } = options;
    this.name = name;
    this.#options = options;
    // A session of its own: Ctrl-C in the node's terminal must reach the node first.
    const child = fork(START, [folder, PROGRAM], { stdio: ["ignore", "pipe", "pipe", "ipc"], detached: true });
    this.#process = child;
    const send = (_: string, lines: readonly unknown[]): boolean => receiveLogLines(name, lines, log) === 0;
    this.#forwarder = new LogForwarder({ node: name, clock, send });
    this.#print("stdout", "info");
    this.#print("stderr", "warn");
    child.on("message", (word) => isProcessWord(word) && this.#take(word));
    this.ended = new Promise((resolve) => {
      child.once("error", (error) => this.#over(`cannot be started: ${error.message}`, resolve));
      child.once("exit", (code, signal) => this.#over(`ended ${signal ?? `with status ${code}`}`, resolve));
    });
    this.joined = this.#ask("joined", START_MAX_MS, { kind: "join", name, parent, options: join, modules });
    this.joined.catch(() => this.#process.kill("SIGKILL"));
  }

  /** 0 when it could not be started. */
  get pid(): number {
    return this.#process.pid ?? 0;
  }

  /** How it ended; "" while it runs. */
  get why(): string {
    return this.#why;
  }

  /** Has a type of a module ready in it. Throws ActorModuleInvalid, ProcessFailed. */
  load(module: string, type: string): Promise<void> {
    return this.#ask("loaded", LOAD_MAX_MS, { kind: "load", module, type });
  }

  /** It ends with this actor from now on. */
  tend(address: Address): void {
    this.#send({ kind: "tend", address });
  }

  /** Has it hand over what can live elsewhere. */
  async drain(): Promise<void> {
    await this.#ask("drained", END_MAX_MS, { kind: "drain" }).catch(() => {});
  }

  /** Rejects with ProcessFailed when the process ends before `promise` settles. */
  async whileAlive<T>(what: string, promise: Promise<T>): Promise<T> {
    const ended = this.ended.then((): never => {
      throw this.#failed(`${this.#why} before ${what}`);
    });
    return Promise.race([promise, ended]);
  }

  /** Ends it (CH2); resolves when it is no more. May be called twice. */
  async end(): Promise<void> {
    if (!this.#isEnding) {
      this.#isEnding = true;
      this.#send({ kind: "end", withinMs: END_MAX_MS });
      const force = () => void this.#process.kill("SIGKILL");
      const late = this.#options.clock.schedule(END_MAX_MS + FORCE_AFTER_MS, force, true);
      void this.ended.then(() => late.cancel());
    }
    await this.ended;
  }

  #send(word: NodeWord): void {
    if (this.#process.connected) this.#process.send(word, () => {});
  }

  /** One question of a kind at a time. */
  async #ask(kind: Answer, withinMs: number, word: NodeWord): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      this.#expected.set(kind, { resolve, reject });
    });
    const tooLate = () =>
      this.#expected.get(kind)?.reject(this.#failed(`has not ${kind} within ${withinMs / MS_IN_S} s`));
    const late = this.#options.clock.schedule(withinMs, tooLate);
    this.#send(word);
    await this.whileAlive(`it had ${kind}`, answered).finally(() => late.cancel());
  }

  #take(word: ProcessWord): void {
    switch (word.kind) {
      case "log":
        return void receiveLogLines(this.name, word.lines, this.#options.log);
      case "left":
        this.#hasLeft = true;
        return;
      case "failed":
        return this.#expected.get(word.of)?.reject(errorOf(word.error));
      default:
        this.#expected.get(word.kind)?.resolve();
    }
  }

  #failed(why: string): FlotillaError {
    return processError("ProcessFailed", `the process ${this.name} ${why}`, { data: { process: this.name } });
  }

  #over(why: string, resolve: (end: { readonly inOrder: boolean }) => void): void {
    this.#why = why;
    resolve({ inOrder: this.#hasLeft });
  }

  #print(stream: "stdout" | "stderr", level: "info" | "warn"): void {
    const { name, clock } = this.#options;
    const lines = new OutputLines((message) =>
      this.#forwarder.add(name, { level, atMs: clock.now(), node: name, message, data: { stream } }),
    );
    const source = this.#process[stream];
    source?.on("data", (chunk: Uint8Array) => lines.write(chunk));
    source?.once("close", () => {
      lines.end();
      this.#forwarder.close();
    });
    // A program that its actor has started may hold the other end for long.
    this.#process.once("exit", () => clock.schedule(LAST_WORDS_MS, () => source?.destroy()));
  }
}
