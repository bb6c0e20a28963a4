// The directory over a real store: one claim wins, a release frees, and only its own.

import { expect, test } from "vitest";
import { Directory } from "../../runtime/directory.ts";
import { systemClock } from "../../runtime/index.ts";
import { MemoryStore } from "../../runtime/memory/store.ts";

const address = (id: string) => ({ node: "north", id, type: "counter", incarnation: 1 });
const open = () => new Directory(new MemoryStore({ clock: systemClock }));

test("of 1,000 claims one wins, the others are told who (DI1)", async () => {
  const directory = open();
  const ids = Array.from({ length: 1_000 }, (_, index) => String(index));
  const claims = await Promise.all(ids.map((id) => directory.claim("default", "one", address(id))));
  const won = claims.flatMap(({ kind }, index) => (kind === "claimed" ? [index] : []));
  expect(won).toHaveLength(1);
  for (const claim of claims) if (claim.kind === "taken") expect(claim.by).toEqual(address(String(won[0])));
  expect(await directory.find("default", "one")).toEqual(address(String(won[0])));
});

test("a released name is free; releasing an old claim takes nothing from the next holder (DI2)", async () => {
  const directory = open();
  const first = await directory.claim("default", "one", address("1"));
  if (first.kind !== "claimed") throw new Error("the first claim lost");
  await directory.release(first.claim);
  expect(await directory.find("default", "one")).toBeUndefined();
  await directory.claim("default", "one", address("2"));
  await directory.release(first.claim);
  expect(await directory.find("default", "one")).toEqual(address("2"));
});

test("namespaces and odd names do not meet", async () => {
  const directory = open();
  const pairs = [
    ["a", "b.c"],
    ["a.b", "c"],
    ["*", ">"],
    ["n".repeat(80), "名".repeat(80)],
    ["n".repeat(80), "名".repeat(79)],
    ["名", "é"],
  ] as const;
  for (const [namespace, name] of pairs) {
    expect((await directory.claim(namespace, name, address(name))).kind).toBe("claimed");
  }
  for (const [namespace, name] of pairs) expect(await directory.find(namespace, name)).toEqual(address(name));
});
