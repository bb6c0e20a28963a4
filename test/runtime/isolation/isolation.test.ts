// One class in all three kinds of isolation, each on the same node of a real fleet.

import { afterAll, beforeAll, describe } from "vitest";
import type { Handle, Isolation } from "../../../runtime/index.ts";
import { runContract, type Skips } from "../../contracts/contract.ts";
import { type IsolatedFleet, isolationCases, PROCESS_SKIPS, SHARED_SKIPS } from "../../contracts/isolation.ts";
import { Probe } from "../../fixtures/isolation/probe.ts";
import { type GrantedSpawns, grantedSpawns } from "../../support/granted-spawns.ts";
import { openProcessFleet, type ProcessFleet } from "../../support/isolation-fleet.ts";
import { natsForTests } from "../../support/nats-server.ts";

const nats = natsForTests();

describe.skipIf(nats.missing !== undefined)(`isolation (${nats.missing ?? "there"})`, { timeout: 60_000 }, () => {
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
});
