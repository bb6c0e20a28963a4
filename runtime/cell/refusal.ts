// The reasons an actor gives for not taking a message, each a failure with what the caller needs to do better.

import type { ActorType } from "../actor.ts";
import type { WireError } from "../envelope.ts";
import { failure } from "../failure.ts";

const RETRY_MAX_MS = 5_000;

export function goneFailure(label: string): WireError {
  return failure("NoSuchActor", `no actor at ${label}: it is gone or never was there`, { address: label });
}

/** For one that is made again elsewhere: what was sent has certainly not begun. */
export function movedFailure(label: string): WireError {
  return failure("Unavailable", `${label} was given up by its node; it is made again, there or on another node`, {
    address: label,
  });
}

export function lateFailure(): WireError {
  return failure("DeadlineExceeded", "the deadline passed before the actor got to it; it did not run");
}

/** For what is still in hand when an actor has been stopped. */
export function stoppedFailure(label: string, isMoved: boolean): WireError {
  if (!isMoved) return failure("ActorEnded", `${label} was stopped`);
  return failure("ActorRestarted", `${label} was moved to another node while it worked on this`);
}

/** `perMs`: messages the actor has handled per millisecond so far. */
export function fullFailure(label: string, max: number, perMs: number): WireError {
  // The time in which a tenth of the queue drains at the pace so far: soon enough to try, late enough to find room.
  const retryAfterMs = Math.min(RETRY_MAX_MS, Math.max(1, Math.ceil(max / 10 / Math.max(perMs, 0.001))));
  return failure("MailboxFull", `the mailbox of ${label} holds ${max} messages and takes no more`, {
    max,
    retryAfterMs,
  });
}

/** Why `type` cannot answer `method`: it has none of that name, or not of the kind that is wanted. */
export function unfitFailure(type: ActorType, method: string, isStreamWanted: boolean): WireError {
  const name = `${type.type}.${method}`;
  if (!type.methods.has(method)) {
    const methods = [...type.methods.keys()];
    const all = methods.join(", ") || "none";
    return failure("NoSuchMethod", `there is no method ${name}; ${type.type} has ${all}`, { methods });
  }
  const remedy = isStreamWanted
    ? "answers once; await it instead of iterating it"
    : "streams; iterate it with for await";
  return failure("WrongKind", `${name} ${remedy}`);
}

/** `chain`: links of the messages that wait, outermost first ("counter/17@north#3"). */
export function deadlockFailure(chain: readonly string[], label: string): WireError {
  const path = [...chain.map((link) => link.slice(0, link.lastIndexOf("#"))), label];
  return failure("Deadlock", `actors wait for each other: ${path.join(" → ")}`, { path });
}
