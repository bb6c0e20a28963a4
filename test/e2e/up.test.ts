// `flotilla up`: its folder, its address and its server, over restarts, a second start, and the loss of the server.

import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, it } from "vitest";
import { runCli } from "../../api/cli.ts";
import { Worker } from "../fixtures/daemon/actors.ts";
import { makeFolder } from "../support/git-repository.ts";
import { natsMissing } from "../support/nats-server.ts";
import { familyOf, leftOf } from "../support/process-tree.ts";
import { modelIs, ORPHANS_MS, openDaemons } from "../support/running-daemons.ts";
import { listenTcp } from "../support/tcp-listener.ts";
import { waitUntil } from "../support/wait-until.ts";

const missing = natsMissing();

describe.skipIf(missing !== undefined)(`flotilla up (${missing ?? "on a real server"})`, { timeout: 120_000 }, () => {
  it("keeps address, credentials and data in its folder; one at a time; a server that is killed is started again", async ({
    expect,
  }) => {
    await using fleet = await openDaemons();
    const first = await fleet.up("first");
    const { servers } = fleet;
    const creds = await readFile(fleet.creds, "utf8");
    for (const file of ["node.creds", "admin.creds", "nats-server.conf"])
      expect((await stat(join(fleet.folder, file))).mode & 0o077).toBe(0);
    expect(first.command.out + first.command.err).not.toMatch(/SU[A-Z0-9]{50}/);
    const script = await fleet.script();
    const keeper = await script.spawn(Worker, { name: "keeper", detached: true });

    // A second one on the same folder would write the same files.
    await using second = fleet.command("up", "--folder", fleet.folder, "--port", "0", "--http", "off");
    expect(await second.ended).toBe(1);
    expect(second.err).toMatch(
      /^flotilla: a NATS server \(pid \d+\) keeps its data in \S+ already\. Stop that one, .+--folder\.$/m,
    );
    expect(second.err.trim().split("\n")).toHaveLength(1);

    // kill -9 of the server: actors go on, and it is back at the same address by itself.
    const server = first.family().find(({ command }) => command.includes("nats-server -c"));
    process.kill(server?.pid ?? 0, "SIGKILL");
    const killedMs = performance.now();
    await first.command.says("the NATS server is up again at");
    const upMs = Math.round(performance.now() - killedMs);
    expect(first.command.err).toContain("the NATS server ended by itself");
    const answer = await waitUntil("the actor answers", () =>
      keeper
        .with({ timeoutMs: 1_000 })
        .where()
        .catch(() => undefined),
    );
    console.log("nats-server killed:", { upMs, answersMs: Math.round(performance.now() - killedMs) });
    expect(answer).toBe((await first.own()).node);
    await script.close();

    const ended = await first.end("SIGTERM");
    expect(ended).toMatchObject({ status: 0, left: [] });
    // Without a port it comes back where it was.
    const again = fleet.command("up", "--folder", fleet.folder, "--http", "off");
    await again.says("ready; Ctrl-C");
    expect([fleet.servers, await readFile(fleet.creds, "utf8")]).toEqual([servers, creds]);
    again.signal("SIGINT");
    expect(await again.ended).toBe(0);
    expect(await fleet.temp()).toEqual([]);
  });

  it("that is killed with kill -9 leaves nothing, and can be started again at once", async ({ expect }) => {
    await using fleet = await openDaemons();
    const first = await fleet.up("first", "--vllm-sim", "tiny");
    await modelIs(first, "tiny", "ready");
    const family = first.family();
    expect(family.length).toBeGreaterThan(5);
    const { servers } = fleet;
    await first.end("SIGKILL");
    // As a service manager does.
    const again = fleet.command("up", "--folder", fleet.folder, "--http", "off", "--name", "again");
    await again.says("ready; Ctrl-C");
    expect(fleet.servers).toBe(servers);
    await waitUntil("all that it had started is gone", () => leftOf(family).length === 0, ORPHANS_MS);
    again.signal("SIGTERM");
    expect(await again.ended).toBe(0);
  });

  it("a mistake is one sentence with a remedy, and nothing is left running", async ({ expect }) => {
    await using taken = await listenTcp(() => {});
    await using home = await makeFolder();
    const file = join(home.path, "file");
    await writeFile(file, "");
    const run = async (...args: string[]) => {
      const text = { out: "", err: "" };
      const status = await runCli(["up", "--http", "off", ...args], {
        out: { write: (piece) => (text.out += piece) },
        err: { write: (piece) => (text.err += piece) },
        signal: new AbortController().signal,
      });
      expect({ status, lines: text.err.trim().split("\n").length }).toEqual({ status: 1, lines: 1 });
      return text.err;
    };
    const folder = (name: string) => ["--folder", join(home.path, name)];
    const said = [
      await run(...folder("a"), "--port", String(taken.port)),
      await run("--folder", join(file, "below")),
      await run(...folder("b"), "--port", "0", "--host", "192.0.2.1"),
      await run(...folder("c"), "--port", "0", "--gpus", "many"),
    ];
    expect(familyOf(process.pid).filter(({ command }) => command.includes(home.path))).toEqual([]);
    expect(said[0]).toMatch(/^flotilla: --port: \d+ is in use; give another one, or 0 for any free one\.$/m);
    expect(said[1]).toMatch(
      /^flotilla: --folder \(FLOTILLA_HOME\): expected a folder that can be written, ".+" cannot \(ENOTDIR\)\.$/m,
    );
    expect(said[2]).toMatch(/^flotilla: --host: 192\.0\.2\.1 is no address of this machine; /m);
    expect(said[3]).toMatch(/^flotilla: GPUs "many": expected none, .+Correct --gpus/m);
  });
});
