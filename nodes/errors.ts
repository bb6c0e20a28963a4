// What this room throws: codes and remedies. docs/errors.md lists them.

import { type ErrorKind, errorsFrom } from "../runtime/index.ts";

const NODE_ERRORS = {
  NatsServerMissing: {
    retryable: false,
    remedy:
      "Install nats-server 2.14.3 or newer, or Go, or let this machine reach the release page that the message names.",
  },
  NatsServerFailed: { retryable: false, remedy: "Read what the server said in the message." },
  HostNeedsCredentials: {
    retryable: false,
    remedy: "Give credentials together with host (makeCredentials), or leave host out: then it listens on 127.0.0.1.",
  },
  CredentialsInvalid: {
    retryable: false,
    remedy: "Put the file back, or delete both files for new ones; then the nodes need the new node.creds too.",
  },
} satisfies Record<string, ErrorKind>;

export const nodeError = errorsFrom(NODE_ERRORS);
