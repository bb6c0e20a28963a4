// The Store contract's part on fenced writes (ST7) and lists.

import { expect } from "vitest";
import { listEntries } from "../../runtime/store.ts";
import { bytes, type Cases, text } from "./contract.ts";
import { revisionOf, type StoreForm, shownEntry } from "./store-form.ts";

export const fencing: Cases<StoreForm> = {
  "a fenced write is taken while the fence stands, whatever its key holds (ST7)": async (make) => {
    const { store } = await make();
    const fence = { key: "name", revision: revisionOf(await store.create("name", bytes("me"))) };
    revisionOf(await store.putFenced("state", bytes("1"), fence));
    const second = revisionOf(await store.putFenced("state", bytes("2"), fence));
    expect(shownEntry(await store.get("state"))).toEqual({ key: "state", value: "2", revision: second });
    expect(revisionOf(await store.deleteFenced("state", fence))).toBeGreaterThan(second);
    expect(await store.get("state")).toBeUndefined();
    revisionOf(await store.deleteFenced("absent", fence));
    revisionOf(await store.putFenced("state", bytes("3"), fence));
    expect(text((await store.get("state"))?.value)).toBe("3");
  },
  "a fenced write is refused once the fence moved on, was deleted or never stood (ST7)": async (make) => {
    const { store } = await make();
    const fenced = { kind: "fenced" };
    const first = revisionOf(await store.create("name", bytes("old holder")));
    const old = { key: "name", revision: first };
    revisionOf(await store.putFenced("state", bytes("old"), old));
    const second = revisionOf(await store.update("name", bytes("new holder"), first));
    expect(await store.putFenced("state", bytes("zombie"), old)).toEqual(fenced);
    expect(await store.deleteFenced("state", old)).toEqual(fenced);
    revisionOf(await store.delete("name", second));
    expect(await store.putFenced("state", bytes("zombie"), { key: "name", revision: second })).toEqual(fenced);
    expect(await store.putFenced("state", bytes("zombie"), { key: "nobody", revision: second })).toEqual(fenced);
    expect(text((await store.get("state"))?.value)).toBe("old");
  },
  "of 200 fenced writes around a takeover none is taken after it (ST7)": async (make) => {
    const { store } = await make();
    const revision = revisionOf(await store.create("name", bytes("old")));
    const writes = Array.from({ length: 100 }, (_, at) =>
      store.putFenced("state", bytes(`${at}`), { key: "name", revision }),
    );
    const takeover = store.update("name", bytes("new"), revision);
    writes.push(
      ...Array.from({ length: 100 }, (_, at) =>
        store.putFenced("state", bytes(`late ${at}`), { key: "name", revision }),
      ),
    );
    const taken = revisionOf(await takeover);
    for (const outcome of await Promise.all(writes)) {
      if (outcome.kind === "written") expect(outcome.revision).toBeLessThan(taken);
    }
    expect(revisionOf(await store.putFenced("state", bytes("mine"), { key: "name", revision: taken }))).toBeGreaterThan(
      taken,
    );
  },
  "wrong fences, keys and sizes are refused": async (make) => {
    const { store } = await make();
    const fence = { key: "name", revision: revisionOf(await store.create("name", bytes("me"))) };
    const invalid = { code: "InvalidSubject" };
    await expect(store.putFenced("a b", bytes("x"), fence)).rejects.toMatchObject(invalid);
    await expect(store.putFenced("a", bytes("x"), { ...fence, key: "a.*" })).rejects.toMatchObject(invalid);
    await expect(store.deleteFenced("a", { ...fence, revision: 0 })).rejects.toMatchObject({ code: "InvalidOption" });
    await expect(store.putFenced("a", new Uint8Array(store.valueMaxBytes + 1), fence)).rejects.toMatchObject({
      code: "ValueTooLarge",
    });
  },
  "listEntries answers what is there now": async (make) => {
    const { store } = await make();
    await store.create("n.a", bytes("1"));
    const b = revisionOf(await store.create("n.b", bytes("1")));
    await store.create("m.a", bytes("1"));
    await store.delete("n.b", b);
    await store.create("n.c", bytes("2"));
    expect((await listEntries(store, "n.*")).map(({ key, value }) => [key, text(value)])).toEqual([
      ["n.a", "1"],
      ["n.c", "2"],
    ]);
    expect(await listEntries(store, "x.>")).toEqual([]);
  },
};
