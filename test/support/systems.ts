// A few actor systems in this process, as nodes of one network with one store and one event log: every one finds the others' names and actors.
// Calls between them go through frames and the codec, as between machines.

import type { ActorSystem, ActorType, Clock, LogLine, Random } from "../../runtime/index.ts";
import { connect, seededRandom, systemClock } from "../../runtime/index.ts";
import { MemoryEventLog } from "../../runtime/memory/event-log.ts";
import { LocalPlacer } from "../../runtime/memory/placer.ts";
import { MemoryStore } from "../../runtime/memory/store.ts";
import { MemoryNetwork } from "../../runtime/memory/transport.ts";
import type { Transport } from "../../runtime/transport.ts";

/** What nodes join: a MemoryNetwork, or a form of it that loses frames. */
export interface Network {
  join(node: string): Transport;
}

export interface SystemsOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly network?: Network;
  /** Types that every node knows. */
  readonly actors?: readonly ActorType[];
  readonly callTimeoutMs?: number;
  readonly log?: (line: LogLine) => void;
}

export interface Systems extends AsyncDisposable {
  readonly all: readonly ActorSystem[];
  /** The node at `index`, which must be there. */
  at(index: number): ActorSystem;
}

/** Systems close their ports; one that is shared must outlive the first of them. */
function shared<Port extends object>(port: Port): Port {
  return new Proxy(port, {
    get(target, name) {
      if (name === "close") return async () => {};
      const value = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
}

/** Opens one system for each name, the first of them "here" for most tests. */
export async function openSystems(nodes: readonly string[], options: SystemsOptions = {}): Promise<Systems> {
  const { clock = systemClock, random = seededRandom(1), network = new MemoryNetwork(), ...rest } = options;
  const store = shared(new MemoryStore({ clock }));
  const eventLog = shared(new MemoryEventLog({ clock }));
  const records = nodes.map((node) => ({ node }));
  const all: ActorSystem[] = [];
  for (const node of nodes) {
    const ports = { transport: network.join(node), store, eventLog, placer: new LocalPlacer(node, () => records) };
    all.push(await connect({ node, clock, random, ports, ...rest }));
  }
  return {
    all,
    at(index) {
      const system = all[index];
      if (system === undefined) throw new Error(`there are ${all.length} systems, none at ${index}`);
      return system;
    },
    async [Symbol.asyncDispose]() {
      for (const system of [...all].reverse()) await system.close();
    },
  };
}
