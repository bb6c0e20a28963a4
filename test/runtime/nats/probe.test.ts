// What a probe finds on a real server, and what it makes of the clocks of others.

import { describe, expect, it, test } from "vitest";
import { makeCredentials } from "../../../nodes/index.ts";
import { connect, type NodeReport, prepareFleet, probeFleet } from "../../../runtime/index.ts";
import { connectNats } from "../../../runtime/nats/connection.ts";
import { nodeClocks, type StoredNode } from "../../../runtime/nats/probe.ts";
import { recordOf } from "../../support/members.ts";
import { natsForTests, openNats } from "../../support/nats-server.ts";
import { shiftedClock } from "../../support/shifted-clock.ts";

const nats = natsForTests();
const HOUR_MS = 3_600_000;

describe("clocks of nodes", () => {
  const report = (atMs: number): NodeReport => ({ atMs, actors: 0, free: {}, gpus: [], engines: [] });
  const stored = (storedMs: number, startedMs: number, atMs?: number): StoredNode => ({
    storedMs,
    record: recordOf("a", { startedMs, ...(atMs !== undefined && { report: report(atMs) }) }),
  });

  test.for<[string, StoredNode, StoredNode, number, boolean]>([
    ["a new report is exact, behind", stored(5_000, 0, 4_000), stored(7_000, 0, 5_500), -1_500, true],
    ["a new report is exact, ahead", stored(5_000, 0, 4_000), stored(7_000, 0, 9_000), 2_000, true],
    ["an old report is a bound", stored(5_000, 0, 4_000), stored(7_000, 0, 4_000), -3_000, false],
    ["no report: since when it runs is a bound", stored(5_000, 9_500), stored(7_000, 9_500), 2_500, false],
  ])("%s", ([, before, after, aheadMs, isExact]) => {
    expect(nodeClocks([before], [after])).toEqual([{ name: "a", aheadMs, isExact }]);
  });

  it("of a node that has just come are bounds", () => {
    expect(nodeClocks([], [stored(7_000, 0, 5_500)])).toMatchObject([{ aheadMs: -1_500, isExact: false }]);
  });
});

describe.skipIf(nats.missing !== undefined)(`a probe (${nats.missing ?? "real server"})`, { concurrent: true }, () => {
  it("finds a server without a fleet, and makes none", async ({ expect }) => {
    const options = { ...nats.options, prefix: nats.prefix() };
    const found = await probeFleet(options);
    expect(found).toMatchObject({
      aheadMs: undefined,
      refused: [],
      nodes: undefined,
      server: { payloadMaxBytes: 1024 * 1024 },
    });
    expect(found.missing).toHaveLength(5);
    expect((await probeFleet(options)).missing).toEqual(found.missing);
  });

  it("finds clocks: its own, and that of a node an hour ahead", async ({ expect }) => {
    const options = { ...nats.options, prefix: nats.prefix() };
    await using _ = await connect({ ...options, name: "north", accepts: true, clock: shiftedClock(HOUR_MS) });
    const [found, late] = await Promise.all([
      probeFleet(options),
      probeFleet({ ...options, clock: shiftedClock(-10_000) }),
    ]);
    expect(found).toMatchObject({ missing: [], refused: [], nodes: [{ name: "north", isExact: false }] });
    expect(found.roundTripMs).toBeLessThan(1_000);
    expect(Math.abs(found.aheadMs ?? HOUR_MS)).toBeLessThan(500);
    expect(Math.abs((late.aheadMs ?? 0) + 10_000)).toBeLessThan(500);
    const { aheadMs } = found.nodes?.[0] ?? { aheadMs: 0 };
    expect(Math.abs(aheadMs - HOUR_MS)).toBeLessThan(60_000);
  });

  it("says what credentials may not do, and leaves no key that stays", async ({ expect }) => {
    const credentials = await makeCredentials();
    await using server = await openNats({ credentials, prefix: "own" });
    const { servers } = server;
    const { admin, node } = credentials;
    for (const prefix of ["own", "other"]) await prepareFleet({ servers, prefix, nkeySeed: admin.seed });
    expect(await probeFleet({ servers, prefix: "own", nkeySeed: node.seed })).toMatchObject({
      refused: [],
      missing: [],
    });
    const other = await probeFleet({ servers, prefix: "other", nkeySeed: node.seed });
    expect(other).toMatchObject({ missing: undefined, nodes: undefined, aheadMs: undefined });
    expect(other.refused).toEqual([
      expect.stringMatching(/^see the streams KV_other_store, .+: .*Permissions Violation/),
      expect.stringMatching(/^send frames \(other\.n\.\*\.\*\): Permissions Violation/),
    ]);
    const connection = await connectNats({ servers, nkeySeed: admin.seed });
    const get = { last_by_subj: "$KV.own_store.doctor.>" };
    const asked = await connection.ask("look", "$JS.API.STREAM.MSG.GET.KV_own_store", Buffer.from(JSON.stringify(get)));
    const { message } = asked.reply.json<{ message: { hdrs: string } }>();
    expect(Buffer.from(message.hdrs, "base64").toString()).toMatch(/Nats-TTL: 2s|Nats-Marker-Reason: MaxAge/);
    await connection.close();
  });

  it("ends when it is told to", async ({ expect }) => {
    const stop = new AbortController();
    const options = { ...nats.options, prefix: nats.prefix() };
    await using _ = await connect({ ...options, name: "north", accepts: true });
    const probing = probeFleet({ ...options, signal: stop.signal });
    stop.abort(new Error("enough"));
    await expect(probing).rejects.toThrow("enough");
  });
});
