// What this room throws: codes and remedies. docs/errors.md lists them.

import { type ErrorKind, errorsFrom } from "../runtime/index.ts";

const NODE_ERRORS = {
  NatsServerMissing: {
    retryable: false,
    remedy:
      "Install nats-server 2.14.3 or newer, or Go, or let this machine reach the release page that the message names.",
  },
  NatsServerFailed: { retryable: false, remedy: "Read what the server said in the message." },
  TokenizerFailed: {
    retryable: true,
    remedy: "See whether the model server at that address runs; it may be starting, busy or gone.",
  },
  TokenizerRefused: { retryable: false, remedy: "Correct the model's name or the messages, as the message says." },
} satisfies Record<string, ErrorKind>;

export const nodeError = errorsFrom(NODE_ERRORS);
