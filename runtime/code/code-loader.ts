// A node's side of code shipping: fetches a bundle by its hash, loads it, and answers the actor types in it.
// It is no sandbox: what the operator lets in runs with all the rights of the process.
//
// CL1  Nothing is fetched, written or run unless the operator allowed it.
// CL2  A text runs only if its bytes have the hash it was asked by.
// CL3  One hash is one module: loaded once, however many ask and however often.
// CL4  A module that connects while it loads is refused, and nobody waits longer than LOAD_MAX_MS for one.

import { AsyncLocalStorage } from "node:async_hooks";
import { hash as hashOf } from "node:crypto";
import { mkdtemp, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pathToFileURL } from "node:url";
import type { ActorType } from "../actor.ts";
import type { Blobs } from "../blobs.ts";
import { type Clock, finishesWithin } from "../clock.ts";
import { isFlotillaError, runtimeError } from "../errors.ts";
import type { LogSink } from "../log.ts";
import { actorTypesIn, exportLine } from "./actor-module.ts";
import { ownVersions, unpackCode } from "./code-format.ts";
import { codeError } from "./errors.ts";
import { whileLoading } from "./loading.ts";
import { RUNTIME_SPECIFIER, runtimeUrl } from "./runtime-door.ts";

const LOAD_MAX_MS = 10_000;

/** Modules can never be unloaded, so a process must not gather them without end. */
const MODULES_MAX = 1_000;

export interface CodeLoaderOptions {
  readonly node: string;
  /** Whether the operator lets scripts bring code (CL1). */
  readonly allowed: boolean;
  readonly blobs: Blobs;
  readonly clock: Clock;
  readonly log: LogSink;
}

interface LoadedModule {
  readonly hash: string;
  readonly types: Map<string, ActorType>;
}

/** "code 1f2e3d4c5b6a": a hash as people read it. */
const labelOf = (hash: string): string => `code ${String(hash).slice(0, 12)}`;

/** Adds a type under its name. Throws InvalidOption for two classes of one name. */
export function addType(types: Map<string, ActorType>, type: ActorType): void {
  const known = types.get(type.type);
  if (known === type) return;
  if (known !== undefined && known.actorClass !== type.actorClass) {
    throw runtimeError("InvalidOption", `two classes are called "${type.type}"; give one of them another type name`);
  }
  types.set(type.type, type);
}

export class CodeLoader {
  readonly allowed: boolean;
  readonly #options: CodeLoaderOptions;
  readonly #modules = new Map<string, Promise<LoadedModule>>();
  readonly #byUrl = new Map<string, LoadedModule>();
  readonly #latest = new Map<string, ActorType>();
  /** A module belongs to no message, whichever one happened to ask for it first. */
  readonly #outside = AsyncLocalStorage.snapshot();
  #folder: Promise<string> | undefined;
  #closed = false;

  constructor(options: CodeLoaderOptions) {
    this.#options = options;
    this.allowed = options.allowed;
  }

  /**
   * The type of that name in the bundle of that hash.
   * Throws CodeNotAllowed, CodeMissing, CodeCorrupt, VersionSkew, CodeLoadFailed, ConnectWhileLoading, CodeNotExported, Closed.
   */
  async load(hash: string, name: string): Promise<ActorType> {
    if (!this.allowed) throw this.#notAllowed(name);
    const { types } = await this.#module(hash);
    const type = types.get(name);
    if (type === undefined) {
      const known = [...types.keys()].join(", ") || "none";
      const message = `${labelOf(hash)} exports no actor type "${name}"; exported: ${known}; write: ${exportLine(name)}`;
      throw codeError("CodeNotExported", message, { data: { type: name, exported: [...types.keys()] } });
    }
    return type;
  }

  /** The hash of the bundle that `type` came in; undefined for the process's own. What shipped code spawns is known by this too. */
  originOf(type: ActorType): string | undefined {
    const module = type.module === undefined ? undefined : this.#byUrl.get(type.module);
    if (module === undefined) return undefined;
    addType(module.types, type);
    return module.hash;
  }

  /** The type of that name that was loaded last, in whatever bundle. */
  typeOf(name: string): ActorType | undefined {
    return this.#latest.get(name);
  }

  #notAllowed(name: string) {
    const { node } = this.#options;
    const message = `${node} does not have actor type "${name}" and loads no code from scripts (allowCode)`;
    return codeError("CodeNotAllowed", message, { data: { type: name, node } });
  }

  #module(hash: string): Promise<LoadedModule> {
    let module = this.#modules.get(hash);
    if (module === undefined) {
      module = this.#load(hash);
      this.#modules.set(hash, module);
      // What failed is tried again: the bytes may come yet. One that threw stays broken, because Node remembers that itself.
      module.catch(() => this.#modules.delete(hash));
    }
    return module;
  }

  async #load(hash: string): Promise<LoadedModule> {
    if (this.#closed) throw runtimeError("Closed", "the system was closed");
    if (this.#modules.size >= MODULES_MAX) {
      throw this.#loadFailed(hash, `the node holds ${MODULES_MAX} modules, the most it may; start it again`);
    }
    const text = await this.#fetch(hash);
    const url = await this.#write(hash, text);
    const module = { hash, types: new Map<string, ActorType>() };
    for (const type of actorTypesIn(await this.#import(hash, url))) {
      addType(module.types, type);
      this.#latest.set(type.type, type);
    }
    this.#byUrl.set(url, module);
    this.#tell(hash, text.length, [...module.types.values()]);
    return module;
  }

  async #fetch(hash: string): Promise<string> {
    const data = { code: hash };
    // It came from another process: whatever it is, it must not be more than a name that nothing has.
    const bytes = typeof hash === "string" ? await this.#options.blobs.get(hash) : undefined;
    if (bytes === undefined) throw codeError("CodeMissing", `${labelOf(hash)} is not in the blobs`, { data });
    if (hashOf("sha256", bytes) !== hash) {
      throw codeError("CodeCorrupt", `${labelOf(hash)} came with bytes of another hash`, { data });
    }
    return unpackCode(bytes, ownVersions(), labelOf(hash));
  }

  /** Writes where only this user may look, and answers the URL. The hash has been checked, so it is a safe file name (CL2). */
  async #write(hash: string, text: string): Promise<string> {
    try {
      this.#folder ??= makeFolder();
      const path = join(await this.#folder, `${hash}.mjs`);
      await writeFile(path, text, { mode: 0o600 });
      return pathToFileURL(path).href;
    } catch (error) {
      throw this.#loadFailed(hash, `it cannot be written: ${String(error)}`, error);
    }
  }

  async #import(hash: string, url: string): Promise<Readonly<Record<string, unknown>>> {
    const label = labelOf(hash);
    const importing: Promise<Readonly<Record<string, unknown>>> = this.#outside(() =>
      whileLoading(label, () => import(url)),
    );
    const isDone = await finishesWithin(this.#options.clock, LOAD_MAX_MS, (done) => void importing.then(done, done));
    if (!isDone) throw this.#loadFailed(hash, `its top level did not end within ${LOAD_MAX_MS / 1_000} s`);
    return importing.catch((error: unknown) => {
      if (isFlotillaError(error, "ConnectWhileLoading")) throw error;
      throw this.#loadFailed(hash, `it threw ${String(error)}`, error);
    });
  }

  #loadFailed(hash: string, why: string, cause?: unknown) {
    const { node } = this.#options;
    return codeError("CodeLoadFailed", `${labelOf(hash)} cannot be loaded on ${node}: ${why}`, {
      data: { code: hash },
      cause,
    });
  }

  /** An operator can see what was let in. */
  #tell(hash: string, length: number, types: readonly ActorType[]): void {
    const { node, clock, log } = this.#options;
    const data = { code: hash, length, types: types.map(({ type, version }) => ({ type, version })) };
    log({ level: "info", atMs: clock.now(), node, message: `loaded ${labelOf(hash)}`, data });
  }

  /** Removes what was written; what was loaded stays loaded. May be called twice. */
  async close(): Promise<void> {
    this.#closed = true;
    const folder = await this.#folder?.catch(() => undefined);
    if (folder !== undefined) await rm(folder, { recursive: true, force: true });
  }
}

/** A folder of this process alone (mode 0700), with the runtime under the name that bundles know it by. */
async function makeFolder(): Promise<string> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "flotilla-code-")));
  await writeFile(join(folder, RUNTIME_SPECIFIER), `export * from ${JSON.stringify(runtimeUrl())};\n`, { mode: 0o600 });
  return folder;
}
