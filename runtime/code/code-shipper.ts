// A script's side of code shipping: bundles the module of an actor type and puts it where nodes can fetch it.
//
// CS1  A module is bundled once, however many of its types are shipped and however often: the process runs one state of it anyway.
// CS2  What this process itself was sent goes on under the hash it came by.

import { hash as hashOf } from "node:crypto";
import type { ActorType } from "../actor.ts";
import type { Blobs } from "../blobs.ts";
import type { NodeRecord } from "../node-record.ts";
import { exportLine } from "./actor-module.ts";
import { bundleModule } from "./bundle.ts";
import { ownVersions, packCode } from "./code-format.ts";
import type { CodeLoader } from "./code-loader.ts";
import { codeError } from "./errors.ts";
import { runningScript } from "./running-script.ts";

export class CodeShipper {
  readonly #blobs: Blobs;
  readonly #loader: Pick<CodeLoader, "originOf">;
  readonly #shipped = new Map<string, Promise<string>>();

  constructor(blobs: Blobs, loader: Pick<CodeLoader, "originOf">) {
    this.#blobs = blobs;
    this.#loader = loader;
  }

  /** The code that a spawn of `type` on that node has to name: none where the node has the type, or loads no code. Throws as `ship`. */
  async codeFor(type: ActorType, record: NodeRecord | undefined): Promise<string | undefined> {
    if (record?.allowsCode !== true) return undefined;
    const isThere = record.types?.some((known) => known.type === type.type && known.version === type.version);
    return isThere ? undefined : this.ship(type);
  }

  /** Puts the module of `type` into the blobs and answers the hash. Throws BundleFailed, BundleTooLarge, and what blobs throw. */
  async ship(type: ActorType): Promise<string> {
    const origin = this.#loader.originOf(type);
    if (origin !== undefined) return origin;
    const { module } = type;
    if (module === undefined || !module.startsWith("file:")) {
      const message = `it is not known which file defines "${type.type}" (${module}); say so: ${exportLine(type.type, "{ module: import.meta.url }")}`;
      throw codeError("BundleFailed", message, { data: { type: type.type } });
    }
    let shipped = this.#shipped.get(module);
    if (shipped === undefined) {
      shipped = this.#put(module);
      this.#shipped.set(module, shipped);
      shipped.catch(() => this.#shipped.delete(module));
    }
    return shipped;
  }

  async #put(module: string): Promise<string> {
    refuseScript(module);
    const bytes = packCode(await bundleModule(module), ownVersions());
    const hash = hashOf("sha256", bytes);
    return (await this.#blobs.has(hash)) ? hash : this.#blobs.put(bytes);
  }
}

/**
 * Loading the running script on a node would run it there, to its end or to its `process.exit`, unless it asks whether it is the one that
 * runs. Asked of the source, and before it is bundled: what a whole script imports may fail for lesser reasons.
 */
function refuseScript(module: string): void {
  const main = runningScript(module);
  if (main === undefined) return;
  const message = `${main} is the script that runs, and loading it on a node would run it there`;
  const remedy = "move the actors into a module of their own, or do the rest only if (import.meta.main)";
  throw codeError("BundleFailed", `${message}; ${remedy}`, { data: { path: main } });
}
