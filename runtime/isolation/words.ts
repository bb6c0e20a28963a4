// What a node and one of its processes tell each other over the pipe between them. Everything about the actor itself goes over the fleet.
// The pipe is the one that Node puts between a process and its child: it ends when either does, and nobody else reads it.

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
>;

export type NodeWord =
  | {
      readonly kind: "join";
      /** Name and id of the process among the nodes. */
      readonly name: string;
      /** The node it belongs to. */
      readonly parent: string;
      readonly options: JoinOptions;
      /** Modules to import ahead of time; what fails is tried again by `load`. */
      readonly modules: readonly string[];
    }
  /** Import a module and have this type of it ready; answered by `loaded` or `failed`. */
  | { readonly kind: "load"; readonly module: string; readonly type: string }
  /** This is your actor: end when it has ended. */
  | { readonly kind: "tend"; readonly address: Address }
  /** Hand over what can live elsewhere; answered by `drained`. */
  | { readonly kind: "drain" }
  | { readonly kind: "end"; readonly withinMs: number };

export type ProcessWord =
  | { readonly kind: "joined" }
  | { readonly kind: "loaded" }
  /** What it was asked to have done; after a failed `join` the process ends. */
  | { readonly kind: "failed"; readonly of: "joined" | "loaded"; readonly error: WireError }
  | { readonly kind: "drained" }
  | { readonly kind: "log"; readonly lines: readonly LogLine[] }
  /** It has left the fleet in order and ends now. */
  | { readonly kind: "left" };

const WORDS: ReadonlySet<unknown> = new Set<ProcessWord["kind"]>([
  "joined",
  "loaded",
  "failed",
  "drained",
  "log",
  "left",
]);

/** Whether it is one of ours: an actor's code may send over the pipe as well. */
export function isProcessWord(value: unknown): value is ProcessWord {
  return typeof value === "object" && value !== null && WORDS.has((value as Partial<ProcessWord>).kind);
}
