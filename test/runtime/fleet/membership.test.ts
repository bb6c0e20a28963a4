// Who is there: joining, leaving, dying, and what is not mistaken for dying.

import { describe, expect, test } from "vitest";
import type { Store } from "../../../runtime/index.ts";
import { LEASE_PROFILES } from "../../../runtime/lease.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { openMembers, typesOf } from "../../support/members.ts";
import { settleFrames } from "../../support/places.ts";

const { ttlMs, selfFenceMs } = LEASE_PROFILES.normal;

/** Two nodes that have joined, with the grace of their joining over. */
async function openPair(profile = LEASE_PROFILES.normal) {
  const members = openMembers(profile);
  const [a, b] = [members.add("a"), members.add("b")];
  await a.membership.join();
  await b.membership.join();
  await members.clock.advance(profile.ttlMs + 1);
  for (const { events } of [a, b]) events.length = 0;
  return { ...members, a, b };
}

const names = (nodes: readonly { readonly node: string }[]) => nodes.map(({ node }) => node).sort();

describe("membership", () => {
  test("a node whose process was seen to end is declared gone at once, also while nobody is declared dead; once, and no other", async () => {
    const { clock, a, b, add } = await openPair();
    const part = add("part", { node: "part", parent: "a-1" });
    await part.membership.join();
    await a.membership.meet("part");
    a.membership.reconnected();
    b.membership.reconnected();
    part.crash();
    const why = { code: "ProcessFailed", message: "it ended with status 3" };
    const told: unknown[] = [];
    b.membership.on((event) => event.kind === "left" && told.push(event.why));
    await a.membership.bury("part", why);
    await a.membership.bury("part", why);
    await a.membership.bury("b", why);
    await settleFrames();
    expect(b.membership.presence("part").kind).toBe("departed");
    expect(b.membership.isPresent("a-1")).toBe(true);
    await clock.advance(2 * ttlMs);
    expect(b.events.filter((event) => event.startsWith("left"))).toEqual(["left part left"]);
    expect(told).toEqual([why]);
    expect(names(a.membership.nodes())).toEqual(["a-1", "b-1"]);
  });

  test("who has just been named is met when it is heard of, or given up after one TTL", async () => {
    const { clock, a, add } = await openPair();
    const met: string[] = [];
    const meet = (node: string) => void a.membership.meet(node).then(() => met.push(node));
    meet("c-1");
    meet("nobody");
    await settleFrames();
    expect(met).toEqual([]);
    await add("c").membership.join();
    await settleFrames();
    expect(met).toEqual(["c-1"]);
    await clock.advance(ttlMs + 1);
    expect(met).toEqual(["c-1", "nobody"]);
  });

  test("each node sees every other with its record, and hears of changes", async () => {
    const { clock, a, b } = await openPair();
    expect(names(a.membership.nodes())).toEqual(["a-1", "b-1"]);
    expect(names(b.membership.nodes())).toEqual(["a-1", "b-1"]);
    expect(a.membership.isPresent("b-1")).toBe(true);
    await b.membership.update({ draining: true, types: typesOf("counter") });
    await settleFrames();
    expect(a.membership.nodes().find(({ node }) => node === "b-1")).toMatchObject({
      draining: true,
      types: typesOf("counter"),
    });
    await clock.advance(5 * ttlMs);
    expect([a.events, b.events]).toEqual([["changed b-1"], ["changed b-1"]]);
  });

  test("a graceful leave is told at once, as such", async () => {
    const { clock, a, b } = await openPair();
    await b.membership.leave();
    await b.membership.leave();
    await settleFrames();
    expect(a.events).toEqual(["left b-1 left"]);
    expect(names(a.membership.nodes())).toEqual(["a-1"]);
    await clock.advance(2 * ttlMs);
    expect([a.events, b.lost]).toEqual([["left b-1 left"], []]);
    expect(a.membership.presence("b-1").kind).toBe("departed");
  });

  test.each(Object.entries(LEASE_PROFILES))(
    "a dead node is noticed within TTL + 2 s, and no live one (%s)",
    async (_, profile) => {
      const { clock, a, b } = await openPair(profile);
      b.crash();
      await clock.advance(profile.selfFenceMs - profile.renewMs * 1.1);
      expect(a.events).toEqual([]);
      await clock.advance(profile.ttlMs + 2_000 - profile.selfFenceMs + profile.renewMs * 1.1);
      expect(a.events).toEqual(["left b-1 dead"]);
      expect(a.membership.isPresent("b-1")).toBe(false);
      if (profile === LEASE_PROFILES.fast) expect(profile.ttlMs + 1_000).toBeLessThanOrEqual(4_000);
    },
  );

  test("a name in use by a live node is refused, whoever it is", async () => {
    const { clock, add } = await openPair();
    const twin = add("b", { node: "b-2" });
    const joining = caught(twin.membership.join());
    await clock.advance(3_000);
    expect(await joining).toMatchObject({ code: "NodeNameTaken", data: { name: "b", node: "b-1" } });
    expect(twin.membership.isValid).toBe(false);
  });

  test("a crashed predecessor's name is waited for and taken; the others hear of both", async () => {
    const { clock, a, b, add } = await openPair();
    b.crash();
    await clock.advance(1_000);
    const next = add("b", { node: "b-2" });
    const joining = next.membership.join();
    await clock.advance(ttlMs + 1_000);
    await joining;
    expect(names(a.membership.nodes())).toEqual(["a-1", "b-2"]);
    expect(a.events).toEqual(["left b-1 dead", "joined b-2"]);
  });

  test("the name of one that left is free at once", async () => {
    const { a, b, add } = await openPair();
    await b.membership.leave();
    await add("b", { node: "b-2" }).membership.join();
    await settleFrames();
    expect(a.events).toEqual(["left b-1 left", "joined b-2"]);
  });

  test("a node cut off gives up before the others take over, and comes back when it can", async () => {
    const { clock, a, b } = await openPair();
    b.way.mode = "down";
    for (let ms = 0; b.lost.length === 0 && ms <= selfFenceMs; ms += 100) await clock.advance(100);
    expect([b.lost.length, b.membership.isValid, a.events]).toEqual([1, false, []]);
    expect(b.membership.presence("b-1").kind).toBe("missing");
    await clock.advance(ttlMs);
    expect(a.events).toEqual(["left b-1 dead"]);
    b.way.mode = "up";
    await clock.advance(1_000);
    expect([b.membership.isValid, b.lost.length]).toEqual([true, 1]);
    expect(a.events.at(-1)).toBe("joined b-1");
    expect(b.events).toContain("rejoined");
    await clock.advance(5 * ttlMs);
    expect([b.lost.length, names(a.membership.nodes())]).toEqual([1, ["a-1", "b-1"]]);
  });

  test("a node stopped beyond its lease has lost it when it runs again", async () => {
    const { clock, a, b } = await openPair();
    b.clock.pause();
    await clock.advance(ttlMs + 2_000);
    expect([a.events, b.membership.isValid]).toEqual([["left b-1 dead"], false]);
    await b.clock.resume();
    await clock.advance(1_000);
    expect([b.lost.length, b.membership.isValid]).toEqual([1, true]);
  });

  test("after a reconnection nobody is dead for one TTL: keys that lapsed while the server was away come back (ME4)", async () => {
    const { clock, store, a, b } = await openPair();
    for (const { membership } of [a, b]) membership.reconnected();
    const key = (await keysOf(store, "b-1"))[0] ?? "";
    await store.delete(key, (await store.get(key))?.revision ?? 0);
    await settleFrames();
    expect([a.events, a.membership.presence("b-1").kind]).toEqual([[], "missing"]);
    expect(names(a.membership.nodes())).toEqual(["a-1"]);
    await clock.advance(ttlMs + 1);
    expect(b.membership.isValid).toBe(true);
    expect([a.events, a.membership.presence("b-1").kind]).toEqual([["settled"], "present"]);
    expect(b.events).toEqual(["lost", "rejoined"]);
    for (const { membership } of [a, b]) membership.reconnected();
    b.crash();
    await clock.advance(ttlMs - 1);
    expect(a.events).toEqual(["settled"]);
    await clock.advance(2);
    expect(a.events).toEqual(["settled", "left b-1 dead", "settled"]);
  });

  test("when every key lapses at once, as after a server that stood still, nobody is dead, also without a reconnection (ME4)", async () => {
    const { clock, a, b } = await openPair();
    a.way.mode = "down";
    b.way.mode = "down";
    await clock.advance(2 * ttlMs);
    expect([a.membership.isValid, b.membership.isValid]).toEqual([false, false]);
    a.way.mode = "up";
    await clock.advance(ttlMs / 2);
    b.way.mode = "up";
    await clock.advance(2 * ttlMs);
    expect([a.events, b.events]).toEqual([
      ["lost", "rejoined", "settled"],
      ["lost", "rejoined", "settled"],
    ]);
    b.crash();
    await clock.advance(ttlMs + 1_000);
    expect(a.events.at(-1)).toBe("left b-1 dead");
  });

  test("a node never heard of is missing at first and departed one TTL later (RO3)", async () => {
    const { clock, a } = await openPair();
    expect(a.membership.presence("ghost-1").kind).toBe("missing");
    await clock.advance(ttlMs - 1);
    expect(a.membership.presence("ghost-1").kind).toBe("missing");
    await clock.advance(1);
    expect(a.membership.presence("ghost-1").kind).toBe("departed");
  });

  test("leaving while it joins, or while it tries to come back, holds nothing", async () => {
    const { clock, store, b, add } = await openPair();
    const twin = add("b", { node: "b-2" });
    const joining = codeOf(twin.membership.join());
    await settleFrames();
    await twin.membership.leave();
    await clock.advance(300);
    expect(await joining).toBe("Closed");
    b.way.mode = "down";
    await clock.advance(2 * ttlMs);
    await b.membership.leave();
    b.way.mode = "up";
    await clock.advance(ttlMs);
    expect(await keysOf(store, "b-1")).toEqual([]);
  });

  test("what is no record is not a node", async () => {
    const { store, a } = await openPair();
    await store.create("node.xx", new TextEncoder().encode("{"));
    await store.create("node.yy", new TextEncoder().encode('{"name":1}'));
    await settleFrames();
    expect(a.events).toEqual([]);
  });
});

async function keysOf(store: Store, node: string): Promise<string[]> {
  const keys: string[] = [];
  for await (const change of store.watch("node.*")) {
    if (change.kind === "ready") break;
    if (change.kind === "put" && new TextDecoder().decode(change.entry.value).includes(node))
      keys.push(change.entry.key);
  }
  return keys;
}
