// Asks a publisher of KV-cache events for batches that were missed. One question, then it is closed.
//
//     we → ROUTER    "" | first sequence wanted: 8 bytes, big-endian
//     ROUTER → we    "" | topic | sequence | payload      each batch it still has from there on (older servers leave the topic out)
//                    "" | "" | -1 | ""                    the end
//
// KR1  It ends: with the mark, when `timeoutMs` passes without a batch, when the signal aborts, or after REPLAY_MAX batches.

import { Dealer } from "zeromq";
import type { Clock } from "../../runtime/index.ts";
import { sequenceIn } from "./kv-batch.ts";

/** Ten times what a server keeps unless told otherwise. */
export const REPLAY_MAX = 100_000;
const END = -1;

export interface ReplayOptions {
  /** "tcp://127.0.0.1:5558". */
  readonly endpoint: string;
  /** The first batch wanted. */
  readonly from: number;
  readonly clock: Clock;
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** Gives every batch that comes, as frames, to `take`; resolves with whether the end was reached. */
export async function replay(options: ReplayOptions, take: (frames: readonly Buffer[]) => void): Promise<boolean> {
  const { endpoint, from, clock, timeoutMs, signal } = options;
  if (signal.aborted) return false;
  const socket = new Dealer({ linger: 0, receiveHighWaterMark: REPLAY_MAX });
  const close = () => socket.close();
  signal.addEventListener("abort", close, { once: true });
  let timer = clock.schedule(timeoutMs, close);
  try {
    socket.connect(endpoint);
    const first = Buffer.alloc(8);
    first.writeBigUInt64BE(BigInt(from));
    await socket.send([Buffer.alloc(0), first]);
    for (let count = 0; count < REPLAY_MAX; count++) {
      const frames = await socket.receive();
      if (sequenceIn(frames.at(-2) ?? first.subarray(1)) === END) return true;
      timer.cancel();
      timer = clock.schedule(timeoutMs, close);
      take(frames);
    }
    return false;
  } catch {
    // Closed while it waited: by the time-out or by whoever asked.
    return false;
  } finally {
    timer.cancel();
    signal.removeEventListener("abort", close);
    socket.close();
  }
}
