// Two systems, north and south, over a network that breaks, with blobs that both reach: calls go from north to south.

import type { Blobs } from "../../runtime/blobs.ts";
import type { ActorType, LogLine } from "../../runtime/index.ts";
import { type ActorSystem, seededRandom } from "../../runtime/index.ts";
import { MemoryBlobs } from "../../runtime/memory/blobs.ts";
import { LocalPlacer } from "../../runtime/memory/placer.ts";
import { memoryPorts } from "../../runtime/memory/ports.ts";
import { ActorSystem as System } from "../../runtime/system.ts";
import { BreakableNetwork } from "./breakable-network.ts";
import { FakeClock } from "./fake-clock.ts";
import { closeWithin } from "./places.ts";

/** Blobs whose operations a test may make fail, and that count what they keep. */
export class FaultyBlobs implements Blobs {
  readonly blobMaxBytes = 1024 * 1024;
  readonly kept = new Set<string>();
  /** Called before each operation; may throw or wait. */
  before: (operation: "put" | "get") => void | Promise<void> = () => {};
  readonly #inner = new MemoryBlobs();

  async put(bytes: Uint8Array): Promise<string> {
    await this.before("put");
    const hash = await this.#inner.put(bytes);
    this.kept.add(hash);
    return hash;
  }

  async get(hash: string): Promise<Uint8Array | undefined> {
    await this.before("get");
    return this.#inner.get(hash);
  }

  has(hash: string): Promise<boolean> {
    return this.#inner.has(hash);
  }

  async delete(hash: string): Promise<void> {
    this.kept.delete(hash);
    await this.#inner.delete(hash);
  }

  async close(): Promise<void> {}
}

export interface BreakablePair extends AsyncDisposable {
  readonly north: ActorSystem;
  readonly south: ActorSystem;
  readonly network: BreakableNetwork;
  readonly blobs: FaultyBlobs;
  readonly clock: FakeClock;
  readonly lines: LogLine[];
}

export async function openPair(types: readonly ActorType[], frameMaxBytes = 16 * 1024): Promise<BreakablePair> {
  const clock = new FakeClock();
  const network = new BreakableNetwork({ frameMaxBytes });
  const blobs = new FaultyBlobs();
  const lines: LogLine[] = [];
  const records = [{ node: "north" }, { node: "south" }];
  const make = async (node: string): Promise<ActorSystem> => {
    const placer = new LocalPlacer(node, () => records);
    const ports = memoryPorts(node, clock, { transport: network.join(node), blobs, placer });
    const log = (line: LogLine) => void lines.push(line);
    const random = seededRandom(1);
    const system = new System({ node, clock, random, log, callTimeoutMs: 30_000, ports, sharesBlobs: true });
    for (const type of types) system.register(type);
    await system.listen();
    return system;
  };
  const [north, south] = [await make("north"), await make("south")];
  return {
    north,
    south,
    network,
    blobs,
    clock,
    lines,
    async [Symbol.asyncDispose]() {
      network.release();
      for (const node of ["north", "south"]) network.mend(node);
      await closeWithin(north, clock);
      await closeWithin(south, clock);
    },
  };
}
