// All names that a fleet uses on a NATS server, made from its prefix. Pure; nothing else builds one.
//
// N1  Everything begins with the prefix, so that several fleets can share a server and permissions can be given by prefix.
// N2  A stream's messages are told again under `tail` when they are stored: that is what watches and followers listen to (tail.ts).

import { runtimeError } from "../errors.ts";

export const FLEET_PREFIX = "flotilla";

/** Where one stream keeps its messages, and where the server tells of new ones; `key` is appended to both. */
export interface StreamNames {
  readonly stream: string;
  /** With the dot at its end. */
  readonly subjectPrefix: string;
  readonly tailPrefix: string;
}

export interface FleetNames {
  readonly prefix: string;
  readonly store: StreamNames;
  readonly events: StreamNames;
  readonly results: StreamNames;
  readonly blobs: StreamNames;
  /** The work queue's stream and subjects. */
  readonly queue: StreamNames;
  /** Frames for node `to` from node `from`; what `to` listens to is `frames(to, "*")`. */
  frames(to: string, from: string): string;
  /** Where node `from` hears that a frame for `to` found nobody; what it listens to is `losses(from, "*", "*")`. */
  losses(from: string, to: string, receipt: string): string;
}

const PREFIX = /^[A-Za-z0-9_-]{1,32}$/;

/** Throws InvalidOption. */
export function fleetNames(prefix: string = FLEET_PREFIX): FleetNames {
  if (!PREFIX.test(prefix)) {
    const expected = "1 to 32 letters, digits, _ and -";
    throw runtimeError("InvalidOption", `option prefix: expected ${expected}, got "${prefix}"`, {
      data: { option: "prefix", expected },
    });
  }
  const log = (name: string): StreamNames => ({
    stream: `${prefix}_${name}`,
    subjectPrefix: `${prefix}.${name}.`,
    tailPrefix: `${prefix}.tail.${name}.`,
  });
  const bucket = `${prefix}_store`;
  return {
    prefix,
    // The names of a JetStream key-value bucket, so that `nats kv` can look into it.
    store: { stream: `KV_${bucket}`, subjectPrefix: `$KV.${bucket}.`, tailPrefix: `${prefix}.tail.store.` },
    events: log("events"),
    results: log("results"),
    blobs: log("blobs"),
    queue: log("queue"),
    frames: (to, from) => `${prefix}.n.${to}.${from}`,
    losses: (from, to, receipt) => `${prefix}.l.${from}.${to}.${receipt}`,
  };
}
