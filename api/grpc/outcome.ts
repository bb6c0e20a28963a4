// Stands between every call and its service: an error becomes a status (status.ts), and a call whose time is up or whose caller has left
// is answered at once, whatever the service does then.
//
// DO1  The caller's reason wins over what the service says of being stopped: a deadline is told as one.

import { ConnectError, type Interceptor } from "@connectrpc/connect";
import { type StatusOptions, statusOf } from "./status.ts";

/** For the routers of the door. */
export function outcomes(options: Omit<StatusOptions, "procedure">): Interceptor {
  return (next) => async (request) => {
    const procedure = new URL(request.url).pathname;
    const failed = (error: unknown) => statusOf(reasonOf(request.signal) ?? error, { ...options, procedure });
    try {
      const response = await unlessAborted(next(request), request.signal);
      return response.stream ? { ...response, message: translated(response.message, failed) } : response;
    } catch (error) {
      throw failed(error);
    }
  };
}

const reasonOf = ({ aborted, reason }: AbortSignal): ConnectError | undefined =>
  aborted && reason instanceof ConnectError ? reason : undefined;

function unlessAborted<T>(answer: Promise<T>, signal: AbortSignal): Promise<T> {
  return new Promise((resolve, reject) => {
    const onAbort = () => reject(signal.reason);
    signal.addEventListener("abort", onAbort, { once: true });
    answer.then(resolve, reject).finally(() => signal.removeEventListener("abort", onAbort));
  });
}

async function* translated<T>(messages: AsyncIterable<T>, failed: (error: unknown) => ConnectError): AsyncGenerator<T> {
  try {
    yield* messages;
  } catch (error) {
    throw failed(error);
  }
}
