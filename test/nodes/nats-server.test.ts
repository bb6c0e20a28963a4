// A server as a child: reachable by its credentials alone, gone with its owner, the same again after a restart.

import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import { readFile, stat } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { startNatsServer } from "../../nodes/index.ts";
import { natsServerConfig } from "../../nodes/nats-server.ts";
import { connectNats } from "../../runtime/nats/connection.ts";
import { openNatsStore } from "../../runtime/nats/store.ts";
import { fleetNames } from "../../runtime/nats/subjects.ts";
import { bytes, text } from "../contracts/contract.ts";
import { caught } from "../support/caught.ts";
import { makeFolder } from "../support/git-repository.ts";
import { natsMissing, natsPath, openNats } from "../support/nats-server.ts";
import { waitUntil } from "../support/wait-until.ts";

const missing = natsMissing();
const { store: names } = fleetNames();

function isAlive(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}

it("writes how it syncs, where it listens and what it keeps", () => {
  const config = natsServerConfig({ folder: "/f", mode: "durable", storageMaxBytes: 5 }, "flotilla-durable-1", 0, "p");
  expect(config).toContain('listen: "127.0.0.1:-1"');
  expect(config).toContain("sync_interval: always");
  expect(config).toContain("max_file_store: 5");
  expect(natsServerConfig({ folder: "/f" }, "n", 4222, "p")).toContain('sync_interval: "2m"');
  expect(natsServerConfig({ folder: "/f", hasJetStream: false }, "n", 4222, "p")).not.toContain("jetstream {");
});

describe.skipIf(missing !== undefined)(`startNatsServer (${missing ?? "there"})`, { concurrent: true }, () => {
  it("keeps its password out of sight", async ({ expect }) => {
    await using server = await openNats();
    const config = join(server.folder, "nats-server.conf");
    expect((await stat(config)).mode & 0o777).toBe(0o600);
    expect(server.pass.length).toBeGreaterThan(20);
    expect(server.servers).toBe(`nats://127.0.0.1:${server.port}`);
    if (process.platform !== "linux") return;
    const seen = await readFile(`/proc/${server.pid}/cmdline`, "utf8");
    expect(seen).toContain("nats-server.conf");
    expect(seen).not.toContain(server.pass);
  });

  it("stops, twice without harm, and leaves no process", async ({ expect }) => {
    await using server = await openNats();
    const { pid } = server;
    expect(isAlive(pid)).toBe(true);
    await Promise.all([server.stop(), server.stop()]);
    await server.stop();
    expect(isAlive(pid)).toBe(false);
    expect(server.pid).toBe(0);
  });

  it("is the same server after a restart: port, credentials, data", async ({ expect }) => {
    await using server = await openNats();
    const { port, pid } = server;
    const connection = await connectNats(server.options);
    const store = await openNatsStore({ connection, names, maxBytes: 1_000_000 });
    await store.create("k", bytes("kept"));
    for (const end of [() => server.kill(), () => server.stop(), async () => {}]) {
      await end();
      await server.restart();
      expect(server.port).toBe(port);
      expect(server.pid).not.toBe(pid);
      await waitUntil("it is back", () => connection.isConnected);
      const value = () => store.get("k").then((entry) => text(entry?.value));
      expect(await waitUntil("the key is read", () => value().catch(() => undefined))).toBe("kept");
    }
    await connection.close();
  });

  it("ends when its owner is killed", async ({ expect }) => {
    await using folder = await makeFolder("flotilla-owner-");
    const program = `
      const { startNatsServer } = await import(${JSON.stringify(new URL("../../nodes/index.ts", import.meta.url).href)});
      const server = await startNatsServer({ folder: ${JSON.stringify(join(folder.path, "nats"))}, program: ${JSON.stringify(natsPath())} });
      console.log(server.pid);`;
    const owner = spawn(process.execPath, ["--input-type=module", "-e", program], {
      stdio: ["ignore", "pipe", "inherit"],
    });
    const pid = Number(
      await new Promise<string>((resolve) => owner.stdout.once("data", (data) => resolve(String(data)))),
    );
    expect(isAlive(pid)).toBe(true);
    owner.kill("SIGKILL");
    await waitUntil("the server ends", () => !isAlive(pid));
  });

  it("says what the server said when it cannot start", async ({ expect }) => {
    await using server = await openNats();
    await using folder = await makeFolder("flotilla-taken-");
    const start = (program: string) =>
      startNatsServer({ folder: join(folder.path, "nats"), port: server.port, program });
    const taken = await caught(start(natsPath()));
    expect(taken.code).toBe("NatsServerFailed");
    expect(taken.message).toContain("address already in use");
    expect((await caught(start(join(folder.path, "no-program")))).code).toBe("NatsServerFailed");
    expect(existsSync(join(folder.path, "nats"))).toBe(true);
  });
});
