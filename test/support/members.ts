// Nodes of one fleet as far as membership goes: each with its own way to the shared store and its own clock, both of which a test can break.

import type { Clock, NodeRecord, Store } from "../../runtime/index.ts";
import { seededRandom } from "../../runtime/index.ts";
import { LEASE_PROFILES, type LeaseProfile } from "../../runtime/lease.ts";
import { Membership, type MembershipEvent } from "../../runtime/membership.ts";
import { MemoryStore } from "../../runtime/memory/store.ts";
import { FakeClock } from "./fake-clock.ts";
import { type FaultyStore, faultyStore } from "./faulty-store.ts";
import { type PausableClock, pausableClock } from "./pausable-clock.ts";

export interface Member {
  readonly membership: Membership;
  readonly way: FaultyStore;
  readonly clock: PausableClock;
  /** What it has told, shortly: "joined b-1", "left b-1 dead", "settled". */
  readonly events: string[];
  readonly lost: string[];
  /** Dies like a process killed: its lease runs out. */
  crash(): void;
}

export interface Members {
  readonly clock: FakeClock;
  readonly store: Store;
  /** A node called `name`, not yet joined. */
  add(name: string, more?: Partial<NodeRecord>): Member;
}

export function recordOf(name: string, more: Partial<NodeRecord> = {}): NodeRecord {
  return {
    node: `${name}-1`,
    name,
    labels: {},
    types: [],
    accepts: true,
    allowsCode: false,
    draining: false,
    flotilla: "0.0.0",
    protocol: 1,
    pid: 1,
    startedMs: 0,
    ...more,
  };
}

/** Types as records list them. */
export const typesOf = (...types: string[]): NodeRecord["types"] => types.map((type) => ({ type, version: "0" }));

const shown = (event: MembershipEvent): string => {
  if (event.kind === "left") return `left ${event.record.node} ${event.reason}`;
  return "record" in event ? `${event.kind} ${event.record.node}` : event.kind;
};

export function openMembers(profile: LeaseProfile = LEASE_PROFILES.normal): Members {
  const fake = new FakeClock();
  const store = new MemoryStore({ clock: fake });
  let seed = 0;
  return {
    clock: fake,
    store,
    add(name, more) {
      const clock = pausableClock(fake);
      const way = faultyStore(store);
      const events: string[] = [];
      const lost: string[] = [];
      const membership = new Membership({
        store: way.store,
        clock: clock as Clock,
        random: seededRandom(++seed),
        profile,
        record: recordOf(name, more),
        log: () => {},
      });
      membership.on((event) => {
        events.push(shown(event));
        if (event.kind === "lost") lost.push(event.why);
      });
      return {
        membership,
        way,
        clock,
        events,
        lost,
        crash() {
          clock.pause();
          way.mode = "down";
        },
      };
    },
  };
}
