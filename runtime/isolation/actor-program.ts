// The process of one actor, seen from inside: it joins the fleet as a member of its own, imports the module of its actor's type when told to,
// and ends when its actor or its node has ended. How the actor is made and called is the fleet's usual business.
//
// AP1  It ends by itself when the pipe to its node does, however the node ended; within ORPHAN_MAX_MS, whatever its actor awaits meanwhile.
//      A thread that is never let go of is the guard's business (guard.ts).
// AP2  It says `left` after its last words to the fleet, so that the node knows whether the others have to be told.

import { flushCompileCache } from "node:module";
import { fileURLToPath } from "node:url";
import { ADDRESS } from "../address.ts";
import { systemClock } from "../clock.ts";
import { exportLine, loadActorModule } from "../code/actor-module.ts";
import { codeError } from "../code/errors.ts";
import { connectProcess } from "../connect.ts";
import { failureOf } from "../failure.ts";
import type { AnyHandle } from "../handle.ts";
import { LogForwarder, type LogLine } from "../log.ts";
import type { ActorSystem } from "../system.ts";
import type { NodeWord, ProcessWord } from "./words.ts";

/** Once its node is gone. Less than the guard's grace. */
const ORPHAN_MAX_MS = 3_000;
/** Once its actor has ended, perhaps because it is being handed over: a process for it may have to be started elsewhere. */
const ENDING_MAX_MS = 11_000;

/** The pipe to the node, from this end. */
class NodePipe {
  #hear: (word: NodeWord) => void = () => {};

  constructor() {
    process.on("message", (word) => this.#hear(word as NodeWord));
    process.once("disconnect", () => this.#hear({ kind: "end", withinMs: ORPHAN_MAX_MS }));
  }

  listen(hear: (word: NodeWord) => void): void {
    this.#hear = hear;
    // It may have ended while this program was loaded, when nobody heard it.
    if (!process.connected) hear({ kind: "end", withinMs: ORPHAN_MAX_MS });
  }

  /** Resolves when it is on its way; also when nobody is there any more. */
  tell(word: ProcessWord): Promise<void> {
    return new Promise((resolve) => {
      if (process.connected) process.send?.(word, undefined, {}, () => resolve());
      else resolve();
    });
  }
}

type Join = NodeWord & { readonly kind: "join" };

class ActorProcess {
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
    node.listen((word) => this.#take(word));
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
      case "load":
        return void this.#load(word.module, word.type);
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

  async #load(module: string, type: string): Promise<void> {
    try {
      const path = fileURLToPath(module);
      const found = (await loadActorModule(path)).find((known) => known.type === type);
      if (found === undefined) {
        const message = `${path} exports no actor type "${type}", so it cannot be made in another process; write: ${exportLine(type)}`;
        throw codeError("ActorModuleInvalid", message, { data: { path } });
      }
      this.#system?.register(found);
      await this.#node.tell({ kind: "loaded" });
    } catch (error) {
      await this.#node.tell({ kind: "failed", of: "loaded", error: failureOf(error, `loading ${type}`) });
    }
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

const node = new NodePipe();
node.listen((word) => {
  if (word.kind !== "join") return;
  // What has been compiled by now is what the next process needs.
  void new ActorProcess(node, word).opened.then(() => flushCompileCache());
});
