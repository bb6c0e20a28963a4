// Two daemons as their operator meets them: `flotilla up` and a `flotilla node` beside it, each with a simulated model server, through work,
// leaving and ending. Nothing may be left: no process however deep, no port, no name, no folder.

import { describe, it } from "vitest";
import { MODELS_ACTOR, Models } from "../../nodes/index.ts";
import { Worker } from "../fixtures/daemon/actors.ts";
import { caught, codeOf } from "../support/caught.ts";
import { listens } from "../support/engines.ts";
import { natsMissing } from "../support/nats-server.ts";
import { modelIs, openDaemons } from "../support/running-daemons.ts";
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
    it("places, explains, hands over, lets calls finish, cuts what takes too long, and leaves nothing", async ({
      expect,
    }) => {
      await using fleet = await openDaemons();
      const north = await fleet.up("north", "--grace", "1s", "--vllm-sim", `tiny,slots=4,kv-events,${SLOW}`);
      const south = await fleet.node("south", "--resources", "cpus=2,licence=1", "--vllm-sim", `big,slots=4,${SLOW}`);
      const tiny = await modelIs(north, "tiny", "ready");
      const big = await modelIs(south, "big", "ready");
      const script = await fleet.script({ name: "script" });

      // Placed by what they want.
      const plain = await script.spawn(Worker, {
        name: "plain",
        detached: true,
        restart: RESTART,
        resources: { cpus: 1 },
      });
      const beside = await script.spawn(Worker, { name: "beside", placement: { model: "big" } });
      const licensed = await script.spawn(Worker, { resources: { licence: 1 } });
      const { node: southNode } = await south.own();
      expect([await beside.where(), await licensed.where()]).toEqual([southNode, southNode]);
      expect(await plain.granted()).toMatchObject({ resources: { cpus: 1 }, devices: [] });

      // Shown and explained.
      await waitUntil("what is granted is told", async () => (await south.own()).report?.free.licence === 0);
      await using list = fleet.command("nodes");
      expect(await list.ended).toBe(0);
      expect(list.out).toMatch(/^north +hosts +\d +\S+\/\S+ +\S+\/\S+ GiB +- +/m);
      expect(list.out).toMatch(/^north +tiny +ready +0 +4 +\d+ % +\d*$/m);
      expect(list.out).toMatch(/^south +big +ready +0 +4 +\d+ % +\d*$/m);
      for (const line of list.out.split("\n\n").slice(1).join("\n").split("\n"))
        expect(line.length).toBeLessThanOrEqual(80);
      await using json = fleet.command("nodes", "--json");
      expect(await json.ended).toBe(0);
      expect(JSON.parse(json.out).nodes).toMatchObject([
        { name: "north", report: { engines: [{ model: "tiny", state: "ready" }] } },
        { name: "script", accepts: false },
        { name: "south", report: { free: { licence: 0 }, engines: [{ model: "big", state: "ready" }] } },
      ]);
      await using why = fleet.command("why", "beside");
      expect([await why.ended, why.err]).toEqual([0, ""]);
      expect(why.out).toMatch(/^beside is on south-\w+: .+\n {2}node +score .+\n {2}south-\w+ +\d\.\d\d/);
      expect(why.out).toMatch(/^ {2}north-\w+ +no: it has no server for big; it has tiny$/m);
      await script.stop(licensed);
      await waitUntil("it is given back", async () => (await south.own()).report?.free.licence === 1);

      // A node that leaves: what it has in hand goes on, nothing new comes, what can live elsewhere does.
      await script.spawn(Worker, { name: "moves", node: "south", detached: true, resources: { cpus: 0.5 } });
      const models = await script.get(MODELS_ACTOR, Models, southNode);
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
      const { node: northNode } = await north.own();
      for (const name of ["moves", "plain"]) expect(await (await script.get(name, Worker)).where()).toBe(northNode);
      expect(await codeOf(beside.where())).toMatch(/NoSuchActor|NodeLost/);
      expect((await north.nodes()).map(({ name }) => name).sort()).toEqual(["north", "script"]);
      expect(await Promise.all([listens(big.url), south.status("/healthz")])).toEqual([false, 0]);
      await using again = fleet.command("why", "moves");
      expect(await again.ended).toBe(0);
      expect(again.out).toMatch(/^moves is on north-\w+/);

      // A call that is longer than the grace time is cut off, and both sides say so.
      const long = reading(
        (await script.get(MODELS_ACTOR, Models, northNode)).with({ timeoutMs: 60_000 }).chat(ask("tiny", 2_000)),
      );
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
      expect(await Promise.all([listens(tiny.url), listens(servers), north.status("/healthz")])).toEqual([
        false,
        false,
        0,
      ]);
      expect(await fleet.temp()).toEqual([]);
    });
  },
);
