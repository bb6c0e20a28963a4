// One class in all three kinds of isolation, each on the same node of a real fleet.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import type { Handle, Isolation } from "../../../runtime/index.ts";
import { runContract, type Skips } from "../../contracts/contract.ts";
import { type IsolatedFleet, isolationCases, PROCESS_SKIPS, SHARED_SKIPS } from "../../contracts/isolation.ts";
import { Probe } from "../../fixtures/isolation/probe.ts";
import { caught } from "../../support/caught.ts";
import { type GrantedSpawns, grantedSpawns } from "../../support/granted-spawns.ts";
import { openProcessFleet, type ProcessFleet, processesOf, processRecords } from "../../support/isolation-fleet.ts";
import { natsForTests } from "../../support/nats-server.ts";
import { pauseProcess } from "../../support/paused-process.ts";
import { waitUntil } from "../../support/wait-until.ts";

const nats = natsForTests();

describe.skipIf(nats.missing !== undefined)(
  `isolation (${nats.missing ?? "there"})`,
  { concurrent: true, timeout: 60_000 },
  () => {
    let fleet: ProcessFleet;
    let grants: GrantedSpawns;
    let names = 0;

    beforeAll(async () => {
      grants = grantedSpawns();
      // None waits: each of these tests would pay for the one that is started in its place.
      fleet = await openProcessFleet({ ...nats.options, prefix: nats.prefix() }, { warmProcesses: 0 });
    });
    afterAll(async () => {
      await fleet?.[Symbol.asyncDispose]();
      grants[Symbol.dispose]();
    });

    const standing = new Map<Isolation, Promise<Handle<typeof Probe>>>();
    const make = (isolation: Isolation) => async (): Promise<IsolatedFleet> => {
      const one = standing.get(isolation) ?? fleet.script.spawn(Probe, { isolation, args: [4] });
      standing.set(isolation, one);
      return {
        ...fleet,
        isolation,
        standing: await one,
        name: () => `n${++names}`,
        grant: grants.grant,
        close: async () => {},
      };
    };
    const forms: readonly (readonly [Isolation, Skips])[] = [
      ["shared", SHARED_SKIPS],
      ["thread", {}],
      ["process", PROCESS_SKIPS],
    ];
    for (const [isolation, skips] of forms) runContract(isolation, isolationCases, make(isolation), skips, true);

    test("one that never renews its lease is ended when the fleet takes it for dead; one that comes back is let be", async () => {
      const common = { ...nats.options, prefix: nats.prefix(), lease: "fast" } as const;
      await using other = await openProcessFleet(common, { warmProcesses: 1 });
      const { script, host, lines } = other;
      await waitUntil("one waits", () => host.stats().processesReady === 1);
      const [waiting] = await processRecords(host);
      if (waiting === undefined) throw new Error("it is not in the fleet");
      const spinner = await script.spawn(Probe, { isolation: "thread" });
      const node = await spinner.node();
      await pauseProcess(waiting.pid);
      expect(await caught(spinner.spin())).toMatchObject({ code: "Unknown", data: { node } });
      await waitUntil("the other is taken for dead, too", async () => (await processRecords(host)).length === 0);
      process.kill(waiting.pid, "SIGCONT");
      const isEnded = () => lines.some(({ message }) => message === `${node} has not renewed its lease and is ended`);
      await waitUntil("its thread is ended", isEnded, 30_000);
      await waitUntil("only the other is there", () => host.stats().processes === 1);
      expect(await processesOf(host)).toEqual([waiting.node]);
    });

    test("a process that waits serves an actor with an environment as long as no module has run in it", async () => {
      await using other = await openProcessFleet({ ...nats.options, prefix: nats.prefix() }, { warmProcesses: 1 });
      const { script, host } = other;
      const isolation = "process";
      const ready = () => waitUntil("one waits", () => host.stats().processesReady === 1);
      const take = async (name: string) => {
        await ready();
        const [waiting] = (await processesOf(host)).slice(-1);
        const probe = await script.spawn(Probe, { isolation, name });
        return { wasWaiting: (await probe.node()) === waiting, devices: await probe.devices() };
      };
      const seen = ["GPU-8", "GPU-8", "GPU-8"];
      grants.grant("first", { environment: { CUDA_VISIBLE_DEVICES: "GPU-8" } });
      grants.grant("last", { environment: { CUDA_VISIBLE_DEVICES: "GPU-8" } });
      expect(await take("first")).toEqual({ wasWaiting: true, devices: seen });
      expect((await take("second")).wasWaiting).toBe(true);
      // The one that was started in its place has the module.
      expect(await take("last")).toEqual({ wasWaiting: false, devices: seen });
    });
  },
);
