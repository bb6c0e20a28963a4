// Systems of this process that share one blob store: two scripts, which know classes, and a node, which may load them.

import { type ActorSystem, type ActorType, type Clock, type NodeRecord, systemClock } from "../../runtime/index.ts";
import { MemoryBlobs } from "../../runtime/memory/blobs.ts";
import { LocalPlacer } from "../../runtime/memory/placer.ts";
import { memoryPorts } from "../../runtime/memory/ports.ts";
import { MemoryNetwork } from "../../runtime/memory/transport.ts";
import { seededRandom } from "../../runtime/random.ts";
import { ActorSystem as System } from "../../runtime/system.ts";
import { recordOf } from "./members.ts";

/** Blobs that count their use and outlive one of the systems that share them. */
export class CountedBlobs extends MemoryBlobs {
  gets = 0;
  puts = 0;

  override async put(bytes: Uint8Array): Promise<string> {
    this.puts++;
    return super.put(bytes);
  }

  override async get(hash: string): Promise<Uint8Array | undefined> {
    this.gets++;
    return super.get(hash);
  }

  override async close(): Promise<void> {}
}

export interface CodeFleetOptions {
  /** Whether the node loads code. Default true. */
  readonly allowCode?: boolean;
  /** Types the node has by itself. */
  readonly actors?: readonly ActorType[];
  /** What the script believes of the node, where that is not the truth. */
  readonly record?: Partial<NodeRecord>;
  readonly clock?: Clock;
}

export interface CodeFleet extends AsyncDisposable {
  readonly script: ActorSystem;
  /** Another script, with classes of its own. */
  readonly other: ActorSystem;
  readonly node: ActorSystem;
  readonly blobs: CountedBlobs;
  /** Messages of the node's log. */
  readonly log: readonly string[];
}

export async function openCodeFleet(options: CodeFleetOptions = {}): Promise<CodeFleet> {
  const { allowCode = true, actors = [], clock = systemClock } = options;
  const network = new MemoryNetwork();
  const blobs = new CountedBlobs();
  const log: string[] = [];
  const types = actors.map(({ type, version }) => ({ type, version }));
  const record = recordOf("node", { node: "node", types, allowsCode: allowCode, ...options.record });
  const open = (node: string, allowed: boolean) =>
    new System({
      node,
      clock,
      random: seededRandom(1),
      log: ({ message }) => void (node === "node" && log.push(message)),
      callTimeoutMs: 30_000,
      allowCode: allowed,
      nodes: () => [record],
      ports: memoryPorts(node, clock, {
        transport: network.join(node),
        placer: new LocalPlacer(node, () => [record, { node: "script" }]),
        blobs,
      }),
    });
  const script = open("script", false);
  const other = open("other", false);
  const node = open("node", allowCode);
  for (const type of actors) node.register(type);
  await Promise.all([script.listen(), other.listen(), node.listen()]);
  return {
    script,
    other,
    node,
    blobs,
    log,
    async [Symbol.asyncDispose]() {
      await script.close();
      await other.close();
      await node.close();
    },
  };
}
