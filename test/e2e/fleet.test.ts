// A fleet as its users meet it: a server, nodes and a script, each started as a user starts them, over a real nats-server.

import { readFile, stat } from "node:fs/promises";
import { constants } from "node:os";
import { join } from "node:path";
import { describe, it } from "vitest";
import { connect, formatLogLine, type LogLine } from "../../runtime/index.ts";
import { LEASE_PROFILES } from "../../runtime/lease.ts";
import { Echo } from "../fixtures/fleet/actors.ts";
import { makeFolder } from "../support/git-repository.ts";
import { natsForTests, natsPath } from "../support/nats-server.ts";
import { runFlotilla } from "../support/running-command.ts";
import { waitUntil } from "../support/wait-until.ts";
import { ROOT } from "../tidy/source.ts";

const ACTORS = join(ROOT, "test/fixtures/fleet/actors.ts");
const { ttlMs, selfFenceMs } = LEASE_PROFILES.fast;
/** What a busy machine may add to any step. */
const SLACK_MS = 10_000;

const nats = natsForTests();

/** One fleet on the file's server: how its commands and scripts find it. */
function fleet() {
  const { servers, user, pass } = nats.options;
  const prefix = nats.prefix();
  const env = { FLOTILLA_SERVERS: servers.replace("//", `//${user}:${pass}@`), FLOTILLA_PREFIX: prefix };
  return {
    env,
    options: { ...nats.options, prefix, lease: "fast" as const },
    node: (name: string, ...more: string[]) =>
      runFlotilla(["node", "--actors", ACTORS, "--name", name, "--lease", "fast", ...more], env),
  };
}

describe.skipIf(nats.missing !== undefined)(
  `a fleet (${nats.missing ?? "on a real server"})`,
  { timeout: 60_000, concurrent: true },
  () => {
    it("a node says what it is and which promises hold, hosts, hands over and leaves", async ({ expect }) => {
      const { env, options, node } = fleet();
      await using north = node("north", "--labels", "zone=a,gpu=a100");
      await using south = node("south", "--allow-code");
      await Promise.all([north.says("ready"), south.says("ready")]);
      for (const said of [
        "Node north",
        "nats-server 2.",
        "survives any process",
        "echo",
        "zone=a,gpu=a100",
        "may bring none",
      ])
        expect(north.out).toContain(said);
      expect(south.out).toContain("can run code here, with all rights");
      expect(north.out + north.err).not.toContain(nats.options.pass);

      const lines: LogLine[] = [];
      await using script = await connect({ ...options, name: "script", log: (line) => void lines.push(line) });
      const echo = await script.spawn(Echo, { name: "e", detached: true, node: "north" });
      expect(await echo.say("hello from afar")).toBe("hello from afar");
      const heard = await waitUntil("the script hears its actor", () => lines.find(({ actor }) => actor !== undefined));
      expect(formatLogLine(heard)).toMatch(/info {2}echo\/\d+@north-\w+ {2}hello from afar$/);
      expect(north.out).toMatch(/echo\/\d+@north-\w+ {2}hello from afar/);

      await using list = runFlotilla(["nodes"], env);
      expect(await list.ended).toBe(0);
      expect(list.out).toMatch(/^north +hosts +1 /m);
      expect(list.out).toMatch(/^north +north-\w+ .*echo +zone=a,gpu=a100$/m);
      expect(list.out).toMatch(/^script +script /m);

      north.signal("SIGTERM");
      expect(await north.ended).toBe(0);
      expect(north.out).toMatch(/leaving: 1 actor is here.+\n.+echo "e" was handed over to south-\w+\nleft\n$/);
      expect(await echo.where()).toMatch(/^south-/);
      south.signal("SIGINT");
      expect(await south.ended).toBe(0);
    });

    it("with --json stdout holds one object; a second node of the name is refused; a second signal ends at once", async ({
      expect,
    }) => {
      const { env, options, node } = fleet();
      await using one = node("one", "--json");
      await one.says(/^\{.+\}\n/);
      expect(JSON.parse(one.out)).toMatchObject({
        ready: true,
        name: "one",
        types: expect.arrayContaining([{ type: "echo", version: "0" }]),
        durability: "fast",
      });
      await using again = node("one");
      expect(await again.ended).toBe(1);
      expect(again.err).toMatch(/^flotilla: a node called "one" is in this fleet and alive.+another --name/m);
      await using list = runFlotilla(["nodes", "--json"], env);
      expect(await list.ended).toBe(0);
      expect(JSON.parse(list.out)).toMatchObject({ nodes: [{ name: "one", accepts: true, draining: false }] });

      await using script = await connect(options);
      const echo = await script.spawn(Echo);
      const held = echo.hold().catch(() => {});
      await one.says("holding");
      one.signal("SIGTERM");
      await one.says("leaving: 1 actor is here");
      one.signal("SIGINT");
      expect(await one.ended).toBe(128 + constants.signals.SIGINT);
      await script.close();
      await held;
    });

    it("a server of one's own: its password is only in a file; a node outlives it and goes on when it is back", async ({
      expect,
    }) => {
      await using folder = await makeFolder();
      const env = { PATH: `${join(natsPath(), "..")}:${process.env.PATH}` };
      const start = () => runFlotilla(["server", "--folder", join(folder.path, "data"), ...port], env);
      let port = ["--port", "0"];
      const file = join(folder.path, "data", "address");
      let first = start();
      try {
        await first.says("ready");
        const address = (await readFile(file, "utf8")).trim();
        expect((await stat(file)).mode & 0o777).toBe(0o600);
        expect(first.out + first.err).not.toContain(new URL(address).password);
        expect(first.out).toContain(`export FLOTILLA_SERVERS="$(cat '${file}')"`);

        await using node = runFlotilla(["node", "--actors", ACTORS, "--lease", "fast"], { FLOTILLA_SERVERS: address });
        await node.says("ready");
        first.signal("SIGTERM");
        expect(await first.ended).toBe(0);
        await node.says("connection to the fleet's server is lost", SLACK_MS);
        await node.says("this node lost its lease", selfFenceMs + SLACK_MS);
        port = [];
        first = start();
        await first.says("ready");
        await node.says("this node has its lease again", ttlMs + SLACK_MS);
        expect((await readFile(file, "utf8")).trim()).toBe(address);
        await using script = await connect({ servers: address, lease: "fast" });
        const echo = await script.spawn(Echo);
        expect(await echo.say("still here")).toBe("still here");
        node.signal("SIGINT");
        expect(await node.ended).toBe(0);
      } finally {
        await first[Symbol.asyncDispose]();
      }
    });
  },
);
