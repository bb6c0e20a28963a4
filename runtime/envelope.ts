// The words on the wire: one message between two nodes with everything needed to route and judge it. Plain data only.
// It is not how they are encoded (codec.ts), batched (outbox.ts) or carried (transport.ts).
//
// E1  `id` is chosen by the asking node and is unique there; answers carry it back. Nobody answers a cast.
// E2  `deadlineMs` is absolute. After it nobody cares: the message is not started and its answer is dropped.
// E3  A chunk's `sequence` starts at 0 and grows by one; a gap or a repeat ends the stream with an error, never with wrong data.
// E4  A node that does not know an envelope's kind or version counts and drops the frame.

import type { Address } from "./address.ts";
import type { ErrorData } from "./errors.ts";
import type { LogLine } from "./log.ts";
import type { TaskAttempt } from "./tasks/task.ts";
import type { TypeRequest } from "./types.ts";

/** What an error is while it travels. `cause` is what the actor's own code threw. */
export interface WireError {
  readonly code: string;
  readonly message: string;
  readonly retryable: boolean;
  readonly data: ErrorData;
  readonly cause?: WireCause;
}

export interface WireCause {
  readonly name: string;
  readonly message: string;
  readonly stack: string;
}

/** Why an actor is no more. */
export interface ActorEnd {
  readonly address: Address;
  /** `stopped` and `killed` were asked for; `failed` is the supervisor's verdict; `unknown` was never there or long gone. */
  readonly reason: "stopped" | "killed" | "failed" | "unknown";
  /** Present when `failed`: what ended it. */
  readonly error?: WireError;
}

/** What only some calls carry. */
export interface CallExtras {
  /** "bulk"; absent for interactive. */
  readonly lane?: "bulk";
  /** Idempotency key. */
  readonly key?: string;
  /** W3C traceparent and tracestate. */
  readonly trace?: string;
  readonly traceState?: string;
  /** The task attempt this call runs for. */
  readonly attempt?: TaskAttempt;
}

export interface SpawnEnvelope {
  readonly kind: "spawn";
  readonly id: number;
  readonly type: string;
  readonly options: Readonly<Record<string, unknown>>;
  readonly deadlineMs: number;
}

export interface CallEnvelope {
  readonly kind: "call";
  readonly id: number;
  readonly to: Address;
  readonly method: string;
  readonly args: readonly unknown[];
  readonly deadlineMs: number;
  /** Printed addresses of the actors that wait for this call, outermost first. */
  readonly chain: readonly string[];
  /** Present when the answer is wanted as a stream: chunks that may be sent before more credit comes. */
  readonly credit?: number;
  readonly extras?: CallExtras;
}

export interface CastEnvelope {
  readonly kind: "cast";
  readonly to: Address;
  readonly method: string;
  readonly args: readonly unknown[];
  readonly deadlineMs: number;
  readonly extras?: CallExtras;
}

export type ReplyEnvelope =
  | { readonly kind: "reply"; readonly id: number; readonly value: unknown }
  | { readonly kind: "chunk"; readonly id: number; readonly sequence: number; readonly value: unknown }
  | { readonly kind: "end"; readonly id: number; readonly sequence: number }
  | { readonly kind: "error"; readonly id: number; readonly error: WireError };

export type ControlEnvelope =
  | { readonly kind: "cancel"; readonly id: number; readonly reason: string }
  | { readonly kind: "credit"; readonly id: number; readonly count: number }
  /** Have the code of a type ready, and take its tasks: for tasks of a type that no node has by itself. */
  | { readonly kind: "load"; readonly id: number; readonly request: TypeRequest; readonly deadlineMs: number }
  | {
      readonly kind: "stop";
      readonly id: number;
      readonly to: Address;
      readonly how: "stop" | "kill";
      readonly timeoutMs: number;
    }
  | { readonly kind: "watch"; readonly id: number; readonly to: Address }
  | { readonly kind: "unwatch"; readonly id: number; readonly to: Address }
  | { readonly kind: "signal"; readonly id: number; readonly end: ActorEnd }
  /** What actors here log whose owner the other node is. */
  | { readonly kind: "log"; readonly id: number; readonly lines: readonly LogLine[] }
  /** Frames may have been lost: these are all that the sender waits for. Answered by `forgotten` with those that nobody works on. */
  | { readonly kind: "probe"; readonly id: number; readonly ids: readonly number[] }
  | { readonly kind: "forgotten"; readonly id: number; readonly ids: readonly number[] }
  /** The sender's connection broke and is there again: probe what you wait for. */
  | { readonly kind: "reconnected"; readonly id: number }
  /** The sender has given up this actor of its own, whose entry is `key`: look the entry up. */
  | { readonly kind: "moved"; readonly id: number; readonly actor: string; readonly key: string }
  /** An envelope of kind `of` with this `id` (0: it has none) is too large to travel: its frame is in blobs under the hash. Alone in its frame. */
  | { readonly kind: "blob"; readonly id: number; readonly of: string; readonly hash: string }
  /** Beside what went to blobs: makes its bytes unlike all others, so that who has loaded them may delete them. Means nothing. */
  | { readonly kind: "stamp"; readonly id: number; readonly by: string };

export type Envelope = SpawnEnvelope | CallEnvelope | CastEnvelope | ReplyEnvelope | ControlEnvelope;
