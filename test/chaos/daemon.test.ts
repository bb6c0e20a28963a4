// Daemons, their model servers and their fleet's server, killed and paused: who notices when, what comes back, and that nothing is left over:
// no process, no port, no lease. The times are printed; what is asserted of them is three times what is promised.

import { describe, test } from "vitest";
import { MODELS_ACTOR, Models } from "../../nodes/index.ts";
import type { NodeRecord } from "../../runtime/index.ts";
import { Worker } from "../fixtures/daemon/actors.ts";
import { codeOf } from "../support/caught.ts";
import { listens } from "../support/engines.ts";
import { natsMissing } from "../support/nats-server.ts";
import { pauseProcess } from "../support/paused-process.ts";
import { leftOf } from "../support/process-tree.ts";
import { type Daemon, modelIs, ORPHANS_MS, openDaemons, serverPid } from "../support/running-daemons.ts";
import { post } from "../support/vllm-client.ts";
import { waitUntil } from "../support/wait-until.ts";

const missing = natsMissing();
const RESTART = { maxRestarts: 20, withinMs: 60_000 };
const LEASE_MS = 4_000;
const EXIT_MS = 1_000;
const HANG_MS = 3_000;
const BUSY = 3;

/** Milliseconds from now, whenever that is called. */
function stopwatch(): () => number {
  const sinceMs = performance.now();
  return () => Math.round(performance.now() - sinceMs);
}

const freeOf = (record: NodeRecord): unknown => record.report?.free;
const named = async (daemon: Daemon, name: string) => (await daemon.nodes()).find((record) => record.name === name);

/** Answers where the worker is once it is where it is wanted; it cannot be reached meanwhile. */
const whereIs = (worker: { with(options: object): { where(): Promise<string> } }, node: string) =>
  waitUntil(
    `the worker is on ${node}`,
    async () =>
      (await worker
        .with({ timeoutMs: 500 })
        .where()
        .catch(() => "")) === node,
    BUSY * LEASE_MS,
  );

describe.skipIf(missing !== undefined)(`daemons in trouble (${missing ?? "there"})`, { timeout: 180_000 }, () => {
  test("kill -9 of a daemon: noticed, its actors made again with what they had, nothing of it left", async ({
    expect,
  }) => {
    await using fleet = await openDaemons("fast");
    const north = await fleet.up("north", "--resources", "cpus=4");
    const south = await fleet.node("south", "--resources", "cpus=4", "--vllm-sim", "big,kv-events");
    const big = await modelIs(south, "big", "ready");
    const script = await fleet.script();
    const own = { node: "south", detached: true, restart: RESTART, resources: { cpus: 1 } };
    const shared = await script.spawn(Worker, { ...own, name: "shared" });
    const apart = await script.spawn(Worker, { ...own, name: "apart", isolation: "process" });
    const before = await named(north, "north");
    const apartPid = await apart.pid();
    expect(apartPid).not.toBe(south.command.pid);
    await waitUntil("the fleet knows what is granted", async () => (await south.own()).report?.free.cpus === 2);
    await waitUntil("both are counted", async () => (await south.own()).report?.actors === 2);
    const family = south.family();
    expect(family.map(({ pid }) => pid)).toContain(apartPid);

    const sinceMs = stopwatch();
    await south.end("SIGKILL");
    await waitUntil("the others notice", async () => (await named(north, "south")) === undefined, BUSY * LEASE_MS);
    const noticedMs = sinceMs();
    await whereIs(shared, (await north.own()).node);
    const lostPids = family.map(({ pid }) => pid);
    await waitUntil("the one in a process of its own is back", async () => {
      const pid = await apart
        .with({ timeoutMs: 500 })
        .pid()
        .catch(() => 0);
      return pid !== 0 && !lostPids.includes(pid);
    });
    const backMs = sinceMs();
    await waitUntil("no orphan is left", () => leftOf(family).length === 0, BUSY * ORPHANS_MS);
    const orphansMs = sinceMs();
    console.log("daemon killed:", { noticedMs, backMs, orphansMs });
    expect(await listens(big.url)).toBe(false);
    expect(await Promise.all([shared.granted(), apart.granted()])).toMatchObject(
      Array(2).fill({ resources: { cpus: 1 } }),
    );
    await waitUntil("what they hold is told", async () => (await north.own()).report?.free.cpus === 2);
    await Promise.all([script.stop(shared), script.stop(apart)]);
    await waitUntil("it is given back", async () => (await north.own()).report?.free.cpus === 4);
    expect(freeOf(await north.own())).toEqual(before && freeOf(before));
    expect(noticedMs).toBeLessThan(BUSY * LEASE_MS);
    expect(orphansMs).toBeLessThan(BUSY * ORPHANS_MS);
    expect(await north.end("SIGTERM")).toMatchObject({ status: 0, left: [] });
    expect(await fleet.temp()).toEqual([]);
  });

  test("SIGSTOP of a daemon beyond its lease: others take over; when it goes on it is a member again and leaks nothing", async ({
    expect,
  }) => {
    await using fleet = await openDaemons("fast");
    const north = await fleet.up("north", "--resources", "cpus=4");
    const south = await fleet.node("south", "--resources", "cpus=4", "--vllm-sim", "big");
    await modelIs(south, "big", "ready");
    const engine = serverPid(south, "big");
    const script = await fleet.script();
    const worker = await script.spawn(Worker, {
      ...{ node: "south", detached: true, name: "w", resources: { cpus: 1 } },
    });
    const tied = await script.spawn(Worker, { node: "south", resources: { cpus: 2 } });
    await waitUntil("the fleet knows what is granted", async () => (await south.own()).report?.free.cpus === 1);
    const sinceMs = stopwatch();
    await pauseProcess(south.command.pid);
    await waitUntil("the others notice", async () => (await named(north, "south")) === undefined, BUSY * LEASE_MS);
    const noticedMs = sinceMs();
    await whereIs(worker, (await north.own()).node);
    const backMs = sinceMs();
    process.kill(south.command.pid, "SIGCONT");
    const againMs = stopwatch();
    await waitUntil("it is a member again", async () => (await named(north, "south")) !== undefined, BUSY * LEASE_MS);
    const memberMs = againMs();
    await waitUntil("it is ready", async () => (await south.status("/readyz")) === 200, BUSY * LEASE_MS);
    await waitUntil("all of it is free again", async () => (await south.own()).report?.free.cpus === 4);
    const freeMs = againMs();
    console.log("daemon paused:", { noticedMs, backMs, memberMs, freeMs });
    expect(await codeOf(tied.where())).toMatch(/NoSuchActor|LeaseLost|Unknown/);
    await modelIs(south, "big", "ready");
    expect(serverPid(south, "big")).toBe(engine);
    expect(await worker.where()).toBe((await north.own()).node);
    expect(noticedMs).toBeLessThan(BUSY * LEASE_MS);
    for (const daemon of [south, north]) expect(await daemon.end("SIGTERM")).toMatchObject({ status: 0, left: [] });
  });

  test("a model server: kill -9, a pause, a long pause; each noticed, and it comes back", async ({ expect }) => {
    await using fleet = await openDaemons("fast");
    const north = await fleet.up("north", "--vllm-sim", "tiny,slots=4,arg=--decode-ms-per-token,arg=20");
    const { url } = await modelIs(north, "tiny", "ready");
    const script = await fleet.script();
    const models = await script.get(MODELS_ACTOR, Models, (await north.own()).node);
    const first = serverPid(north, "tiny");
    const body = { model: "tiny", messages: [{ role: "user", content: "hello" }], max_tokens: 2_000 };
    const call = codeOf(
      (async () => {
        for await (const _ of models.with({ timeoutMs: 60_000 }).chat({ body }));
      })(),
    );
    await waitUntil("it works", async () => (await north.own()).report?.engines[0]?.running === 1);

    let sinceMs = stopwatch();
    process.kill(first, "SIGKILL");
    await north.command.says(/model tiny is dead.*killed by signal 9/);
    const exitMs = sinceMs();
    expect(await call).toBe("ModelReplyCut");
    await waitUntil("another one runs", () => north.command.out.match(/model tiny is ready/g)?.length === 2, 30_000);
    const restartedMs = sinceMs();
    const second = serverPid(north, "tiny");
    expect(second).not.toBe(first);
    expect((await modelIs(north, "tiny", "ready")).url).toBe(url);

    sinceMs = stopwatch();
    await pauseProcess(second);
    await north.command.says(/model tiny is dead.*no answer within/, BUSY * HANG_MS);
    const hangMs = sinceMs();
    process.kill(second, "SIGCONT");
    await waitUntil("it is back", () => north.command.out.match(/model tiny is ready/g)?.length === 3, 30_000);
    expect(serverPid(north, "tiny")).toBe(second);

    sinceMs = stopwatch();
    await pauseProcess(second);
    await waitUntil(
      "it is ended and started again",
      () => north.command.out.match(/model tiny is ready/g)?.length === 4,
      60_000,
    );
    const longMs = sinceMs();
    const third = serverPid(north, "tiny");
    expect(third).not.toBe(second);
    console.log("model server:", { exitMs, restartedMs, hangMs, longMs });
    expect(exitMs).toBeLessThan(BUSY * EXIT_MS);
    expect(hangMs).toBeLessThan(BUSY * HANG_MS);
    expect((await post(`${url}/v1/chat/completions`, { ...body, max_tokens: 1 })).status).toBe(200);
    expect(await north.end("SIGTERM")).toMatchObject({ status: 0, left: [] });
    expect(await listens(url)).toBe(false);
  });

  test("a model server that answers for its health and no request: dead with its reason, for everybody to see", async ({
    expect,
  }) => {
    await using fleet = await openDaemons("fast");
    const north = await fleet.up("north", "--vllm-sim", "tiny,arg=--control,arg=--decode-ms-per-token,arg=10");
    const { url } = await modelIs(north, "tiny", "ready");
    await post(`${url}/sim/hang`, {});
    const body = { model: "tiny", messages: [{ role: "user", content: "hello" }] };
    const asking = post(`${url}/v1/chat/completions`, body).catch(() => undefined);
    const sinceMs = stopwatch();
    await north.command.says(/model tiny is dead.*no request made progress for 30 s; it is started again/, 120_000);
    const stalledMs = sinceMs();
    const script = await fleet.script();
    const late = script.spawn(Worker, { name: "late", placement: { model: "tiny" }, placeTimeoutMs: 60_000 });
    await asking;
    await modelIs(north, "tiny", "ready", 60_000);
    console.log("health without an engine:", { stalledMs, backMs: sinceMs() });
    expect(await (await late).where()).toBe((await north.own()).node);
    expect(await north.end("SIGTERM")).toMatchObject({ status: 0, left: [] });
  });

  test("kill -9 of `up` with its server paused: nothing is left; started again, the other nodes come back by themselves", async ({
    expect,
  }) => {
    await using fleet = await openDaemons("fast");
    const north = await fleet.up("north", "--vllm-sim", "tiny");
    await modelIs(north, "tiny", "ready");
    const south = await fleet.node("south", "--resources", "cpus=4");
    const { servers } = fleet;
    const family = north.family();
    const nats = family.find(({ command }) => command.includes("nats-server -c"));
    await pauseProcess(nats?.pid ?? 0);
    const sinceMs = stopwatch();
    await north.end("SIGKILL");
    await waitUntil("nothing is left", () => leftOf(family).length === 0, BUSY * ORPHANS_MS);
    const orphansMs = sinceMs();
    await waitUntil("the other is not ready", async () => (await south.status("/readyz")) === 503, BUSY * LEASE_MS);
    expect(await south.status("/healthz")).toBe(200);
    const againMs = stopwatch();
    const again = fleet.command("up", "--folder", fleet.folder, "--lease", "fast", "--http", "off", "--name", "again");
    await again.says("ready; Ctrl-C");
    expect(fleet.servers).toBe(servers);
    await waitUntil("the other is ready again", async () => (await south.status("/readyz")) === 200, 30_000);
    console.log("up killed:", { orphansMs, readyAgainMs: againMs() });
    expect(freeOf(await south.own())).toMatchObject({ cpus: 4 });
    expect(await south.end("SIGTERM")).toMatchObject({ status: 0, left: [] });
    again.signal("SIGTERM");
    expect(await again.ended).toBe(0);
    expect(await fleet.temp()).toEqual([]);
  });

  test("a second signal ends a daemon at once, and what it had started ends by itself", async ({ expect }) => {
    await using fleet = await openDaemons("fast");
    const north = await fleet.up("north", "--vllm-sim", "tiny");
    await modelIs(north, "tiny", "ready");
    const script = await fleet.script();
    const held = await script.spawn(Worker, { isolation: "process" });
    const holding = codeOf(held.hold(60_000));
    const family = north.family();
    const sinceMs = stopwatch();
    north.command.signal("SIGTERM");
    await north.command.says("leaving");
    north.command.signal("SIGTERM");
    expect(await north.command.ended).toBe(143);
    const endedMs = sinceMs();
    await waitUntil("nothing is left", () => leftOf(family).length === 0, BUSY * ORPHANS_MS);
    console.log("second signal:", { endedMs, orphansMs: sinceMs() });
    await script.close();
    await holding;
    expect(await fleet.temp()).toEqual([]);
  });

  test("the fleet's server stands still, and a daemon is told to leave meanwhile: it ends all the same", async ({
    expect,
  }) => {
    await using fleet = await openDaemons("fast");
    const north = await fleet.up("north");
    const south = await fleet.node("south", "--vllm-sim", "big", "--resources", "cpus=4");
    await modelIs(south, "big", "ready");
    const nats = north.family().find(({ command }) => command.includes("nats-server -c"))?.pid ?? 0;
    await pauseProcess(nats);
    await waitUntil("it is not ready", async () => (await south.status("/readyz")) === 503, BUSY * LEASE_MS);
    const ended = await south.end("SIGTERM");
    console.log("leaving without a server:", { ms: ended.tookMs });
    expect(ended).toMatchObject({ status: 0, left: [] });
    process.kill(nats, "SIGCONT");
    await waitUntil("the other is ready again", async () => (await north.status("/readyz")) === 200, 30_000);
    expect(await north.end("SIGTERM")).toMatchObject({ status: 0, left: [] });
  });
});
