// What this room throws: codes and remedies. docs/errors.md lists them.

import { type ErrorKind, errorsFrom } from "../runtime/index.ts";

const NODE_ERRORS = {
  NatsServerMissing: {
    retryable: false,
    remedy:
      "Install nats-server 2.14.3 or newer, or Go, or let this machine reach the release page that the message names.",
  },
  NatsServerFailed: { retryable: false, remedy: "Read what the server said in the message." },
  SimOptionInvalid: { retryable: false, remedy: "Correct the option of the simulator that the message names." },
  SimPortTaken: { retryable: false, remedy: "Give the simulator another port, or 0 for any free one." },
} satisfies Record<string, ErrorKind>;

export const nodeError = errorsFrom(NODE_ERRORS);
