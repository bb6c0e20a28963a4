// The directory over a real store: one claim wins, a release frees, and only its own; a departed holder is succeeded, a silent one is not.

import { describe, expect, test } from "vitest";
import { type Claim, Directory, isChosen, nameKey, UNNAMED } from "../../runtime/directory.ts";
import { type Random, type Store, seededRandom, systemClock } from "../../runtime/index.ts";
import { MemoryStore } from "../../runtime/memory/store.ts";
import type { Presence } from "../../runtime/roll.ts";

const address = (id: string, node = "north") => ({ node, id, type: "counter", incarnation: 1 });
const entry = (id: string, node = "north") => ({ address: address(id, node), owner: node, detached: false });
const open = () => new Directory(new MemoryStore({ clock: systemClock }));
const ONE = nameKey("default", "one");

function claimOf(claimed: Awaited<ReturnType<Directory["takeover"]>>): Claim {
  if (claimed.kind !== "claimed") throw new Error(`not claimed: ${claimed.kind}`);
  return claimed.claim;
}

test("of 1,000 claims one wins, the others are told who (DI1)", async () => {
  const directory = open();
  const ids = Array.from({ length: 1_000 }, (_, index) => String(index));
  const claims = await Promise.all(ids.map((id) => directory.claim(ONE, entry(id))));
  const won = claims.flatMap(({ kind }, index) => (kind === "claimed" ? [index] : []));
  expect(won).toHaveLength(1);
  for (const claim of claims) if (claim.kind === "taken") expect(claim.by).toEqual(address(String(won[0])));
  expect((await directory.find(ONE))?.address).toEqual(address(String(won[0])));
});

test("a released name is free; releasing an old claim takes nothing from the next holder (DI3)", async () => {
  const directory = open();
  const first = claimOf(await directory.claim(ONE, entry("1")));
  await directory.release(first);
  expect(await directory.find(ONE)).toBeUndefined();
  await directory.claim(ONE, entry("2"));
  await directory.release(first);
  await directory.forget(ONE, address("1"));
  expect((await directory.find(ONE))?.address).toEqual(address("2"));
  await directory.forget(ONE, address("2"));
  expect(await directory.find(ONE)).toBeUndefined();
});

test("namespaces and odd names do not meet, and none of them looks unnamed", async () => {
  const directory = open();
  const pairs = [
    ["a", "b.c"],
    ["a.b", "c"],
    ["*", ">"],
    ["n".repeat(80), "名".repeat(80)],
    ["n".repeat(80), "名".repeat(79)],
    ["名", "é"],
    ["--", "-"],
  ] as const;
  const keys = pairs.map(([namespace, name]) => nameKey(namespace, name));
  for (const [at, key] of keys.entries()) expect((await directory.claim(key, entry(String(at)))).kind).toBe("claimed");
  for (const [at, key] of keys.entries()) expect((await directory.find(key))?.address.id).toBe(String(at));
  expect([keys.every(isChosen), isChosen(nameKey(UNNAMED, "a"))]).toEqual([true, false]);
  const listed = (await directory.list()).map((found) => found.claim.key);
  expect(listed.sort()).toEqual([...keys].sort());
});

describe("on a fleet", () => {
  const at = { kind: "present" } as const;
  const silent = { kind: "missing", sinceMs: 7 } as const;
  const departed = { kind: "departed", sinceMs: 7 } as const;

  function openFleet(standing: Record<string, Presence>) {
    const store = new MemoryStore({ clock: systemClock });
    return new Directory(store, { presence: (node) => standing[node] ?? at });
  }

  test("a departed holder is succeeded with a higher token, a silent one is not (DI4)", async () => {
    const standing: Record<string, Presence> = {};
    const directory = openFleet(standing);
    const first = claimOf(await directory.claim(ONE, entry("1", "dead")));
    for (const presence of [at, silent]) {
      standing.dead = presence;
      const taken = await directory.claim(ONE, entry("2"));
      expect(taken).toEqual({ kind: "taken", by: address("1", "dead"), holder: presence });
    }
    standing.dead = departed;
    expect(claimOf(await directory.claim(ONE, entry("2"))).revision).toBeGreaterThan(first.revision);
    await directory.release(first);
    expect((await directory.find(ONE))?.address).toEqual(address("2"));
  });

  test("of many takeovers of one entry one wins; of a released one none", async () => {
    const directory = openFleet({});
    const first = claimOf(await directory.claim(ONE, entry("1", "dead")));
    const takers = Array.from({ length: 50 }, (_, index) => directory.takeover(first, entry(String(index))));
    const kinds = (await Promise.all(takers)).map(({ kind }) => kind);
    expect(kinds.filter((kind) => kind === "claimed")).toHaveLength(1);
    const found = await directory.find(ONE);
    await directory.release(found?.claim ?? first);
    expect(await directory.takeover(found?.claim ?? first, entry("x"))).toEqual({ kind: "released" });
  });

  test("a holder is located where it can be reached, and nowhere else", async () => {
    const standing: Record<string, Presence> = {};
    const directory = openFleet(standing);
    expect(await directory.locate(ONE)).toEqual({ kind: "absent" });
    const held = address("1", "n");
    const request = { type: "counter", version: "0", args: [], settings: {} as never };
    const claim = claimOf(await directory.claim(ONE, { ...entry("1", "n"), request }));
    expect(await directory.locate(ONE)).toEqual({ kind: "at", address: held });
    expect((await directory.locate(ONE, held)).kind).toBe("unsettled");
    standing.n = silent;
    expect(await directory.locate(ONE)).toMatchObject({
      kind: "unsettled",
      why: expect.stringContaining("1970-01-01"),
    });
    standing.n = departed;
    expect(await directory.locate(ONE)).toMatchObject({ kind: "unsettled", why: expect.stringContaining("moved") });
    await directory.takeover(claim, entry("2", "m"));
    expect(await directory.locate(ONE, held)).toEqual({ kind: "at", address: address("2", "m") });
    expect(await directory.locate(ONE, address("2", "m"))).toEqual({ kind: "absent" });
  });

  test("what is stored comes back whole: requests with all that may be sent", async () => {
    const directory = openFleet({});
    const odd = [undefined, Number.NaN, Number.POSITIVE_INFINITY, null, 10n, new Uint8Array([1, 255]), "\u0000"];
    const args = [
      ...odd,
      new Map([[{ a: 1 }, new Set(odd)]]),
      new Date(5),
      { b: [undefined] },
      new Float64Array([0.5]),
    ];
    const request = { type: "counter", version: "0", args, settings: {} as never };
    await directory.claim(ONE, { ...entry("1"), request });
    expect((await directory.find(ONE))?.request?.args).toEqual(args);
  });
});

/** A store whose every use takes a few turns, as many as chance says: so rounds interleave in ever other ways. */
function wavering(store: Store, random: Random): Store {
  return new Proxy(store, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function" || name === "watch")
        return typeof value === "function" ? value.bind(target) : value;
      const turns = async () => {
        for (let left = random.below(5); left > 0; left--) await undefined;
      };
      return async (...args: unknown[]) => {
        await turns();
        const outcome: unknown = await value.apply(target, args);
        await turns();
        return outcome;
      };
    },
  });
}

const SEED = 20_261_126;

test(`1,000 rounds × 50 contenders on five nodes: one winner each, tokens rise (seed ${SEED})`, async () => {
  const random = seededRandom(SEED);
  const store = new MemoryStore({ clock: systemClock });
  const dead = new Set<string>();
  const presence = (node: string): Presence =>
    dead.has(node) ? { kind: "departed", sinceMs: 0 } : { kind: "present" };
  const directories = Array.from({ length: 5 }, () => new Directory(wavering(store, random), { presence }));
  let token = 0;
  let held: Claim | undefined;
  for (let round = 0; round < 1_000; round++) {
    // Every round has its own node names: a round's holder then dies, releases its name, or is taken over by all at once.
    const end = random.below(3);
    const contenders = Array.from({ length: 50 }, async (_, index) => {
      const directory = directories[index % 5] as Directory;
      const mine = entry(String(index), `n${round}`);
      return end === 0 && held !== undefined ? directory.takeover(held, mine) : directory.claim(ONE, mine);
    });
    const won = (await Promise.all(contenders)).filter(({ kind }) => kind === "claimed");
    expect(won, `round ${round}`).toHaveLength(1);
    const claim = claimOf(won[0] ?? { kind: "released" });
    expect(claim.revision, `round ${round}`).toBeGreaterThan(token);
    token = claim.revision;
    if (random.below(2) === 0) {
      dead.add(`n${round}`);
      held = claim;
    } else {
      await directories[0]?.release(claim);
      held = undefined;
    }
  }
});
