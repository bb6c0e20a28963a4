// The Store contract: what every form of runtime/store.ts does. Numbers are that file's invariants.

import fc from "fast-check";
import { expect } from "vitest";
import type { Change, Entry, Store } from "../../runtime/store.ts";
import { TTL_MIN_MS } from "../../runtime/store.ts";
import { waitUntil } from "../support/wait-until.ts";
import { bytes, type Cases, ended, next, runContract, type Skips, text } from "./contract.ts";
import { fencing } from "./store-fence.ts";
import { revisionOf, type StoreForm, shownEntry } from "./store-form.ts";

export type { StoreForm } from "./store-form.ts";

const TTL_MS = 2 * TTL_MIN_MS;
const CONTENDERS = 1_000;

const shown = (change: Change): string =>
  change.kind === "put"
    ? `put ${change.entry.key}=${text(change.entry.value)}`
    : change.kind === "gone"
      ? `gone ${change.key}`
      : "ready";

const writing: Cases<StoreForm> = {
  "get answers what was created, and undefined before": async (make) => {
    const { store } = await make();
    expect(await store.get("a.b")).toBeUndefined();
    const revision = revisionOf(await store.create("a.b", bytes("one")));
    expect(shownEntry(await store.get("a.b"))).toEqual({ key: "a.b", value: "one", revision });
  },
  "create of a key that is there conflicts and shows the winner (ST2)": async (make) => {
    const { store } = await make();
    const revision = revisionOf(await store.create("k", bytes("first")));
    const second = await store.create("k", bytes("second"));
    expect(second.kind).toBe("conflict");
    expect(second.kind === "conflict" && shownEntry(second.current)).toEqual({ key: "k", value: "first", revision });
    expect(text((await store.get("k"))?.value)).toBe("first");
  },
  "update replaces the revision it names and no other (ST2)": async (make) => {
    const { store } = await make();
    const first = revisionOf(await store.create("k", bytes("1")));
    const second = revisionOf(await store.update("k", bytes("2"), first));
    const late = await store.update("k", bytes("3"), first);
    expect(late).toMatchObject({ kind: "conflict", current: { revision: second } });
    expect(await store.update("absent", bytes("x"), second)).toEqual({ kind: "conflict", current: undefined });
    expect(text((await store.get("k"))?.value)).toBe("2");
  },
  "delete removes the revision it names and no other (ST2)": async (make) => {
    const { store } = await make();
    const first = revisionOf(await store.create("k", bytes("1")));
    const second = revisionOf(await store.update("k", bytes("2"), first));
    expect(await store.delete("k", first)).toMatchObject({ kind: "conflict", current: { revision: second } });
    expect((await store.delete("k", second)).kind).toBe("written");
    expect(await store.get("k")).toBeUndefined();
    expect(await store.delete("k", second)).toEqual({ kind: "conflict", current: undefined });
  },
  "revisions grow across keys, deletion and creation again (ST1)": async (make) => {
    const { store } = await make();
    const seen = [revisionOf(await store.create("k", bytes("1")))];
    seen.push(revisionOf(await store.create("other", bytes("1"))));
    seen.push(revisionOf(await store.delete("k", seen[0] ?? 0)));
    seen.push(revisionOf(await store.create("k", bytes("2"))));
    expect(seen).toEqual([...new Set(seen)].sort((a, b) => a - b));
    expect(seen[0]).toBeGreaterThan(0);
  },
  "of 1,000 concurrent creates one wins and the others see it (ST2)": async (make) => {
    const { store } = await make();
    const outcomes = await Promise.all(
      Array.from({ length: CONTENDERS }, (_, at) => store.create("name", bytes(`contender ${at}`))),
    );
    const winners = outcomes.flatMap((outcome, at) => (outcome.kind === "written" ? [{ at, ...outcome }] : []));
    expect(winners).toHaveLength(1);
    const [winner] = winners;
    for (const outcome of outcomes) {
      if (outcome.kind === "conflict") expect(outcome.current?.revision).toBe(winner?.revision);
    }
    expect(text((await store.get("name"))?.value)).toBe(`contender ${winner?.at}`);
  },
  "100 writers that increase one number lose no increase (ST2)": async (make) => {
    const { store } = await make();
    await store.create("n", bytes("0"));
    const increase = async (): Promise<void> => {
      const entry = await store.get("n");
      const value = bytes(String(Number(text(entry?.value)) + 1));
      if ((await store.update("n", value, entry?.revision ?? 0)).kind === "conflict") await increase();
    };
    await Promise.all(Array.from({ length: 100 }, increase));
    expect(text((await store.get("n"))?.value)).toBe("100");
  },
  "bytes are copied in and out (ST6)": async (make) => {
    const { store } = await make();
    const given = bytes("good");
    await store.create("k", given);
    given.fill(0);
    (await store.get("k"))?.value.fill(0);
    expect(text((await store.get("k"))?.value)).toBe("good");
  },
  "empty and largest values fit, one byte more is refused": async (make) => {
    const { store } = await make();
    const largest = new Uint8Array(store.valueMaxBytes).fill(7);
    await store.create("empty", new Uint8Array(0));
    await store.create("large", largest);
    expect((await store.get("empty"))?.value).toHaveLength(0);
    expect((await store.get("large"))?.value).toEqual(largest);
    await expect(store.create("k", new Uint8Array(store.valueMaxBytes + 1))).rejects.toMatchObject({
      code: "ValueTooLarge",
    });
  },
  "a key that is no subject is refused": async (make) => {
    const { store } = await make();
    for (const key of ["", ".", "a.", ".a", "a..b", "a b", "a.*", ">", "ä", "k".repeat(201)]) {
      await expect(store.get(key), key).rejects.toMatchObject({ code: "InvalidSubject" });
      await expect(store.create(key, bytes("x")), key).rejects.toMatchObject({ code: "InvalidSubject" });
    }
  },
};

const expiring: Cases<StoreForm> = {
  "a key expires after its ttl, not before, and can be created again (ST4)": async (make) => {
    const { store, advance } = await make();
    const revision = revisionOf(await store.create("lease", bytes("me"), { ttlMs: TTL_MS }));
    await advance(TTL_MS / 2);
    expect(await store.get("lease")).toBeDefined();
    await advance(TTL_MS / 2);
    await waitUntil("the key expires", async () => (await store.get("lease")) === undefined);
    const again = revisionOf(await store.create("lease", bytes("you")));
    expect(again).toBeGreaterThan(revision);
    expect(await store.update("lease", bytes("me"), revision)).toMatchObject({ kind: "conflict" });
  },
  "an update with a ttl renews, one without makes permanent (ST4)": async (make) => {
    const { store, advance } = await make();
    const first = revisionOf(await store.create("lease", bytes("1"), { ttlMs: TTL_MS }));
    await advance(TTL_MS * 0.75);
    const second = revisionOf(await store.update("lease", bytes("2"), first, { ttlMs: TTL_MS }));
    await advance(TTL_MS * 0.75);
    expect((await store.get("lease"))?.revision).toBe(second);
    const third = revisionOf(await store.update("lease", bytes("3"), second));
    await advance(TTL_MS * 2);
    expect((await store.get("lease"))?.revision).toBe(third);
  },
  "a ttl that is no whole number of seconds is not cut short (ST4)": async (make) => {
    const { store, advance } = await make();
    await store.create("lease", bytes("me"), { ttlMs: 1_900 });
    await advance(1_500);
    expect(await store.get("lease")).toBeDefined();
    await advance(400);
    await waitUntil("the key expires", async () => (await store.get("lease")) === undefined);
  },
  "a ttl outside its range is refused": async (make) => {
    const { store } = await make();
    for (const ttlMs of [0, -1, TTL_MIN_MS - 1, 1_000.5, Number.NaN, Number.POSITIVE_INFINITY, 2 ** 31]) {
      await expect(store.create("k", bytes("x"), { ttlMs })).rejects.toMatchObject({ code: "InvalidOption" });
    }
    expect(await store.get("k")).toBeUndefined();
  },
};

const watching: Cases<StoreForm> = {
  "a watch gives what is there, ready, then changes in order (ST5)": async (make) => {
    const { store } = await make();
    const a = revisionOf(await store.create("n.a", bytes("1")));
    await store.create("n.b", bytes("1"));
    await store.create("other", bytes("1"));
    const watch = store.watch("n.>")[Symbol.asyncIterator]();
    const seen = [await next(watch), await next(watch), await next(watch)].map(shown);
    const updated = revisionOf(await store.update("n.a", bytes("2"), a));
    seen.push(shown(await next(watch)));
    await store.delete("n.a", updated);
    seen.push(shown(await next(watch)));
    await store.create("other.c", bytes("1"));
    await store.create("n.c", bytes("1"));
    seen.push(shown(await next(watch)));
    expect(seen).toEqual(["put n.a=1", "put n.b=1", "ready", "put n.a=2", "gone n.a", "put n.c=1"]);
    await watch.return?.();
  },
  "an expiry is seen by watches (ST4, ST5)": async (make) => {
    const { store, advance } = await make();
    const watch = store.watch(">")[Symbol.asyncIterator]();
    expect(shown(await next(watch))).toBe("ready");
    const revision = revisionOf(await store.create("lease", bytes("x"), { ttlMs: TTL_MIN_MS }));
    expect(shown(await next(watch))).toBe("put lease=x");
    await advance(TTL_MIN_MS);
    const gone = await next(watch);
    expect(shown(gone)).toBe("gone lease");
    expect(gone.kind === "gone" && gone.revision).toBeGreaterThan(revision);
    await watch.return?.();
  },
  "a watch that reads late gets the last word on each key, in rising revisions (ST5)": async (make) => {
    const { store } = await make();
    const watch = store.watch(">")[Symbol.asyncIterator]();
    expect(shown(await next(watch))).toBe("ready");
    const last = new Map<string, number>();
    for (let round = 0; round < 20; round++) {
      for (const key of ["a", "b", "c"]) {
        const entry = await store.get(key);
        const value = bytes(String(round));
        const written = entry ? await store.update(key, value, entry.revision) : await store.create(key, value);
        last.set(key, revisionOf(written));
      }
    }
    const seen: Entry[] = [];
    while (seen.at(-1)?.revision !== last.get("c")) {
      const change = await next(watch);
      if (change.kind === "put") seen.push(change.entry);
    }
    const revisions = seen.map((entry) => entry.revision);
    expect(revisions).toEqual([...new Set(revisions)].sort((a, b) => a - b));
    for (const [key, revision] of last) {
      expect(seen.findLast((entry) => entry.key === key)?.revision).toBe(revision);
    }
    await watch.return?.();
  },
  "a watch ends when its signal aborts, before or while it waits (ST5)": async (make) => {
    const { store } = await make();
    await ended(store.watch(">", AbortSignal.abort())[Symbol.asyncIterator]());
    const leaving = new AbortController();
    const watch = store.watch(">", leaving.signal)[Symbol.asyncIterator]();
    expect(shown(await next(watch))).toBe("ready");
    const end = ended(watch);
    leaving.abort();
    await end;
  },
  "a filter that is none is refused": async (make) => {
    const { store } = await make();
    for (const filter of ["", "a.", ">.a", "a>", "a*b", "a..>"]) {
      await expect(next(store.watch(filter)[Symbol.asyncIterator]()), filter).rejects.toMatchObject({
        code: "InvalidSubject",
      });
    }
  },
  "close ends watches, may come twice, and later uses reject with Closed (ST8)": async (make) => {
    const { store } = await make();
    const watch = store.watch(">")[Symbol.asyncIterator]();
    expect(shown(await next(watch))).toBe("ready");
    const end = ended(watch);
    await store.close();
    await store.close();
    await end;
    const closed = { code: "Closed" };
    await expect(store.get("k")).rejects.toMatchObject(closed);
    await expect(store.create("k", bytes("x"))).rejects.toMatchObject(closed);
    await expect(store.update("k", bytes("x"), 1)).rejects.toMatchObject(closed);
    await expect(store.delete("k", 1)).rejects.toMatchObject(closed);
    await expect(store.putFenced("k", bytes("x"), { key: "k", revision: 1 })).rejects.toMatchObject(closed);
    await expect(store.deleteFenced("k", { key: "k", revision: 1 })).rejects.toMatchObject(closed);
    await expect(next(store.watch(">")[Symbol.asyncIterator]())).rejects.toMatchObject(closed);
  },
  "two stores share nothing": async (make) => {
    const [one, two] = [await make(), await make()];
    await one.store.create("k", bytes("x"));
    expect(await two.store.get("k")).toBeUndefined();
    expect((await two.store.create("k", bytes("y"))).kind).toBe("written");
  },
};

type Step = { readonly key: string } & (
  | { readonly kind: "create"; readonly value: string }
  | { readonly kind: "update"; readonly value: string; readonly stale: boolean }
  | { readonly kind: "delete"; readonly stale: boolean }
);

const key = fc.constantFrom("a", "b", "c.d");
const value = fc.string({ maxLength: 4 });
const step: fc.Arbitrary<Step> = fc.oneof(
  fc.record({ kind: fc.constant("create"), key, value }),
  fc.record({ kind: fc.constant("update"), key, value, stale: fc.boolean() }),
  fc.record({ kind: fc.constant("delete"), key, stale: fc.boolean() }),
);

type Model = Map<string, { readonly value: string; readonly revision: number }>;

/** Does one step on the store, and in the model what the contract says it must have done. */
async function stepBoth(store: Store, model: Model, latest: number, step: Step): Promise<number> {
  const there = model.get(step.key);
  const named = step.kind !== "create" && step.stale ? latest + 1 : (there?.revision ?? latest + 1);
  const wins = step.kind === "create" ? there === undefined : named === there?.revision;
  const written =
    step.kind === "create"
      ? await store.create(step.key, bytes(step.value))
      : step.kind === "update"
        ? await store.update(step.key, bytes(step.value), named)
        : await store.delete(step.key, named);
  expect(written.kind).toBe(wins ? "written" : "conflict");
  if (written.kind === "conflict") {
    expect(written.current?.revision).toBe(there?.revision);
    return latest;
  }
  expect(written.revision).toBeGreaterThan(latest);
  if (step.kind === "delete") model.delete(step.key);
  else model.set(step.key, { value: step.value, revision: written.revision });
  return written.revision;
}

/** Reads a watch until it has caught up with `revision`: the keys that its reader believes in. */
async function believed(changes: AsyncIterator<Change>, revision: number): Promise<Map<string, string | undefined>> {
  const keys = new Map<string, string | undefined>();
  for (let seen = 0; seen < revision; ) {
    const change = await next(changes);
    if (change.kind === "ready") continue;
    if (change.kind === "put") keys.set(change.entry.key, text(change.entry.value));
    else keys.delete(change.key);
    seen = change.kind === "put" ? change.entry.revision : change.revision;
  }
  return keys;
}

const modelled = (runs: number): Cases<StoreForm> => ({
  "any sequence of writes behaves like a plain map with revisions, and a watch comes to believe it (ST1, ST2, ST5)":
    async (make) => {
      await fc.assert(
        fc.asyncProperty(fc.array(step, { maxLength: 40 }), async (steps) => {
          const { store, close } = await make();
          const watch = store.watch(">")[Symbol.asyncIterator]();
          await next(watch);
          const model: Model = new Map();
          let latest = 0;
          for (const each of steps) latest = await stepBoth(store, model, latest, each);
          for (const each of ["a", "b", "c.d"]) {
            expect(text((await store.get(each))?.value)).toBe(model.get(each)?.value);
          }
          expect(await believed(watch, latest)).toEqual(new Map([...model].map(([name, held]) => [name, held.value])));
          await close();
        }),
        { numRuns: runs },
      );
    },
});

export interface StoreContractOptions {
  readonly skips?: Skips;
  /** Sequences tried by the property; forms behind a network try fewer. */
  readonly runs?: number;
  readonly isConcurrent?: boolean;
}

export function storeContract(
  name: string,
  make: () => Promise<StoreForm>,
  { skips = {}, runs = 300, isConcurrent = false }: StoreContractOptions = {},
): void {
  runContract(
    `Store: ${name}`,
    { ...writing, ...fencing, ...expiring, ...watching, ...modelled(runs) },
    make,
    skips,
    isConcurrent,
  );
}
