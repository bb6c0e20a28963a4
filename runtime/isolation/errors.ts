// What can go wrong with the process or thread of one actor. Callers of an actor that lived there get the usual codes, which say why in their words.

import { errorsFrom } from "../errors.ts";

export const processError = errorsFrom({
  ProcessFailed: {
    retryable: true,
    remedy: "Read in the message how the actor's own process or thread ended; what it printed is in the node's log.",
  },
  ProcessLimit: {
    retryable: true,
    remedy:
      "The node has as many processes and threads for single actors as it may; stop some, or spawn on another node.",
  },
  ProcessNeedsFleet: {
    retryable: false,
    remedy: 'Join a fleet, connect({ servers }), also for one machine; or spawn with isolation: "shared".',
  },
  ProcessOutOfMemory: {
    retryable: false,
    remedy: "The message names the limit: ask for more with resources.memoryBytes, or have the actor keep less.",
  },
});
