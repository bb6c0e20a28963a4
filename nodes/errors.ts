// What this room throws: codes and remedies. docs/errors.md lists them.

import { type ErrorKind, errorsFrom } from "../runtime/index.ts";

const NODE_ERRORS = {
  NatsServerMissing: {
    retryable: false,
    remedy:
      "Install nats-server 2.14.3 or newer, or Go, or let this machine reach the release page that the message names.",
  },
  NatsServerFailed: { retryable: false, remedy: "Read what the server said in the message." },
  GpuOverrideInvalid: {
    retryable: false,
    remedy: "Say none, a count, a list of indices or ids, or a declaration such as 2x80GiB:H100 (docs/gpus.md).",
  },
  GpuOverrideContradicted: {
    retryable: false,
    remedy: "Correct what was said about the GPUs, or leave it out: then those that are found are used.",
  },
  AmountsInvalid: {
    retryable: false,
    remedy: "Write amounts as name=number with commas between them: cpus=8,memory=64GiB,licence=3.",
  },
} satisfies Record<string, ErrorKind>;

export const nodeError = errorsFrom(NODE_ERRORS);
