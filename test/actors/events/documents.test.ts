// Documents of services in the store: written once, replaced only by whoever has read the last one, and refused when they are not ours.

import { expect, test } from "vitest";
import { z } from "zod";
import { Documents } from "../../../actors/events/documents.ts";
import { connect } from "../../../runtime/index.ts";

const schema = z.object({ title: z.string() });

test("of two writers that read the same, one wins", async () => {
  await using system = await connect();
  const documents = new Documents(system, "planning.thing", schema);
  expect(await documents.get("a")).toBeUndefined();
  const first = await documents.create("a", { title: "one" });
  expect(await documents.create("a", { title: "other" })).toBeUndefined();
  if (first === undefined) throw new Error("it was not written");
  const second = await documents.replace(first, { title: "two" });
  expect(await documents.replace(first, { title: "three" })).toBeUndefined();
  expect(await documents.delete(first)).toBe(false);
  expect((await documents.get("a"))?.value).toEqual({ title: "two" });
  await documents.create("b", { title: "b" });
  expect((await documents.list()).map(({ id, value }) => [id, value.title]).sort()).toEqual([
    ["a", "two"],
    ["b", "b"],
  ]);
  expect(second && (await documents.delete(second))).toBe(true);
  expect(await documents.get("a")).toBeUndefined();
});

test("what somebody else wrote under the prefix is told by its key and not believed", async () => {
  await using system = await connect();
  await system.ports.store.create("planning.thing.x", new TextEncoder().encode("[]"));
  await system.ports.store.create("planning.thing.y", Uint8Array.of(1, 2));
  const documents = new Documents(system, "planning.thing", schema);
  for (const id of ["x", "y"]) {
    const data = { key: `planning.thing.${id}` };
    await expect(documents.get(id)).rejects.toMatchObject({ code: "DocumentUnreadable", data });
  }
});
