// The program of one actor's process or thread, seen from inside: it joins the fleet as a member of its own, imports the module of its actor's
// type when told to, and ends when its actor or its node has ended. How the actor is made and called is the fleet's usual business.
//
// AP1  A process ends by itself when the pipe to its node does, however the node ended; within ORPHAN_MAX_MS, whatever its actor awaits
//      meanwhile. One that never lets go of its thread is the guard's business (guard.ts). A thread goes with its node's process.
// AP2  It says `left` after its last words to the fleet, so that the node knows whether the others have to be told.
// AP3  An actor's environment is set before its module, and whatever that imports, runs.

import { flushCompileCache } from "node:module";
import { fileURLToPath } from "node:url";
import { isMainThread } from "node:worker_threads";
import { ADDRESS } from "../address.ts";
import { systemClock } from "../clock.ts";
import { exportLine, loadActorModule } from "../code/actor-module.ts";
import { codeError } from "../code/errors.ts";
import { connectProcess } from "../connect.ts";
import { failureOf } from "../failure.ts";
import type { AnyHandle } from "../handle.ts";
import { LogForwarder, type LogLine } from "../log.ts";
import type { ActorSystem } from "../system.ts";
import { type NodePipe, openNodePipe } from "./node-pipe.ts";
import { setEnvironment } from "./options.ts";
import { type OutputStream, printedLine } from "./output.ts";
import { takeThreadOutput } from "./thread-output.ts";
import type { NodeWord, Preparation } from "./words.ts";

/** Once its node is gone. Less than the guard's grace. */
const ORPHAN_MAX_MS = 3_000;
/** Once its actor has ended, perhaps because it is being handed over: a process for it may have to be started elsewhere. */
const ENDING_MAX_MS = 11_000;

type Join = NodeWord & { readonly kind: "join" };

class ActorProgram {
  readonly #node: NodePipe;
  readonly #join: Join;
  readonly #forwarder: LogForwarder;
  /** Resolves when it has joined the fleet. */
  readonly opened: Promise<void>;
  #system: ActorSystem | undefined = undefined;
  #draining: Promise<void> = Promise.resolve();
  #isEnding = false;

  constructor(node: NodePipe, join: Join) {
    this.#node = node;
    this.#join = join;
    const send = (_: string, lines: readonly LogLine[]): boolean => {
      void node.tell({ kind: "log", lines });
      return true;
    };
    this.#forwarder = new LogForwarder({ node: join.name, clock: systemClock, send });
    node.listen(
      (word) => this.#take(word),
      () => void this.#end(ORPHAN_MAX_MS),
    );
    if (!isMainThread) takeThreadOutput((stream, line) => this.#print(stream, line));
    // What it said last is still to be told when its actor ends the process.
    process.once("exit", () => this.#forwarder.close());
    this.opened = this.#open();
  }

  async #open(): Promise<void> {
    const { name, parent, options, modules } = this.#join;
    const log = (line: LogLine) => this.#forwarder.add(parent, line);
    try {
      this.#system = await connectProcess({ ...options, name, node: name, log }, parent);
      await Promise.all(modules.map((module) => loadActorModule(fileURLToPath(module)).catch(() => {})));
    } catch (error) {
      await this.#node.tell({ kind: "failed", of: "joined", error: failureOf(error, "joining the fleet") });
      process.exit(1);
    }
    await this.#node.tell({ kind: "joined" });
  }

  #take(word: NodeWord): void {
    switch (word.kind) {
      case "join":
        return;
      case "prepare":
        return void this.#prepare(word);
      case "tend":
        // A watch needs no more of a handle than its address.
        this.#system?.watch({ [ADDRESS]: word.address } as AnyHandle, () => void this.#end(ENDING_MAX_MS));
        return;
      case "drain":
        this.#draining = this.#drain();
        return;
      case "end":
        return void this.#end(word.withinMs);
    }
  }

  async #prepare({ environment, module, type }: Preparation): Promise<void> {
    try {
      setEnvironment(environment);
      if (module !== undefined) await this.#load(module, type);
      await this.#node.tell({ kind: "prepared" });
    } catch (error) {
      await this.#node.tell({ kind: "failed", of: "prepared", error: failureOf(error, `loading ${type}`) });
    }
  }

  async #load(module: string, type: string): Promise<void> {
    const path = fileURLToPath(module);
    const found = (await loadActorModule(path)).find((known) => known.type === type);
    if (found === undefined) {
      const message = `${path} exports no actor type "${type}", so it cannot be made in another process; write: ${exportLine(type)}`;
      throw codeError("ActorModuleInvalid", message, { data: { path } });
    }
    this.#system?.register(found);
  }

  #print(stream: OutputStream, message: string): void {
    const { name, parent } = this.#join;
    this.#forwarder.add(parent, printedLine(name, systemClock.now(), stream, message));
  }

  async #drain(): Promise<void> {
    await this.#system?.drain().catch(() => {});
    await this.#node.tell({ kind: "drained" });
  }

  /** Leaves the fleet and ends the process (AP1). */
  async #end(withinMs: number): Promise<void> {
    systemClock.schedule(withinMs, () => process.exit(1), true);
    if (this.#isEnding) return;
    this.#isEnding = true;
    await this.opened;
    // An actor that was handed over has ended here before it is made elsewhere: the one must not cut off the other.
    await this.#draining;
    await this.#system?.close().catch(() => {});
    this.#forwarder.close();
    await this.#node.tell({ kind: "left" });
    process.exit(0);
  }
}

const node = openNodePipe();
node.listen(
  (word) => {
    if (word.kind !== "join") return;
    // What has been compiled by now is what the next process needs.
    void new ActorProgram(node, word).opened.then(() => flushCompileCache());
  },
  () => process.exit(1),
);
