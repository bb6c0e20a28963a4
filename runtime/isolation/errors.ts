// What can go wrong with an actor that lives in a process of its own, before it lives there. What becomes of it later has the usual codes.

import { errorsFrom } from "../errors.ts";

export const processError = errorsFrom({
  ProcessFailed: {
    retryable: true,
    remedy: "Read in the message how the actor's own process ended; what it printed is in the node's log.",
  },
  ProcessLimit: {
    retryable: true,
    remedy: "The node has as many processes as it may; stop actors there, or spawn on another node.",
  },
  ProcessNeedsFleet: {
    retryable: false,
    remedy: 'Join a fleet, connect({ servers }), also for one machine; or spawn with isolation: "shared".',
  },
});
