// Starting services: what runs is left alone, what was set otherwise is started anew, and hosts that start at once do not stop one another's.

import { readFile } from "node:fs/promises";
import { afterEach, expect, test, vi } from "vitest";
import { contextOf, planningOf, SERVICES } from "../../actors/service-handles.ts";
import { type ServiceSettings, serviceTypes, startServices } from "../../actors/service-host.ts";
import { type ActorSystem, connect } from "../../runtime/index.ts";
import { codeOf } from "../support/caught.ts";
import { makeFolder } from "../support/git-repository.ts";
import { waitUntil } from "../support/wait-until.ts";

const SETTINGS: ServiceSettings = { graph: { kind: "embedded" }, workspaces: {}, taskTimeoutMs: 60_000 };
/** The same table in other bytes: other settings. */
async function changedSettings(): Promise<ServiceSettings> {
  const table = new URL("../../actors/planning/story-states.yaml", import.meta.url);
  return { ...SETTINGS, storyTable: `${await readFile(table, "utf8")}\n# changed` };
}

let system: ActorSystem | undefined;
afterEach(async () => {
  await system?.close();
  vi.unstubAllEnvs();
});

const open = async (): Promise<ActorSystem> => {
  system = await connect({ actors: [...(await serviceTypes(["planning"]))] });
  return system;
};

/** A host over the same fleet. It says what it stopped, and waits before its first write until it is let on. */
function hostOf(fleet: ActorSystem, goes: Promise<void> = Promise.resolve()) {
  const stopped: unknown[] = [];
  const writes: unknown[] = [];
  const store = new Proxy(fleet.ports.store, {
    get: (target, name) => {
      const value = Reflect.get(target, name, target);
      if (typeof value !== "function") return value;
      const call = value.bind(target);
      const held = (...args: unknown[]) => {
        writes.push(name);
        return goes.then(() => call(...args));
      };
      return name === "create" || name === "update" ? held : call;
    },
  });
  const host = new Proxy(fleet, {
    get: (target, name) => {
      if (name === "ports") return { ...target.ports, store };
      if (name === "stop") return (handle: never) => stopped.push(handle) && target.stop(handle);
      const value = Reflect.get(target, name, target);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  const start = (settings: ServiceSettings) =>
    startServices(host, ["planning"], settings, { log: () => {}, signal: new AbortController().signal });
  return { start, stopped, writes };
}

test("one that starts while another is about to: neither stops what the other has started", async () => {
  const fleet = await open();
  const later = Promise.withResolvers<void>();
  const [slow, quick] = [hostOf(fleet, later.promise), hostOf(fleet)];
  const slowly = slow.start(SETTINGS);
  await waitUntil("the slow one is before its write, and has started the service or not", () => slow.writes.length > 0);
  await quick.start(SETTINGS);
  later.resolve();
  await slowly;
  expect([...slow.stopped, ...quick.stopped]).toEqual([]);
  await planningOf(fleet).createProject({ title: "P", description: "", by: { kind: "human", id: "ada" } });
});

test("with the same settings it is left alone; with others it is started anew, once, by however many", async () => {
  const fleet = await open();
  const [first, again, one, other] = [hostOf(fleet), hostOf(fleet), hostOf(fleet), hostOf(fleet)];
  await first.start(SETTINGS);
  await again.start(SETTINGS);
  expect([...first.stopped, ...again.stopped]).toEqual([]);
  const by = { kind: "human", id: "ada" } as const;
  await planningOf(fleet).createProject({ id: "p", title: "P", description: "", by });
  const changed = await changedSettings();
  await Promise.all([one.start(changed), other.start(changed)]);
  expect(one.stopped.length + other.stopped.length).toBeGreaterThan(0);
  expect((await planningOf(fleet).projects()).map(({ id }) => id)).toEqual(["p"]);
  const last = hostOf(fleet);
  await last.start(changed);
  expect(last.stopped).toEqual([]);
});

test("one that is killed, without its onStop, lets go of what it held: its next life in the same process has the graph", async () => {
  await using folder = await makeFolder("flotilla-services-");
  vi.stubEnv("FLOTILLA_SERVICES", folder.path);
  system = await connect({ actors: [...(await serviceTypes(["context"]))] });
  const fleet = system;
  const starts = () =>
    startServices(fleet, ["context"], SETTINGS, { log: () => {}, signal: new AbortController().signal });
  // Neither is there, and both have asked the graph.
  const asks = () => codeOf(contextOf(fleet).relationships({ nodeId: "story:none" }));
  for (let life = 1; life <= 3; life++) {
    await starts();
    await waitUntil(`life ${life} has the graph`, async () => (await asks()) === "NodeUnknown", 5_000);
    fleet.kill(await fleet.get("context", undefined, SERVICES));
  }
});
