// Hears the KV events of a model server, and asks for those it missed. It decodes what vLLM publishes; it keeps no view of the cache.

import { Unpackr } from "msgpackr";
import { Dealer, Subscriber } from "zeromq";

export interface KvBatch {
  readonly topic: string;
  readonly sequence: bigint;
  /** Seconds since the epoch. */
  readonly ts: number;
  /** Maps, or arrays from older releases. */
  readonly events: readonly KvEvent[];
  readonly rank: number;
}

export type KvEvent = Readonly<Record<string, unknown>> | readonly unknown[];

export interface KvListener extends AsyncDisposable {
  readonly batches: readonly KvBatch[];
}

/** 64-bit numbers are BigInt: a hash as a number would lose its low bits. */
const unpackr = () => new Unpackr({ useRecords: false, mapsAsObjects: true, int64AsType: "bigint" });

function batchOf([topic, sequence, payload]: readonly (Buffer | undefined)[]): KvBatch {
  if (topic === undefined || sequence?.length !== 8 || payload === undefined) throw new Error("not three frames");
  const [ts, events, rank] = unpackr().unpack(payload) as [number, KvEvent[], number];
  return { topic: topic.toString(), sequence: sequence.readBigUInt64BE(), ts, events, rank };
}

/** Listens from now on; what was published before is not heard. */
export function listenToKv(endpoint: string): KvListener {
  const socket = new Subscriber();
  socket.connect(endpoint);
  socket.subscribe("");
  const batches: KvBatch[] = [];
  const heard = (async () => {
    for await (const frames of socket) batches.push(batchOf(frames));
  })();
  return {
    batches,
    async [Symbol.asyncDispose]() {
      socket.close();
      await heard;
    },
  };
}

/** Asks for the batches from a sequence on. */
export async function replayed(endpoint: string, from: bigint): Promise<readonly KvBatch[]> {
  const socket = new Dealer({ receiveTimeout: 10_000, linger: 0 });
  try {
    socket.connect(endpoint);
    const first = Buffer.alloc(8);
    first.writeBigUInt64BE(from);
    await socket.send([Buffer.alloc(0), first]);
    const batches: KvBatch[] = [];
    for (;;) {
      const [, ...frames] = await socket.receive();
      if (frames[1]?.readBigInt64BE() === -1n) return batches;
      batches.push(batchOf(frames));
    }
  } finally {
    socket.close();
  }
}
