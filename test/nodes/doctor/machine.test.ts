// Checks of programs and of the machine, on real folders, ports and small programs written for them.

import { chmod, mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import { describe, expect, it, test } from "vitest";
import {
  cgroupVerdict,
  credsVerdict,
  diskVerdict,
  filesVerdict,
  folderVerdict,
  memoryVerdict,
  openFilesVerdict,
  portVerdict,
} from "../../../nodes/doctor/machine.ts";
import { modelServerVerdict } from "../../../nodes/doctor/model-server.ts";
import {
  gitVerdict,
  natsProgramVerdict,
  nodeVerdict,
  sandboxVerdict,
  vllmVerdict,
} from "../../../nodes/doctor/programs.ts";
import { programPlaces } from "../../../nodes/options.ts";
import { systemClock } from "../../../runtime/index.ts";
import { makeFolder } from "../../support/git-repository.ts";
import { natsMissing } from "../../support/nats-server.ts";
import { listenTcp } from "../../support/tcp-listener.ts";
import { waitUntil } from "../../support/wait-until.ts";

const signal = new AbortController().signal;
const real = programPlaces();

/** A folder of shell scripts, as the only PATH. */
async function programs(folder: string, scripts: Readonly<Record<string, string>>) {
  for (const [name, script] of Object.entries(scripts)) {
    await writeFile(join(folder, name), `#!/bin/sh\n${script}\n`, { mode: 0o755 });
  }
  return { path: [folder], go: [], cache: join(folder, "cache") };
}

describe("programs", () => {
  it("Node by what package.json asks for", () => {
    expect(nodeVerdict("24.1.0", ">=22.19")).toMatchObject({ status: "ok" });
    expect(nodeVerdict("22.19.0", ">=22.19")).toMatchObject({ status: "ok" });
    expect(nodeVerdict("22.18.9", ">=22.19")).toMatchObject({ status: "fail", remedy: "Install Node 22.19 or newer." });
  });

  it("that are not here", async () => {
    await using folder = await makeFolder();
    const none = await programs(folder.path, {});
    expect(await gitVerdict(none, signal)).toMatchObject({ status: "warn", found: "not on the PATH" });
    expect(await vllmVerdict(none, signal)).toMatchObject({
      status: "skipped",
      remedy: expect.stringContaining("pip install vllm"),
    });
    expect(await natsProgramVerdict(none, signal)).toMatchObject({ status: "warn" });
    expect(await sandboxVerdict(none, signal)).toMatchObject({
      status: process.platform === "linux" ? "warn" : "skipped",
    });
  });

  it("that are here, and fail or work", async () => {
    await using folder = await makeFolder();
    const broken = await programs(folder.path, {
      "nats-server": "echo nats-server: v2.10.1",
      bwrap: "echo 'bwrap: No permissions to create new namespace' >&2; exit 1",
      vllm: "echo Traceback; echo ModuleNotFoundError: torch; exit 1",
    });
    expect(await natsProgramVerdict(broken, signal)).toMatchObject({
      status: "warn",
      found: expect.stringContaining("version 2.10.1"),
    });
    if (process.platform === "linux") {
      expect(await sandboxVerdict(broken, signal)).toMatchObject({
        status: "warn",
        found: expect.stringContaining("No permissions"),
      });
    }
    expect(await vllmVerdict(broken, signal)).toMatchObject({
      status: "fail",
      found: expect.stringContaining("torch"),
    });
    await using other = await makeFolder();
    const sound = await programs(other.path, {
      vllm: "echo 'INFO 01-02 torch is loaded'; echo 0.32.0+cpu",
    });
    expect(await vllmVerdict(sound, signal)).toMatchObject({ status: "ok", found: `0.32.0+cpu at ${other.path}/vllm` });
    expect(await gitVerdict(real, signal)).toMatchObject({ status: "ok" });
  });

  it.skipIf(natsMissing() !== undefined)("the nats-server that tests use", async () => {
    expect(await natsProgramVerdict(real, signal)).toMatchObject({
      status: "ok",
      found: expect.stringMatching(/^2\.\d+\.\d+ at \//),
    });
  });

  it("end with the signal", async () => {
    await using folder = await makeFolder();
    const hanging = await programs(folder.path, { vllm: `echo $$ > ${folder.path}/pid; exec sleep 600` });
    const cut = new AbortController();
    const asking = vllmVerdict(hanging, cut.signal);
    const file = join(folder.path, "pid");
    const pid = await waitUntil("the program runs", async () => Number(await readFile(file, "utf8").catch(() => "")));
    cut.abort();
    expect(await asking).toMatchObject({ status: "fail" });
    expect(() => process.kill(pid, 0)).toThrow("ESRCH");
  });
});

describe("the machine", () => {
  it("disk: room, a synced write, and nothing left behind", async () => {
    await using folder = await makeFolder();
    const verdict = await diskVerdict(join(folder.path, "not/yet"), systemClock);
    expect(verdict.found).toMatch(
      new RegExp(`^\\d+(\\.\\d)? [GM]iB free in ${folder.path}, a synced write takes \\d+\\.\\d ms`),
    );
    expect(await readdir(folder.path)).toEqual([]);
    if (process.getuid?.() === 0) return;
    await chmod(folder.path, 0o500);
    expect(await diskVerdict(folder.path, systemClock)).toMatchObject({
      status: "fail",
      found: expect.stringContaining("EACCES"),
    });
    await chmod(folder.path, 0o700);
  });

  it("folders and files of credentials: who can look into them", async () => {
    await using folder = await makeFolder();
    const file = join(folder.path, "node.creds");
    await writeFile(file, "", { mode: 0o644 });
    await chmod(folder.path, 0o755);
    expect(await folderVerdict(folder.path)).toMatchObject({
      status: "warn",
      remedy: expect.stringContaining("chmod 700"),
    });
    expect(await credsVerdict(file)).toMatchObject({ status: "warn", remedy: `chmod 600 '${file}'` });
    await Promise.all([chmod(folder.path, 0o700), chmod(file, 0o600)]);
    expect(await folderVerdict(folder.path)).toMatchObject({ status: "ok" });
    expect(await credsVerdict(file)).toMatchObject({ status: "ok" });
    expect(await folderVerdict(join(folder.path, "new"))).toMatchObject({
      status: "ok",
      found: expect.stringContaining("not there yet"),
    });
  });

  test.for([
    ["unlimited", "ok"],
    ["4096", "ok"],
    ["1024", "warn"],
    ["what?", "warn"],
  ])("a limit of %s files is %s", ([limit, status]) => {
    expect(filesVerdict(limit ?? "")).toMatchObject({ status });
  });

  it("the limit of this machine", async () => {
    expect((await openFilesVerdict(signal)).found).toMatch(/^(\d+|unlimited)\b/);
  });

  test.for([
    [8, "ok"],
    [0.5, "warn"],
    [0.1, "fail"],
  ] as const)("%f GiB of memory are %s", ([gib, status]) => {
    expect(memoryVerdict(gib * 1024 ** 3, 16 * 1024 ** 3)).toMatchObject({ status });
  });

  it("control groups: none, without memory, and delegated to the group or to the one above", async () => {
    await using folder = await makeFolder();
    const root = folder.path;
    const group = join(root, "sys/fs/cgroup/flotilla.service/daemon");
    expect(await cgroupVerdict(root, "darwin")).toMatchObject({ status: "skipped" });
    expect(await cgroupVerdict(root, "linux")).toMatchObject({
      status: "warn",
      found: expect.stringContaining("version 2"),
    });
    await mkdir(group, { recursive: true });
    await mkdir(join(root, "proc/self"), { recursive: true });
    await writeFile(join(root, "proc/self/cgroup"), "1:cpu:/\n0::/flotilla.service/daemon\n");
    await writeFile(join(group, "cgroup.controllers"), "cpu pids\n");
    expect(await cgroupVerdict(root, "linux")).toMatchObject({
      status: "warn",
      found: expect.stringContaining("no memory controller"),
    });
    await writeFile(join(group, "cgroup.controllers"), "cpu memory pids\n");
    expect(await cgroupVerdict(root, "linux")).toMatchObject({
      status: "warn",
      found: expect.stringContaining("not delegated"),
    });
    await writeFile(join(group, "../cgroup.subtree_control"), "");
    expect(await cgroupVerdict(root, "linux")).toMatchObject({
      status: "ok",
      found: "/flotilla.service is delegated, with memory limits",
    });
  });

  it("ports: free, and taken by whom", async () => {
    const listener = await listenTcp(() => {});
    const use = { port: listener.port, use: "NATS", remedy: "Move it." };
    const taken = await portVerdict(use, false, real, signal);
    expect(taken).toMatchObject({ status: "warn", remedy: "Move it." });
    expect(taken.found).toMatch(new RegExp(`^in use( by \\S.* \\(pid ${process.pid}\\))?$`));
    expect(await portVerdict(use, true, real, signal)).toMatchObject({ status: "ok" });
    await listener[Symbol.asyncDispose]();
    expect(await portVerdict(use, false, real, signal)).toEqual({ status: "ok", found: "free" });
  });
});

describe("a model server", () => {
  const answer = async (status: number, body: string, path = "/v1/models") => {
    const server = createServer((request, response) => {
      response.writeHead(request.url === path ? status : 404).end(body);
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
    try {
      return { with: await modelServerVerdict(`${url}/v1/`, signal), without: await modelServerVerdict(url, signal) };
    } finally {
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    }
  };

  it("tells its models, or why it is none", async () => {
    const { with: given, without } = await answer(200, JSON.stringify({ data: [{ id: "qwen" }, { id: "llama" }] }));
    expect(given).toEqual({ status: "ok", found: "it answers; models: qwen, llama" });
    expect(without).toEqual(given);
    expect((await answer(503, "")).with).toMatchObject({
      status: "fail",
      found: expect.stringContaining("answered 503"),
    });
    expect((await answer(200, "<html>")).with).toMatchObject({
      status: "fail",
      found: expect.stringContaining("no list of models"),
    });
    const gone = await listenTcp(() => {});
    await gone[Symbol.asyncDispose]();
    expect(await modelServerVerdict(`http://127.0.0.1:${gone.port}`, signal)).toMatchObject({
      status: "fail",
      found: expect.stringMatching(/nothing answers .+ECONNREFUSED/),
    });
  });
});
