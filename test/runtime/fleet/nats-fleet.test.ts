// The same on a real server and real time: membership in the fast profile, names, fences, and a server that dies and comes back.

import { describe, expect, test } from "vitest";
import { type Claim, Directory, type NameEntry, nameKey } from "../../../runtime/directory.ts";
import { type NodeRecord, seededRandom, systemClock } from "../../../runtime/index.ts";
import { LEASE_PROFILES } from "../../../runtime/lease.ts";
import { Membership, type MembershipEvent } from "../../../runtime/membership.ts";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { type NatsStore, openNatsStore } from "../../../runtime/nats/store.ts";
import { fleetNames } from "../../../runtime/nats/subjects.ts";
import { codeOf } from "../../support/caught.ts";
import { recordOf } from "../../support/members.ts";
import { natsMissing, openNats, type TestServer } from "../../support/nats-server.ts";
import { type PausableClock, pausableClock } from "../../support/pausable-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";

const missing = natsMissing();
const profile = LEASE_PROFILES.fast;
const MAX_BYTES = 16 * 1024 * 1024;

interface Member {
  readonly membership: Membership;
  readonly store: NatsStore;
  readonly connection: Connection;
  readonly clock: PausableClock;
  readonly events: MembershipEvent[];
}

interface NatsFleet extends AsyncDisposable {
  readonly server: TestServer;
  /** A node with a connection of its own, not yet joined. */
  open(name: string, more?: Partial<NodeRecord>): Promise<Member>;
}

async function openFleet(): Promise<NatsFleet> {
  const server = await openNats();
  const opened: Member[] = [];
  return {
    server,
    async open(name, more) {
      const connection = await connectNats(server.options);
      const store = await openNatsStore({ connection, names: fleetNames("t").store, maxBytes: MAX_BYTES });
      const clock = pausableClock(systemClock);
      const random = seededRandom(opened.length + 1);
      const membership = new Membership({ store, clock, random, profile, record: recordOf(name, more), log: () => {} });
      const events: MembershipEvent[] = [];
      membership.on((event) => events.push(event));
      connection.onState((isConnected) => isConnected && membership.reconnected());
      const member = { membership, store, connection, clock, events };
      opened.push(member);
      return member;
    },
    async [Symbol.asyncDispose]() {
      for (const { membership, store, connection, clock } of opened) {
        await clock.resume();
        await membership.leave();
        await store.close();
        await connection.close();
      }
      await server[Symbol.asyncDispose]();
    },
  };
}

async function openAll({ open }: NatsFleet, ...names: string[]) {
  const members = await Promise.all(names.map((name) => open(name)));
  await Promise.all(members.map(({ membership }) => membership.join()));
  return members as [Member, ...Member[]];
}

const entry = (id: string, node: string): NameEntry => ({
  address: { node, id, type: "counter", incarnation: 1 },
  owner: node,
  detached: false,
});
const left = ({ events }: Member) => events.flatMap((event) => (event.kind === "left" ? [event] : []));

describe.skipIf(missing !== undefined)(
  `a fleet on a real server (${missing ?? "there"})`,
  { timeout: 30_000, concurrent: true },
  () => {
    test("nodes see each other come and go; a dead one is noticed; its name can be taken again", async () => {
      await using fleet = await openFleet();
      const [a, b, c] = (await openAll(fleet, "a", "b", "c")) as [Member, Member, Member];
      await waitUntil("a sees both", () => a.membership.nodes().length === 3);
      await b.membership.leave();
      await waitUntil("a hears that b left", () =>
        left(a).some(({ record, reason }) => record.node === "b-1" && reason === "left"),
      );
      await waitUntil("the graces of the beginning are over", () => a.events.some(({ kind }) => kind === "settled"));
      c.clock.pause();
      const diedMs = performance.now();
      await waitUntil("c is noticed", () =>
        left(a).some(({ record, reason }) => record.node === "c-1" && reason === "dead"),
      );
      // Three seconds, up to one for the server, and one for a machine that is busy with other tests.
      expect(performance.now() - diedMs).toBeLessThan(5_000);
      expect(c.membership.isValid).toBe(false);
      expect(await codeOf((await fleet.open("a", { node: "a-2" })).membership.join())).toBe("NodeNameTaken");
      const next = await fleet.open("c", { node: "c-2" });
      await next.membership.join();
      expect(a.membership.isValid).toBe(true);
      await c.clock.resume();
      await waitUntil("the old c knows that it lost", () => c.events.some(({ kind }) => kind === "lost"));
      expect(next.membership.isValid).toBe(true);
    });

    test("40 rounds × 50 contenders over three connections: one winner each, tokens rise; a fenced write of an old one is refused", async () => {
      await using fleet = await openFleet();
      const members = await Promise.all(["a", "b", "c"].map((name) => fleet.open(name)));
      const departed = new Set<string>();
      const presence = (node: string) =>
        departed.has(node) ? ({ kind: "departed", sinceMs: 0 } as const) : ({ kind: "present" } as const);
      const directories = members.map(({ store }) => new Directory(store, { presence }));
      const [directory] = directories as [Directory];
      const [{ store }] = members as [Member];
      const key = nameKey("default", "one");
      const claims: Claim[] = [];
      for (let round = 0; round < 40; round++) {
        const claimed = await Promise.all(
          Array.from({ length: 50 }, (_, at) => directories[at % 3]?.claim(key, entry(String(at), `n${round}`))),
        );
        const won = claimed.flatMap((each) => (each?.kind === "claimed" ? [each.claim] : []));
        expect(won, `round ${round}`).toHaveLength(1);
        claims.push(...won);
        if (round % 2 === 0) departed.add(`n${round}`);
        else await directory.release(won[0] as Claim);
        expect((await store.putFenced("state.x", new Uint8Array([round]), won[0] as Claim)).kind).toBe(
          round % 2 === 0 ? "written" : "fenced",
        );
      }
      const tokens = claims.map(({ revision }) => revision);
      expect(tokens).toEqual([...new Set(tokens)].sort((a, b) => a - b));
      for (const claim of claims)
        expect((await store.putFenced("state.x", new Uint8Array(1), claim)).kind).toBe("fenced");
    });

    test("a server killed for longer than the TTL: everybody gives up by itself, comes back, and nobody was declared dead", async () => {
      await using fleet = await openFleet();
      const members = await openAll(fleet, "a", "b");
      await waitUntil("both see both", () => members.every(({ membership }) => membership.nodes().length === 2));
      await fleet.server.kill();
      await waitUntil("both give up", () => members.every(({ events }) => events.some(({ kind }) => kind === "lost")));
      expect(members.some(({ membership }) => membership.isValid)).toBe(false);
      await fleet.server.restart();
      await waitUntil("both are back", () => members.every(({ membership }) => membership.isValid));
      await waitUntil("both have settled", () =>
        members.every(
          ({ events }) =>
            events.findLastIndex(({ kind }) => kind === "settled") >
            events.findIndex(({ kind }) => kind === "rejoined"),
        ),
      );
      expect(members.flatMap(left)).toEqual([]);
      expect(members.map(({ membership }) => membership.nodes().length)).toEqual([2, 2]);
    });
  },
);
