// The actor types of one process by name, and which of them a spawn request means.
// It does not load code (code/code-loader.ts) and makes no actors (host.ts).
//
// TY1  A type the process has by itself is used for requests of the same name and version, whatever code they name.
// TY2  Code that scripts bring lives beside it, one class for each bundle: live actors keep the class they were made from.
// TY3  A request is never answered with another version than it asks for.

import type { ActorType } from "./actor.ts";
import { exportLine } from "./code/actor-module.ts";
import { addType, type CodeLoader } from "./code/code-loader.ts";
import { codeError } from "./code/errors.ts";
import { runningScript } from "./code/running-script.ts";
import { type FlotillaError, runtimeError } from "./errors.ts";

/** The part of a spawn request that names a class. */
export interface TypeRequest {
  readonly type: string;
  readonly version: string;
  /** Hash of a bundle that has the type, for a process that has not. */
  readonly code?: string;
}

export class Types {
  readonly #node: string;
  readonly #code: CodeLoader;
  readonly #types = new Map<string, ActorType>();

  constructor(node: string, code: CodeLoader) {
    this.#node = node;
    this.#code = code;
  }

  /**
   * Makes a type known by its name; answers the hash of the code it came in, if a script brought it.
   * Throws InvalidOption for two classes of one name.
   */
  register(type: ActorType): string | undefined {
    if (this.#types.get(type.type) === type) return undefined;
    const code = this.#code.originOf(type);
    if (code === undefined) addType(this.#types, type);
    return code;
  }

  /** The type of that name, own or brought: enough to know its methods, not its version. */
  typeOf(name: string): ActorType | undefined {
    return this.#types.get(name) ?? this.#code.typeOf(name);
  }

  /** How a spawn request names a type the process has. Throws UnknownActorType. */
  own(name: string): TypeRequest {
    const known = this.typeOf(name);
    if (known === undefined) throw this.#unknown(name);
    const code = this.#code.originOf(known);
    return { type: name, version: known.version, ...(code !== undefined && { code }) };
  }

  /** The types the process has by itself. */
  list(): readonly { readonly type: string; readonly version: string }[] {
    return [...this.#types.values()].map(({ type, version }) => ({ type, version }));
  }

  /** The class a request means. Throws UnknownActorType, VersionSkew, CodeNotAllowed, and what loading throws. */
  find(request: TypeRequest): ActorType | Promise<ActorType> {
    return this.#ownOf(request) ?? this.#brought(request, request.code as string);
  }

  /**
   * URL of the module that has the class a request means, for a process that imports it anew; undefined for one that came in a bundle.
   * Throws UnknownActorType, VersionSkew, ActorModuleInvalid.
   */
  moduleOf(request: TypeRequest): string | undefined {
    const own = this.#ownOf(request);
    if (own === undefined) return undefined;
    const { type, module } = own;
    if (module === undefined || !module.startsWith("file:")) {
      const remedy = exportLine(type, "{ module: import.meta.url }");
      const message = `it is not known which file defines "${type}" (${module}), so no other process can import it; say so: ${remedy}`;
      throw codeError("ActorModuleInvalid", message, { data: { type } });
    }
    const script = runningScript(module);
    if (script === undefined) return module;
    const message = `${script} defines "${type}" and is the program that runs, so importing it in another process would run it there`;
    const remedy = "move the actors into a module of their own, or do the rest only if (import.meta.main)";
    throw codeError("ActorModuleInvalid", `${message}; ${remedy}`, { data: { type, path: script } });
  }

  /** The process's own class for a request; undefined when it comes in a bundle. */
  #ownOf(request: TypeRequest): ActorType | undefined {
    const known = this.#types.get(request.type);
    if (known !== undefined && known.version === request.version) return known;
    if (known !== undefined && !(request.code !== undefined && this.#code.allowed))
      throw this.#skew(request, known.version);
    if (request.code === undefined) throw this.#unknown(request.type);
    return undefined;
  }

  async #brought(request: TypeRequest, code: string): Promise<ActorType> {
    const type = await this.#code.load(code, request.type);
    if (type.version === request.version) return type;
    // The file was changed between the script's start and its bundling.
    const message = `the script runs ${request.type} version "${request.version}" and its file now holds "${type.version}"; start the script again`;
    throw codeError("VersionSkew", message, { data: { ours: type.version, theirs: request.version } });
  }

  #skew({ type, version }: TypeRequest, own: string): FlotillaError {
    const message = `${this.#node} has ${type} version "${own}" and the caller asks for version "${version}"`;
    const remedy = `run the script with version "${own}", or start the node with version "${version}" or with allowCode: true`;
    return codeError("VersionSkew", `${message}; ${remedy}`, { data: { type, ours: own, theirs: version } });
  }

  #unknown(type: string): FlotillaError {
    const known = [...this.#types.keys()].join(", ") || "none";
    return runtimeError("UnknownActorType", `no actor type "${type}" on ${this.#node}; known: ${known}`);
  }
}
