// A node's cached prefixes reach the fleet: when they change, not too often, bounded, and no longer than the node is there.

import { expect, test } from "vitest";
import { POST_MS, PrefixPost, readPrefixes } from "../../../nodes/daemon/prefix-post.ts";
import type { PrefixSummary } from "../../../nodes/telemetry/prefix-view.ts";
import { MemoryStore } from "../../../runtime/memory/store.ts";
import { FakeClock } from "../../support/fake-clock.ts";

const summary = (generation: number, ends = 0): PrefixSummary => ({
  generation,
  blockSize: 16,
  blocks: 10,
  tokens: 160,
  ends: Array.from({ length: ends }, (_, at) => ({ name: `${at}`.padStart(16, "0"), depth: at, ways: 0 })),
  left: 0,
  dropped: 0,
});

function open(read: () => ReadonlyMap<string, PrefixSummary>) {
  const clock = new FakeClock();
  const store = new MemoryStore({ clock });
  const post = new PrefixPost({ node: "n-1", store, clock, read });
  post.start();
  const revision = async () => (await store.get("prefixes.n-1"))?.revision;
  return { clock, store, post, revision };
}

test("what has changed is told, at most every two seconds, and kept for as long as the node tells it", async () => {
  let models = new Map<string, PrefixSummary>();
  const { clock, store, post, revision } = open(() => models);
  await clock.advance(POST_MS);
  expect((await readPrefixes(store)).size).toBe(0);
  models = new Map([["qwen", summary(1)]]);
  await clock.advance(POST_MS);
  expect((await readPrefixes(store)).get("n-1")).toMatchObject({ node: "n-1", models: { qwen: { generation: 1 } } });
  const first = await revision();
  models = new Map([["qwen", summary(2)]]);
  await clock.advance(POST_MS - 1);
  expect(await revision()).toBe(first);
  await clock.advance(1);
  expect(await revision()).not.toBe(first);
  await clock.advance(300_000);
  expect((await readPrefixes(store)).get("n-1")?.models.qwen?.generation).toBe(2);
  await post.close();
  expect((await readPrefixes(store)).size).toBe(0);
});

test("of a node that dies nothing stays", async () => {
  const { clock, store } = open(() => new Map([["qwen", summary(1)]]));
  await clock.advance(POST_MS);
  const dead = new MemoryStore({ clock });
  expect((await readPrefixes(dead)).size).toBe(0);
  const entry = await store.get("prefixes.n-1");
  await dead.create("prefixes.n-1", entry?.value ?? new Uint8Array(), { ttlMs: 60_000 });
  await clock.advance(61_000);
  expect((await readPrefixes(dead)).size).toBe(0);
});

test("servers whose summaries do not fit are named", async () => {
  const models = new Map(Array.from({ length: 8 }, (_, at) => [`m${at}`, summary(1, 120)] as const));
  const { clock, store } = open(() => models);
  await clock.advance(POST_MS);
  const entry = await store.get("prefixes.n-1");
  expect(entry?.value.length).toBeLessThanOrEqual(33_000);
  const told = (await readPrefixes(store)).get("n-1");
  expect([...Object.keys(told?.models ?? {}), ...(told?.left ?? [])]).toEqual([...models.keys()]);
  expect(told?.left?.length).toBeGreaterThan(0);
});
