// What a node may do on a NATS server: each subject that the files beside this one publish to and listen on, and none else.
// It is data for a server's config (nodes/nats-server.ts); the server decides by it.
//
// PM1  Streams are made, changed and deleted by an administrator's identity alone. A node may purge two: the queue, from which a cancelled
//      task is taken (queue.ts), and blobs, of which a deleted one leaves its chunks (blobs.ts).
// PM2  Nobody publishes what only the server says: replies to an inbox, losses, and `tail`.
// PM3  The nodes of a fleet have one identity: the server keeps strangers out and other fleets apart, not one node from another.

import { type FleetNames, fleetNames, type StreamNames } from "./subjects.ts";

/** Subjects, with wildcards, that a connection may publish to and listen on. */
export interface NatsPermissions {
  readonly publish: readonly string[];
  readonly subscribe: readonly string[];
}

/** Every connection's own replies (connection.ts): `_I.<name>.<random>.…`. */
const INBOXES = "_I.>";

/** What the connection of a node, or of a script, may do in the fleet with this prefix. Throws InvalidOption. */
export function nodePermissions(prefix?: string): NatsPermissions {
  const names = fleetNames(prefix);
  const streams = [names.store, names.events, names.results, names.blobs, names.queue];
  return {
    publish: [
      names.frames("*", "*"),
      "$JS.API.INFO",
      ...streams.flatMap(({ subjectPrefix }) => `${subjectPrefix}>`),
      ...streams.flatMap(readSubjects),
      ...takeSubjects(names),
      ...[names.queue, names.blobs].map(({ stream }) => `$JS.API.STREAM.PURGE.${stream}`),
    ],
    subscribe: [names.frames("*", "*"), names.losses("*", "*", "*"), ...tailSubjects(names), INBOXES],
  };
}

const readSubjects = ({ stream }: StreamNames): string[] => [
  `$JS.API.STREAM.INFO.${stream}`,
  `$JS.API.STREAM.MSG.GET.${stream}`,
  `$JS.API.DIRECT.GET.${stream}`,
  `$JS.API.DIRECT.GET.${stream}.>`,
];

/** Consumers of the queue, and acknowledgements in both of their forms (pulls.ts). */
const takeSubjects = ({ queue: { stream } }: FleetNames): string[] => [
  `$JS.API.CONSUMER.CREATE.${stream}.>`,
  `$JS.API.CONSUMER.MSG.NEXT.${stream}.*`,
  `$JS.ACK.${stream}.>`,
  `$JS.ACK.*.*.${stream}.>`,
];

/** The queue is not told again: items are for whoever takes them. */
const tailSubjects = ({ store, events, results, blobs }: FleetNames): string[] =>
  [store, events, results, blobs].map(({ tailPrefix }) => `${tailPrefix}>`);
