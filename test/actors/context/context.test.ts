// The actor: found by its name, with a graph in its host's folder or a Neo4j that is down, and stopped without leaving anything open.

import { rm } from "node:fs/promises";
import { afterEach, expect, it, vi } from "vitest";
import { Context, type ContextSettings } from "../../../actors/context/context.ts";
import { contextOf, SERVICES } from "../../../actors/service-handles.ts";
import { connect } from "../../../runtime/index.ts";
import { caught } from "../../support/caught.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { graphFolder, PO, tellStory } from "./stand.ts";

const closing: (() => unknown)[] = [];
afterEach(async () => {
  for (const close of closing.splice(0).reverse()) await close();
  vi.unstubAllEnvs();
});

async function start(settings: ContextSettings) {
  const folder = await graphFolder();
  vi.stubEnv("FLOTILLA_SERVICES", folder);
  const system = await connect({ actors: [Context] });
  closing.push(
    () => rm(folder, { recursive: true, force: true }),
    () => system.close(),
  );
  const spawn = () =>
    system.spawn(Context, { name: "context", namespace: SERVICES, args: [settings], concurrency: 16 });
  return { system, spawn, context: contextOf(system, { timeoutMs: 10_000 }) };
}

it("answers by its name, and its next life has the same graph", async () => {
  const { system, spawn, context } = await start({ graph: { kind: "embedded" } });
  const first = await spawn();
  await tellStory(system, "s1");
  const ask = () => context.getContext({ storyId: "s1", role: "dev", phase: "build", taskId: "t3" });
  await waitUntil("the graph has the story", () => ask().catch(() => undefined));
  const changes = [
    { operation: "create", entityType: "Decision", entityId: "d1", payload: { title: "So" }, reason: "" } as const,
  ];
  const { version } = await context.updateContext({ storyId: "s1", by: PO, changes, key: "once" });
  await system.stop(first);
  await spawn();
  expect(await context.updateContext({ storyId: "s1", by: PO, changes, key: "once" })).toMatchObject({ version });
  expect((await ask()).version).toBe(version);
  expect(await context.validateScope({ role: "dev", phase: "build", scopes: [] })).toMatchObject({ allowed: false });
  const [pack] = (await context.rehydrateSession({ storyId: "s1", roles: ["QA"] })).packs;
  expect(pack?.tasks.map(({ id }) => id)).toContain("task:s1/t3");
  expect((await context.impact("s1/d1")).decision.title).toBe("So");
  expect((await context.relationships({ nodeId: "decision:s1/d1" })).nodes.map(({ id }) => id)).toEqual(["story:s1"]);
  const error = await caught(context.why("0123456789"));
  expect([error.code, error.retryable]).toEqual(["NodeUnknown", false]);
});

it("starts while its Neo4j is down, and says so to callers", async () => {
  const { spawn, context } = await start({ graph: { kind: "neo4j", url: "bolt://127.0.0.1:1" } });
  await spawn();
  const error = await caught(context.getContext({ storyId: "s1", role: "DEV", phase: "BUILD" }));
  expect([error.code, error.retryable]).toEqual(["GraphUnavailable", true]);
});

it("does not start with a table of scopes that is wrong (CX2)", async () => {
  const { spawn } = await start({ graph: { kind: "embedded" }, scopes: "phases: {}" });
  const error = await caught(spawn());
  expect([error.code, error.message]).toEqual(["ActorStartFailed", expect.stringContaining("table of scopes")]);
});
