// Two daemons as their operator meets them: `flotilla up` and a `flotilla node` beside it, each with a simulated model server, through work,
// leaving and ending. Nothing may be left: no process however deep, no port, no name, no folder.

import { afterAll, beforeAll, describe, it } from "vitest";
import { MODELS_ACTOR, Models } from "../../nodes/index.ts";
import type { ActorSystem, NodeRecord } from "../../runtime/index.ts";
import { Worker } from "../fixtures/daemon/actors.ts";
import { caught, codeOf } from "../support/caught.ts";
import { listens } from "../support/engines.ts";
import { natsMissing } from "../support/nats-server.ts";
import { type Daemon, type Daemons, modelIs, openDaemons } from "../support/running-daemons.ts";
import { waitUntil } from "../support/wait-until.ts";

const missing = natsMissing();
const RESTART = { maxRestarts: 5, withinMs: 60_000 };
const SLOW = "arg=--decode-ms-per-token,arg=20";

const ask = (model: string, tokens: number) => ({
  body: { model, messages: [{ role: "user", content: "hello" }], max_tokens: tokens, ignore_eos: true },
});

/** The tokens of a reply as they come. */
function reading(stream: AsyncIterable<readonly string[]>) {
  const chunks: string[] = [];
  const done = (async () => {
    for await (const batch of stream) chunks.push(...batch);
    return chunks;
  })();
  done.catch(() => {});
  return { chunks, done };
}

describe.skipIf(missing !== undefined)(
  `a fleet of daemons (${missing ?? "on a real server"})`,
  { timeout: 120_000 },
  () => {
    let fleet: Daemons;
    let north: Daemon;
    let south: Daemon;
    let script: ActorSystem;
    beforeAll(async () => {
      fleet = await openDaemons();
      north = await fleet.up("north", "--grace", "1s", "--vllm-sim", `tiny,slots=4,kv-events,${SLOW}`);
      south = await fleet.node("south", "--resources", "cpus=2,licence=1", "--vllm-sim", `big,slots=4,${SLOW}`);
      await Promise.all([modelIs(north, "tiny", "ready"), modelIs(south, "big", "ready")]);
      script = await fleet.script({ name: "script" });
    });
    afterAll(() => fleet?.[Symbol.asyncDispose]());

    it("places actors by what they want, and shows and explains it", async ({ expect }) => {
      const own = { name: "plain", detached: true, restart: RESTART, resources: { cpus: 1 } };
      const plain = await script.spawn(Worker, own);
      const beside = await script.spawn(Worker, { name: "beside", placement: { model: "big" } });
      const licensed = await script.spawn(Worker, { resources: { licence: 1 } });
      const { node } = await south.own();
      expect([await beside.where(), await licensed.where()]).toEqual([node, node]);
      expect(await plain.granted()).toMatchObject({ resources: { cpus: 1 }, devices: [] });
      await waitUntil("what is granted is told", async () => (await south.own()).report?.free.licence === 0);

      await using list = fleet.command("nodes");
      await using json = fleet.command("nodes", "--json");
      await using why = fleet.command("why", "beside");
      expect([await list.ended, await json.ended, await why.ended, why.err]).toEqual([0, 0, 0, ""]);
      expect(list.out).toMatch(/^north +hosts +\d +\S+\/\S+ +\S+\/\S+ GiB +- +/m);
      expect(list.out).toMatch(/^north +tiny +ready +0 +4 +\d+ % +\d*$/m);
      expect(list.out).toMatch(/^south +big +ready +0 +4 +\d+ % +\d*$/m);
      const lines = list.out.split("\n\n").slice(1).join("\n").split("\n");
      expect(lines.filter((line) => line.length > 80)).toEqual([]);
      const seen = (JSON.parse(json.out) as { nodes: NodeRecord[] }).nodes.filter(({ accepts }) => accepts);
      expect(seen).toMatchObject([
        { name: "north", report: { engines: [{ model: "tiny", state: "ready" }] } },
        { name: "south", report: { free: { licence: 0 }, engines: [{ model: "big", state: "ready" }] } },
      ]);
      expect(why.out).toMatch(/^beside is on south-\w+: .+\n {2}node +score .+\n {2}south-\w+ +\d\.\d\d/);
      expect(why.out).toMatch(/^ {2}north-\w+ +no: it has no server for big; it has tiny$/m);
      await script.stop(licensed);
      await waitUntil("it is given back", async () => (await south.own()).report?.free.licence === 1);
    });

    it("a node that leaves lets calls finish, takes nothing new, hands over, and leaves nothing", async ({
      expect,
    }) => {
      const { node, report } = await south.own();
      await script.spawn(Worker, { name: "moves", node: "south", detached: true, resources: { cpus: 0.5 } });
      const models = await script.get(MODELS_ACTOR, Models, node);
      const call = reading(models.with({ timeoutMs: 60_000 }).chat(ask("big", 100)));
      await waitUntil("it streams", () => call.chunks.length > 1);
      const leaving = south.end("SIGTERM");
      await waitUntil("it is not ready any more", async () => (await south.status("/readyz")) === 503);
      expect(await south.status("/healthz")).toBe(200);
      const refused = await caught(reading(models.chat(ask("big", 1))).done);
      expect(refused).toMatchObject({ code: "ModelRefused", retryable: true });
      expect((await call.done).length).toBeGreaterThan(20);
      const left = await leaving;
      console.log("leaving with a call of 2 s in hand:", { ms: left.tookMs });
      expect(left).toMatchObject({ status: 0, left: [] });
      expect(south.command.out).toMatch(/leaving: \d actors are here.+\n(.+\n)*left\n$/);
      expect(south.command.out).not.toContain("cut off");
      const { node: other } = await north.own();
      for (const name of ["moves", "plain"]) expect(await (await script.get(name, Worker)).where()).toBe(other);
      expect(await codeOf(script.get("beside"))).toBe("NoSuchActor");
      expect((await north.nodes()).map(({ name }) => name).sort()).toEqual(["north", "script"]);
      expect([await listens(report?.engines[0]?.url), await south.status("/healthz")]).toEqual([false, 0]);
      await using again = fleet.command("why", "moves");
      expect(await again.ended).toBe(0);
      expect(again.out).toMatch(/^moves is on north-\w+/);
    });

    it("a call that is longer than the grace time is cut off, and both sides say so; nothing is left of the fleet", async ({
      expect,
    }) => {
      const { node, report } = await north.own();
      const models = await script.get(MODELS_ACTOR, Models, node);
      const long = reading(models.with({ timeoutMs: 60_000 }).chat(ask("tiny", 2_000)));
      await waitUntil("it streams", () => long.chunks.length > 1);
      const { servers } = fleet;
      const ending = north.end("SIGINT");
      const cut = await caught(long.done);
      expect(cut).toMatchObject({ code: "ModelReplyCut", retryable: true });
      expect(cut.message).toContain("its node is leaving, and its grace time of 1 s is over");
      const ended = await ending;
      console.log("leaving with a call that is cut after 1 s:", { ms: ended.tookMs });
      expect(ended).toMatchObject({ status: 0, left: [] });
      expect(north.command.out).toContain("the grace time of 1 s is over: requests to tiny are cut off");
      const open = await Promise.all([listens(report?.engines[0]?.url), listens(servers), north.status("/healthz")]);
      expect(open).toEqual([false, false, 0]);
      expect(await fleet.temp()).toEqual([]);
    });
  },
);
