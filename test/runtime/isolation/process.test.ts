// Actors in processes of their own, on a fleet with a real server: a node that hosts and a script that asks.

import { existsSync } from "node:fs";
import { unlink } from "node:fs/promises";
import { fileURLToPath } from "node:url";
import { afterAll, describe, expect, test } from "vitest";
import { type ConnectOptions, connect, defineActor, type Handle } from "../../../runtime/index.ts";
import { LEASE_PROFILES } from "../../../runtime/lease.ts";
import { Counter as Shipped } from "../../fixtures/code/counter.ts";
import { Probe } from "../../fixtures/isolation/probe.ts";
import { caught } from "../../support/caught.ts";
import { gone, isThere, openProcessFleet, processesOf, startHost } from "../../support/isolation-fleet.ts";
import { natsForTests } from "../../support/nats-server.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { writtenModules } from "../../support/written-modules.ts";

const nats = natsForTests();
/** The lease of a process that has just ended still stands for about so long. */
const LEASE_MS = LEASE_PROFILES.normal.selfFenceMs;
const apart = { isolation: "process" } as const;

/** Every process that an actor of these tests has lived in. */
const seen = new Set<number>();
async function pidOf(probe: Handle<typeof Probe>): Promise<number> {
  const pid = await probe.pid();
  seen.add(pid);
  return pid;
}

const openFleet = (node: ConnectOptions = {}) =>
  openProcessFleet({ ...nats.options, prefix: nats.prefix() }, { ...node });

const RUNTIME = new URL("../../../runtime/index.ts", import.meta.url).href;
const Inline = defineActor("inline", class {});

describe.skipIf(nats.missing !== undefined)(
  `an actor in its own process (${nats.missing ?? "there"})`,
  { concurrent: true, timeout: 60_000 },
  () => {
    afterAll(async () => {
      try {
        await waitUntil("no process is left", () => ![...seen].some(isThere));
      } finally {
        for (const pid of seen) if (isThere(pid)) process.kill(pid, "SIGKILL");
      }
    });

    test("is spawned, called, streamed from and stopped; only its node appears; its process ends with it", async () => {
      await using fleet = await openFleet();
      const { script, host, lines } = fleet;
      const probe = await script.spawn(Probe, { ...apart, args: [5] });
      const pid = await pidOf(probe);
      expect(pid).not.toBe(process.pid);
      expect(await probe.node()).toMatch(/^host-p\d+-/);
      expect(await probe.kept()).toBe(5);
      expect(await Array.fromAsync(probe.count(300))).toHaveLength(300);
      expect(script.nodes().map(({ name }) => name)).toEqual(["script", "host"]);
      expect(await probe.shown()).not.toContain(nats.options.pass);
      await probe.say(`hello\n${"x".repeat(10_000)}`);
      await waitUntil("its lines are in the node's log", () => lines.some(({ message }) => message.startsWith("xxx")));
      const printed = lines.filter(({ data }) => data?.stream === "stdout");
      expect(printed.map(({ message }) => message.length)).toEqual([5, 4_097]);
      expect(new Set(printed.map(({ node }) => node))).toEqual(new Set([await probe.node()]));
      const ends = new Promise((resolve) => script.watch(probe, ({ reason }) => resolve(reason)));
      await script.stop(probe);
      expect(await ends).toBe("stopped");
      await gone(pid);
      expect((await caught(probe.pid())).code).toMatch(/^(NoSuchActor|Unavailable)$/);
      expect(host.stats().actors).toBe(0);
    });

    test("ends its process: callers and watchers are told soon, and one that may restart comes back in another", async () => {
      await using fleet = await openFleet();
      const { script, lines } = fleet;
      const [lost, kept, thrower] = await Promise.all([
        script.spawn(Probe, apart),
        script.spawn(Probe, { ...apart, args: [3], restart: { maxRestarts: 1, withinMs: 60_000 } }),
        script.spawn(Probe, apart),
      ]);
      const pids = await Promise.all([lost, kept, thrower].map(pidOf));
      const [, before] = pids;
      const end = new Promise<string | undefined>((resolve) => script.watch(lost, ({ error }) => resolve(error?.code)));
      const startMs = performance.now();
      expect((await caught(lost.exit(3))).code).toBe("Unknown");
      expect(await end).toBe("NodeLost");
      await thrower.throwLater();
      await Promise.all([caught(kept.exit(0)), ...pids.map(gone)]);
      expect(performance.now() - startMs).toBeLessThan(LEASE_MS);
      const after = await waitUntil("it is back", () => pidOf(kept).catch(() => undefined));
      expect(after).not.toBe(before);
      expect(await kept.kept()).toBe(3);
      expect(lines.map(({ message }) => message)).toContainEqual(
        expect.stringMatching(/^the process .* ended with status 3$/),
      );
      expect(lines.map(({ message }) => message)).toContainEqual(expect.stringContaining("nobody awaits this"));
    });

    test("twenty at once; they end when the process that owns them leaves, and with their node", async () => {
      await using fleet = await openFleet();
      const { script, host } = fleet;
      const probes = await Promise.all(Array.from({ length: 20 }, () => script.spawn(Probe, apart)));
      const own = await host.spawn(Probe, { ...apart, node: host.node });
      const pids = await Promise.all(probes.map(pidOf));
      expect(new Set(pids).size).toBe(20);
      const last = await pidOf(own);
      const [[, , folder]] = JSON.parse(await own.shown());
      expect(existsSync(folder)).toBe(true);
      await script.close();
      await Promise.all(pids.map(gone));
      expect(isThere(last)).toBe(true);
      await host.close();
      expect(isThere(last)).toBe(false);
      expect(existsSync(folder)).toBe(false);
    });

    test("a killed node's processes end by themselves, also one that never lets go of its thread, and nothing is left", async () => {
      const common = { ...nats.options, prefix: nats.prefix() };
      await using host = await startHost({ ...common, name: "host", warmProcesses: 1 });
      await using script = await connect({ ...common, name: "script" });
      await waitUntil("the host is seen", () => script.nodes().length === 2);
      const [quiet, spinner] = await Promise.all([script.spawn(Probe, apart), script.spawn(Probe, apart)]);
      const pids = await Promise.all([quiet, spinner].map(pidOf));
      const [[, , folder]] = JSON.parse(await quiet.shown());
      expect(existsSync(folder)).toBe(true);
      const spinning = caught(spinner.spin());
      const end = new Promise((resolve) => script.watch(quiet, ({ reason }) => resolve(reason)));
      // Asked after the watch, so answered when that has been heard.
      await quiet.pid();
      host.kill();
      await Promise.all(pids.map(gone));
      // One ended by itself, in order; of the other only its lease told.
      expect(await end).toBe("stopped");
      expect((await spinning).code).toBe("Unknown");
      await waitUntil("the folder is gone", () => !existsSync(folder));
    });

    test("warm ones wait, are taken and are replaced; none where none is wanted", async () => {
      await using fleet = await openFleet({ warmProcesses: 2 });
      const { script, host } = fleet;
      const warm = await waitUntil("two are warm", async () => {
        const found = await processesOf(host);
        return found.length === 2 && found;
      });
      const probe = await script.spawn(Probe, apart);
      seen.add(await probe.pid());
      expect(warm).toContain(await probe.node());
      await waitUntil("there are three", async () => (await processesOf(host)).length === 3);
      await using cold = await openFleet({ warmProcesses: 0 });
      const other = await cold.script.spawn(Probe, apart);
      seen.add(await other.pid());
      expect(await processesOf(cold.host)).toEqual([await other.node()]);
    });

    test("what cannot be had is refused with its reason, and its process is not kept", async () => {
      using written = writtenModules();
      const text = (name: string, head = "") =>
        `import { defineActor } from "${RUNTIME}";\n${head} const A = defineActor("${name}", class {});\nexport const all = () => A;\n`;
      const load = async (url: string) => (await import(url)).all();
      await using fleet = await openFleet({ warmProcesses: 0, actors: [Probe, Inline] });
      const { host, script } = fleet;
      const hidden = await load(
        written.module(`${text("hidden")}export const B = defineActor("b", class {});\n`, "hidden.ts"),
      );
      const lostUrl = written.module(text("lost", "export"), "lost.ts");
      const lost = await load(lostUrl);
      await unlink(fileURLToPath(lostUrl));
      const here = { ...apart, node: host.node };
      expect(await caught(host.spawn(hidden, here))).toMatchObject({
        code: "ActorModuleInvalid",
        message: expect.stringContaining("export const Hidden = defineActor"),
      });
      expect((await caught(host.spawn(lost, here))).message).toContain("lost.ts is not there");
      // A test file is no module for others: it stands for one that throws while it is loaded.
      expect(await caught(host.spawn(Inline, here))).toMatchObject({
        code: "ActorModuleInvalid",
        message: expect.stringContaining("cannot be loaded"),
      });
      expect(await caught(script.spawn(Probe, { ...apart, args: [-1] }))).toMatchObject({
        code: "ProcessFailed",
        message: expect.stringMatching(/ended with status 7 before its actor had started$/),
      });
      await waitUntil("no process is kept", async () => (await processesOf(host)).length === 0);
    });

    test("names, shipped code and actors that spawn work as they do elsewhere", async () => {
      await using fleet = await openFleet({ allowCode: true });
      const { script } = fleet;
      const named = { ...apart, name: "one", getIfExists: true };
      const one = await script.spawn(Probe, named);
      const same = await script.spawn(Probe, named);
      expect(await pidOf(same)).toBe(await pidOf(one));
      expect(await (await script.get("one", Probe)).pid()).toBe(await one.pid());
      const shipped = await script.spawn(Shipped, apart);
      expect((await shipped.where()).node).toMatch(/^host-p/);
      const grandchild = await one.spawnApart();
      expect(grandchild).not.toBe(await one.pid());
      seen.add(grandchild);
      const free = (await one.spawnFree()) as Handle<typeof Probe>;
      await script.stop(one);
      await gone(grandchild);
      expect(await free.pid()).toBe(process.pid);
    });

    test("a node that leaves hands them over: they live in a process of another node then", async () => {
      await using fleet = await openFleet({ warmProcesses: 0 });
      const { script, host } = fleet;
      const restart = { maxRestarts: 1, withinMs: 60_000 };
      const probe = await script.spawn(Probe, { ...apart, args: [9], restart });
      const pid = await pidOf(probe);
      await using _ = await fleet.addHost("other");
      await host.close();
      expect(isThere(pid)).toBe(false);
      await waitUntil("it is there again", () => pidOf(probe).catch(() => undefined));
      expect([await probe.kept(), await probe.node()]).toEqual([9, expect.stringMatching(/^other-p/)]);
      expect(fleet.lines.map(({ message }) => message)).toContainEqual(
        expect.stringContaining("was handed over to other-p"),
      );
    });
  },
);
