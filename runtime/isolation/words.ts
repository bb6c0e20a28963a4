// What a node and the process or thread of one of its actors tell each other directly. Everything about the actor itself goes over the fleet.
// Between processes it is the pipe that Node puts there, between threads a port: it ends when either end does, and nobody else reads it.

import type { Address } from "../address.ts";
import type { ConnectOptions } from "../connect.ts";
import type { WireError } from "../envelope.ts";
import type { LogLine } from "../log.ts";

/** How a process joins the fleet of its node: with the node's own credentials, which is why this travels in no argument and no variable. */
export type JoinOptions = Pick<
  ConnectOptions,
  | "servers"
  | "user"
  | "pass"
  | "token"
  | "creds"
  | "nkeySeed"
  | "prefix"
  | "labels"
  | "allowCode"
  | "lease"
  | "callTimeoutMs"
  | "placer"
>;

export type NodeWord =
  | {
      readonly kind: "join";
      /** Name and id of the process among the nodes. */
      readonly name: string;
      /** The node it belongs to. */
      readonly parent: string;
      readonly options: JoinOptions;
      /** Modules to import ahead of time; what fails is tried again by `prepare`. */
      readonly modules: readonly string[];
    }
  /** Be ready for this actor; answered by `prepared` or `failed`. */
  | ({ readonly kind: "prepare" } & Preparation)
  /** This is your actor: end when it has ended. */
  | { readonly kind: "tend"; readonly address: Address }
  /** Hand over what can live elsewhere; answered by `drained`. */
  | { readonly kind: "drain" }
  | { readonly kind: "end"; readonly withinMs: number };

/** What an actor needs where it will live before it is made. */
export interface Preparation {
  readonly type: string;
  /** Set first. */
  readonly environment: Readonly<Record<string, string>>;
  /** URL of the module that exports its type; absent when that comes in a bundle. */
  readonly module?: string;
}

export type ProcessWord =
  | { readonly kind: "joined" }
  | { readonly kind: "prepared" }
  /** What it was asked to have done; after a failed `join` the process ends. */
  | { readonly kind: "failed"; readonly of: "joined" | "prepared"; readonly error: WireError }
  | { readonly kind: "drained" }
  | { readonly kind: "log"; readonly lines: readonly LogLine[] }
  /** It has left the fleet in order and ends now. */
  | { readonly kind: "left" };

const WORDS: ReadonlySet<unknown> = new Set<ProcessWord["kind"]>([
  "joined",
  "prepared",
  "failed",
  "drained",
  "log",
  "left",
]);

/** Whether it is one of ours: an actor's code may send over the same way. */
export function isProcessWord(value: unknown): value is ProcessWord {
  return typeof value === "object" && value !== null && WORDS.has((value as Partial<ProcessWord>).kind);
}
