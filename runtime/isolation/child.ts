// The process or thread of one actor, seen from the node: told what to do, listened to, and ended. What it lives in is its vessel (vessel.ts);
// which actor it gets is decided in process-pool.ts; its other half is actor-program.ts.
//
// CH1  `ended` resolves once, when its vessel is no more. Whoever waits for a word of it is told then.
// CH2  It is ended in order first and by force after END_MAX_MS: nothing that an actor does keeps it.
// CH3  What it prints or logs goes to the node's log in its own name, with bounds on lines, their length and bytes: lines beyond are counted
//      and dropped, and bytes beyond are not read, so that whoever floods waits and takes neither the node's memory nor its time.

import type { Address } from "../address.ts";
import type { Clock } from "../clock.ts";
import type { FlotillaError } from "../errors.ts";
import { errorOf } from "../failure.ts";
import { LogForwarder, type LogSink, receiveLogLines } from "../log.ts";
import { processError } from "./errors.ts";
import { OutputLines, type OutputStream, printedLine, readBounded } from "./output.ts";
import type { Vessel, VesselEnd, VesselKind, VesselOptions } from "./vessel.ts";
import { isProcessWord, type JoinOptions, type NodeWord, type Preparation, type ProcessWord } from "./words.ts";

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

export interface ChildOptions extends Omit<VesselOptions, "hear"> {
  readonly kind: VesselKind;
  /** Its name and id among the nodes. */
  readonly name: string;
  readonly parent: string;
  readonly join: JoinOptions;
  readonly modules: readonly string[];
  readonly clock: Clock;
  readonly log: LogSink;
  readonly launch: (options: VesselOptions) => Vessel;
}

/** `inOrder`: it told the fleet itself. `error`: ProcessFailed or ProcessOutOfMemory, how it ended. */
export interface ChildEnd {
  readonly inOrder: boolean;
  readonly error: FlotillaError;
}

type Answer = "joined" | "prepared" | "drained";

interface Expected {
  readonly resolve: () => void;
  readonly reject: (error: FlotillaError) => void;
}

export class Child {
  readonly name: string;
  /** Resolves when it has joined the fleet. Rejects with ProcessFailed, ProcessOutOfMemory, or why it could not join. */
  readonly joined: Promise<void>;
  /** Resolves when it is no more (CH1). */
  readonly ended: Promise<ChildEnd>;
  readonly #options: ChildOptions;
  readonly #vessel: Vessel;
  readonly #forwarder: LogForwarder;
  readonly #expected = new Map<Answer, Expected>();
  #hasLeft = false;
  #isEnding = false;

  constructor(options: ChildOptions) {
    const { name, parent, join, modules, clock, log, launch } = options;
    this.name = name;
    this.#options = options;
    this.#vessel = launch({ ...options, hear: (word) => isProcessWord(word) && this.#take(word) });
    const send = (_: string, lines: readonly unknown[]): boolean => receiveLogLines(name, lines, log) === 0;
    this.#forwarder = new LogForwarder({ node: name, clock, send });
    this.#print("stdout");
    this.#print("stderr");
    this.ended = this.#vessel.ended.then((end) => ({ inOrder: this.#hasLeft, error: this.#endOf(end) }));
    this.joined = this.#ask("joined", START_MAX_MS, { kind: "join", name, parent, options: join, modules });
    this.joined.catch(() => this.kill());
  }

  /** Its own in the operating system; undefined for a thread, and for one that could not be started. */
  get pid(): number | undefined {
    return this.#vessel.pid;
  }

  /** Has everything that an actor needs ready in it. Throws ActorModuleInvalid, ProcessFailed, ProcessOutOfMemory. */
  prepare(preparation: Preparation): Promise<void> {
    return this.#ask("prepared", LOAD_MAX_MS, { kind: "prepare", ...preparation });
  }

  /** It ends with this actor from now on. */
  tend(address: Address): void {
    this.#vessel.send({ kind: "tend", address });
  }

  /** Has it hand over what can live elsewhere. */
  async drain(): Promise<void> {
    await this.#ask("drained", END_MAX_MS, { kind: "drain" }).catch(() => {});
  }

  /** Rejects with ProcessFailed or ProcessOutOfMemory when it ends before `promise` settles. */
  async whileAlive<T>(what: string, promise: Promise<T>): Promise<T> {
    const ended = this.#vessel.ended.then((end): never => {
      throw this.#endOf(end, ` before ${what}`);
    });
    return Promise.race([promise, ended]);
  }

  /** Ends it (CH2); resolves when it is no more. May be called twice. */
  async end(): Promise<void> {
    if (!this.#isEnding) {
      this.#isEnding = true;
      this.#vessel.send({ kind: "end", withinMs: END_MAX_MS });
      const late = this.#options.clock.schedule(END_MAX_MS + FORCE_AFTER_MS, () => this.kill(), true);
      void this.ended.then(() => late.cancel());
    }
    await this.ended;
  }

  /** Ends it now, whatever its actor does. */
  kill(): void {
    this.#vessel.kill();
  }

  /** One question of a kind at a time. */
  async #ask(kind: Answer, withinMs: number, word: NodeWord): Promise<void> {
    const answered = new Promise<void>((resolve, reject) => {
      this.#expected.set(kind, { resolve, reject });
    });
    const tooLate = () =>
      this.#expected.get(kind)?.reject(this.#failed(`has not ${kind} within ${withinMs / MS_IN_S} s`));
    const late = this.#options.clock.schedule(withinMs, tooLate);
    this.#vessel.send(word);
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
    const { kind, name } = this.#options;
    return processError("ProcessFailed", `the ${kind} ${name} ${why}`, { data: { process: name } });
  }

  #endOf({ how, fullMemory }: VesselEnd, when = ""): FlotillaError {
    if (fullMemory === undefined) return this.#failed(`${how}${when}`);
    const { kind, name, memoryBytes } = this.#options;
    return processError("ProcessOutOfMemory", `the ${kind} ${name} ${how}${when}: out of memory, ${fullMemory}`, {
      data: { process: name, ...(memoryBytes !== undefined && { memoryBytes }) },
    });
  }

  #print(stream: OutputStream): void {
    const { name, clock } = this.#options;
    const lines = new OutputLines((line) => this.#forwarder.add(name, printedLine(name, clock.now(), stream, line)));
    const source = this.#vessel[stream];
    if (source === null) return;
    readBounded(source, clock, (chunk) => lines.write(chunk));
    source.once("close", () => {
      lines.end();
      this.#forwarder.close();
    });
    // A program that its actor has started may hold the other end for long.
    void this.#vessel.ended.then(() => clock.schedule(LAST_WORDS_MS, () => source.destroy()));
  }
}
