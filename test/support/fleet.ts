// Actor systems that are members of one fleet, over one store and one network in this process. Each has a clock and a way to the store of
// its own, so that a test can stop, cut off or kill one of them.

import { openPlacer } from "../../placement/index.ts";
import type { ActorType, Admission, LogLine } from "../../runtime/index.ts";
import { type ActorSystem, seededRandom } from "../../runtime/index.ts";
import { LEASE_PROFILES, type LeaseProfile } from "../../runtime/lease.ts";
import { Membership } from "../../runtime/membership.ts";
import { memoryPorts } from "../../runtime/memory/ports.ts";
import { MemoryStore } from "../../runtime/memory/store.ts";
import { MemoryNetwork } from "../../runtime/memory/transport.ts";
import type { NodeRecord } from "../../runtime/node-record.ts";
import type { Store } from "../../runtime/store.ts";
import { ActorSystem as System } from "../../runtime/system.ts";
import type { Transport } from "../../runtime/transport.ts";
import { FakeClock } from "./fake-clock.ts";
import { type FaultyStore, faultyStore } from "./faulty-store.ts";
import { recordOf } from "./members.ts";
import { type PausableClock, pausableClock } from "./pausable-clock.ts";
import { closeWithin, settleFrames } from "./places.ts";

export interface FleetNode {
  readonly system: ActorSystem;
  readonly membership: Membership;
  readonly clock: PausableClock;
  readonly way: FaultyStore;
  readonly lines: LogLine[];
  /** Dies like a process killed: nothing of it reaches anybody any more. */
  crash(): Promise<void>;
}

export interface Fleet extends AsyncDisposable {
  readonly clock: FakeClock;
  readonly store: Store;
  /** A node that has joined. Drivers are `accepts: false`. */
  add(
    name: string,
    options?: {
      readonly actors?: readonly ActorType[];
      readonly record?: Partial<NodeRecord>;
      readonly admission?: Admission;
    },
  ): Promise<FleetNode>;
  /** Lets time pass in steps, with room for frames in each. */
  pass(ms: number): Promise<void>;
}

const STEP_MS = 250;

export function openFleet(profile: LeaseProfile = LEASE_PROFILES.normal): Fleet {
  const fake = new FakeClock();
  const shared = new MemoryStore({ clock: fake });
  const network = new MemoryNetwork();
  const nodes: FleetNode[] = [];
  const pass = async (ms: number) => {
    for (let left = ms; left > 0; left -= STEP_MS) {
      await fake.advance(Math.min(STEP_MS, left));
      await settleFrames();
    }
  };
  return {
    clock: fake,
    store: shared,
    pass,
    async add(name, { actors = [], record = {}, admission } = {}) {
      const node = makeNode(name, nodes.length + 1, { fake, shared, network, profile, record, admission });
      for (const type of actors) node.system.register(type);
      nodes.push(node);
      await Promise.all([node.system.listen(), pass(STEP_MS)]);
      return node;
    },
    async [Symbol.asyncDispose]() {
      for (const { clock, way } of nodes) {
        await clock.resume();
        way.mode = "up";
      }
      for (const { system } of [...nodes].reverse()) await closeWithin(system, fake);
      await shared.close();
    },
  };
}

interface Parts {
  readonly fake: FakeClock;
  readonly shared: Store;
  readonly network: MemoryNetwork;
  readonly profile: LeaseProfile;
  readonly record: Partial<NodeRecord>;
  readonly admission: Admission | undefined;
}

function makeNode(name: string, seed: number, parts: Parts): FleetNode {
  const { fake, shared, network, profile, record: more, admission } = parts;
  const record = recordOf(name, more);
  const { node } = record;
  const clock = pausableClock(fake);
  const way = faultyStore(shared);
  const random = seededRandom(seed);
  const lines: LogLine[] = [];
  const log = (line: LogLine) => void lines.push(line);
  const membership = new Membership({ store: way.store, clock, random, profile, record, log: () => {} });
  const transport: Transport = network.join(node);
  const placer = openPlacer({ here: node, nodes: () => membership.nodes(), random });
  const ports = memoryPorts(node, clock, { transport, store: way.store, placer });
  const system = new System({
    node,
    clock,
    random,
    log,
    callTimeoutMs: 30_000,
    ports,
    membership,
    ...granting(admission),
  });
  return {
    system,
    membership,
    clock,
    way,
    lines,
    async crash() {
      clock.pause();
      way.mode = "down";
      await transport.close();
    },
  };
}

const granting = (admission: Admission | undefined) => (admission === undefined ? {} : { admission });
