// The way from the program of one actor to its node, from the program's end: Node's pipe between processes, or the port of a thread.
// Nobody else reads it; what it carries is in words.ts.

import { isMainThread, type MessagePort, parentPort } from "node:worker_threads";
import type { NodeWord, ProcessWord } from "./words.ts";

export interface NodePipe {
  /** `hear` takes the node's words from now on, in place of whoever took them before; `gone` is called once when there is no node any more. */
  listen(hear: (word: NodeWord) => void, gone: () => void): void;
  /** Resolves when it is on its way; also when nobody is there any more. */
  tell(word: ProcessWord): Promise<void>;
}

export function openNodePipe(): NodePipe {
  return isMainThread || parentPort === null ? new ProcessPipe() : new ThreadPipe(parentPort);
}

class ProcessPipe implements NodePipe {
  #hear: (word: NodeWord) => void = () => {};
  #gone: () => void = () => {};

  constructor() {
    process.on("message", (word) => this.#hear(word as NodeWord));
    process.once("disconnect", () => this.#gone());
  }

  listen(hear: (word: NodeWord) => void, gone: () => void): void {
    this.#hear = hear;
    this.#gone = gone;
    // It may have ended while this program was loaded, when nobody heard it.
    if (!process.connected) gone();
  }

  tell(word: ProcessWord): Promise<void> {
    return new Promise((resolve) => {
      if (process.connected) process.send?.(word, undefined, {}, () => resolve());
      else resolve();
    });
  }
}

/** A thread ends with its node's process: it never hears that it is alone. */
class ThreadPipe implements NodePipe {
  readonly #port: MessagePort;
  #hear: (word: NodeWord) => void = () => {};

  constructor(port: MessagePort) {
    this.#port = port;
    port.on("message", (word) => this.#hear(word as NodeWord));
  }

  listen(hear: (word: NodeWord) => void): void {
    this.#hear = hear;
  }

  async tell(word: ProcessWord): Promise<void> {
    this.#port.postMessage(word);
  }
}
