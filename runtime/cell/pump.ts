// Drives one streamed reply at the actor's side: one step of the generator for each chunk the reader has given credit for.
//
// P1  Without credit the generator is not resumed, so a slow reader holds a fast producer.
// P2  A cancelled or stashed stream returns its generator, so that `finally` blocks run; nothing is sent any more.

import { isThenable } from "../thenable.ts";
import type { Message } from "./message.ts";

/** Runs until the generator ends, throws, or its message is cancelled. Rejects with what the generator threw. */
export async function pump(
  message: Message,
  chunks: Iterator<unknown> | AsyncIterator<unknown>,
  isStashed: () => boolean,
): Promise<void> {
  while (message.cancelled === undefined) {
    if (message.credit === 0) {
      await nextWake(message);
      continue;
    }
    const step = chunks.next();
    const { done, value } = isThenable(step) ? await step : step;
    if (message.cancelled !== undefined || isStashed()) break;
    if (done) return message.sink?.end();
    if (message.credit !== undefined) message.credit--;
    message.hasBegun = true;
    message.sink?.chunk(value);
  }
  await chunks.return?.(undefined);
}

function nextWake(message: Message): Promise<void> {
  return new Promise((resolve) => {
    message.wake = () => {
      message.wake = undefined;
      resolve();
    };
  });
}
