// Stands between every call and its service: an error becomes a status (status.ts), and a call whose time is up or whose caller has left
// is answered at once, whatever the service does then.
//
// DO1  The caller's reason wins over what the service says of being stopped: a deadline is told as one.

import { Code, ConnectError, type Interceptor } from "@connectrpc/connect";
import { type StatusOptions, statusOf } from "./status.ts";

/** For the routers of the door. */
export function outcomes(options: Omit<StatusOptions, "procedure">): Interceptor {
  return (next) => async (request) => {
    const procedure = new URL(request.url).pathname;
    const failed = (error: unknown) => statusOf(error, { ...options, procedure });
    try {
      const response = await unlessAborted(next(request), request.signal);
      return response.stream
        ? { ...response, message: translated(response.message, request.signal, failed) }
        : response;
    } catch (error) {
      throw failed(error);
    }
  };
}

/** DO1: an answer that comes with the abort comes too late. */
function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(reasonOf(signal));
    if (signal.aborted) onAbort();
    signal.addEventListener("abort", onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

/** Over HTTP/1.1 a caller who leaves gives no reason of its own. */
const reasonOf = ({ reason }: AbortSignal): ConnectError =>
  reason instanceof ConnectError ? reason : new ConnectError("the caller left", Code.Canceled);

/** Ends at the abort, whatever the stream is waiting for then. */
async function* translated<T>(
  messages: AsyncIterable<T>,
  signal: AbortSignal,
  failed: (error: unknown) => ConnectError,
): AsyncGenerator<T> {
  const iterator = messages[Symbol.asyncIterator]();
  let isDone = false;
  try {
    for (;;) {
      const { done, value } = await unlessAborted(iterator.next(), signal);
      if (done) {
        isDone = true;
        return;
      }
      yield value;
    }
  } catch (error) {
    throw failed(error);
  } finally {
    // Not awaited: one that is stuck would keep the caller, and what it says now is said to nobody.
    if (!isDone) iterator.return?.().catch(() => {});
  }
}
