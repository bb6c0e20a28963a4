// A task whose council lives on the nodes of a fleet, over a real server: beside model servers, with the collector on a node of its own, and
// with no disk between them and the repository but what travels.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { afterEach, beforeEach, describe, expect, it, vi } from "vitest";
import { parse } from "../../actors/events/feed.ts";
import {
  Agent,
  agentResults,
  Collector,
  type CouncilProgress,
  fleetActorTypes,
  type Origin,
  runCouncil,
} from "../../actors/index.ts";
import { runCli } from "../../api/cli.ts";
import { type ActorSystem, type ConnectOptions, connect, type EngineReport } from "../../runtime/index.ts";
import { bundleStart, publishBundle, removeLeftFolders } from "../../tools/index.ts";
import { flotilla } from "../support/flotilla-command.ts";
import { makeFolder, makeRepository, type TestRepository } from "../support/git-repository.ts";
import { engineOf, type ModelNode, startModelNode } from "../support/model-node.ts";
import { natsForTests } from "../support/nats-server.ts";
import { startNode } from "../support/node-process.ts";
import { type OpenAiServer, type Play, startOpenAiServer } from "../support/openai-server.ts";
import { SMALL_PROJECT } from "../support/small-project.ts";
import { waitUntil } from "../support/wait-until.ts";
import { ROOT } from "../tidy/source.ts";

const MODEL = "test-model";
const TASK = "Add hello_world() function to src/utils.js";
const path = "src/utils.js";
const STEPS = [
  { tool: "files.append", params: { path, content: "\nexport function hello_world() {\n  return 1;\n}\n" } },
  { tool: "git.add", params: { paths: [path] } },
  { tool: "git.commit", params: { message: "feat: add hello_world()" } },
];
const GOOD: Play = { kind: "reply", text: JSON.stringify({ reasoning: "Add it and commit it.", steps: STEPS }) };

const nats = natsForTests();
let fleet: Pick<ConnectOptions, "servers" | "user" | "pass" | "prefix" | "lease">;
/** Where the nodes' agents make their clones. */
let workspaces: string;
const cleanups: (() => PromiseLike<unknown>)[] = [];

function later<Resource extends AsyncDisposable>(resource: Resource): Resource {
  cleanups.push(() => resource[Symbol.asyncDispose]());
  return resource;
}

beforeEach(async () => {
  if (nats.missing !== undefined) return;
  fleet = { ...nats.options, prefix: nats.prefix(), lease: "fast" };
  workspaces = later(await makeFolder()).path;
  vi.stubEnv("FLOTILLA_WORKSPACES", workspaces);
});

afterEach(async () => {
  for (const cleanup of cleanups.splice(0).reverse()) await cleanup();
  vi.unstubAllEnvs();
});

const repository = async (): Promise<TestRepository> => later(await makeRepository({ files: SMALL_PROJECT }));
const modelServer = async (plays: readonly Play[] = [GOOD]): Promise<OpenAiServer> =>
  later(await startOpenAiServer(plays, [MODEL]));
const script = async (): Promise<ActorSystem> => later(await connect(fleet));

async function node(name: string, actors = fleetActorTypes, engines: readonly EngineReport[] = []): Promise<ModelNode> {
  return later(await startModelNode({ connect: fleet, name, actors, engines }));
}

/** A node that takes agents only, beside a server as a daemon reports it, without the path of the API; one agent saturates it. */
const beside = (name: string, server: OpenAiServer): Promise<ModelNode> =>
  node(name, [Agent], [engineOf(MODEL, { url: server.url.replace(/\/v1$/, ""), slots: 1 })]);

const flags = (repo: string, model: string, ...more: readonly string[]): readonly string[] => {
  const { servers = "", prefix = "" } = fleet;
  return [
    ...["task", "--repo", repo, "--task", TASK, "--model", model],
    ...["--servers", String(servers), "--prefix", prefix, ...more],
  ];
};
const who = () => ({ FLOTILLA_USER: fleet.user ?? "", FLOTILLA_PASS: fleet.pass ?? "" });

/** The command in this process; `onOutput` is told all that it has printed so far. */
async function cli(
  args: readonly string[],
  onOutput: (text: string) => void = () => {},
  signal = new AbortController().signal,
) {
  for (const [name, value] of Object.entries(who())) vi.stubEnv(name, value);
  const text = { out: "", err: "" };
  const write = (stream: "out" | "err") => (piece: string) => {
    text[stream] += piece;
    onOutput(text[stream]);
  };
  const status = await runCli(args, {
    out: { write: write("out") },
    err: { write: write("err") },
    signal,
  });
  return { status, ...text };
}

describe.skipIf(nats.missing !== undefined)("flotilla task --servers", { timeout: 60_000 }, () => {
  it("works beside the nodes' model servers, collects on a third, and ends with a branch here and nothing there", async () => {
    const [one, two] = [await modelServer(), await modelServer()];
    await Promise.all([beside("gpu-1", one), beside("gpu-2", two), node("third", [Collector])]);
    const source = await repository();
    const listening = await script();
    const from = (await listening.ports.eventLog.lastSequence()) + 1;
    const { status, stdout, stderr, leftOver } = await flotilla(flags(source.path, MODEL, "--agents", "2", "--json"), {
      env: who(),
    });
    expect({ status, leftOver }, stderr).toEqual({ status: 0, leftOver: [] });
    const view = JSON.parse(stdout);
    expect(view).toMatchObject({ status: "completed", model: MODEL, winner: "agent-dev-001", collector: "third" });
    expect(view.results.map((result: { node: string }) => result.node).sort()).toEqual(["gpu-1", "gpu-2"]);
    for (const result of view.results)
      expect(stderr).toMatch(new RegExp(`${result.agentId} +starts +on ${result.node}`));
    expect(await source.git("rev-parse", `flotilla/${view.taskId}`)).toBe(view.results[0].commit);
    expect(await source.git("show", `flotilla/${view.taskId}:${path}`)).toContain("function hello_world()");
    const sessions = [one, two].map(({ requests }) => requests[0]?.headers["x-session-id"]).sort();
    expect(sessions).toEqual([`${view.taskId}/agent-dev-001`, `${view.taskId}/agent-dev-002`]);
    expect(await readdir(workspaces)).toEqual([]);
    const told = await listening.ports.eventLog.read("topic.agent.results.*", from, 3);
    expect(told).toHaveLength(2);
    for (const logged of told) {
      const fed = parse(agentResults, logged);
      const { bundle = "" } = (fed.kind === "event" && "result" in fed.event.data && fed.event.data.result.place) || {};
      expect(bundle).toMatch(/^[0-9a-f]{64}$/);
      expect(await listening.ports.blobs.has(bundle)).toBe(false);
    }
  });

  it("with the mock: two tasks at once do not mix, and a person reads where everybody was and what was kept", async () => {
    await node("gpu-1", fleetActorTypes);
    const sources = [await repository(), await repository()];
    await sources[1]?.write({ "second.txt": "only here\n" });
    await sources[1]?.git("add", "--all");
    await sources[1]?.git("commit", "-qm", "Second");
    const runs = await Promise.all(
      sources.map((source) => cli(flags(source.path, "mock", "--agents", "2", "--apply", "--keep"))),
    );
    for (const [index, { status, out, err }] of runs.entries()) {
      expect(status, out + err).toBe(0);
      expect(out).toContain("Nodes       gpu-1");
      expect(out).toMatch(
        /Agents {6}agent-dev-00\d on gpu-1, clone \/.+\/flotilla-kept-.+\n {12}agent-dev-00\d on gpu-1/,
      );
      expect(out).toContain("Collector   on gpu-1");
      expect(await sources[index]?.git("show", `HEAD:${path}`)).toContain("hello_world");
      expect(await sources[index]?.git("rev-list", "--count", "HEAD")).toBe(String(index + 2));
    }
    const kept = await readdir(workspaces);
    expect(kept.map((name) => name.replace(/\w+$/, ""))).toEqual(Array(4).fill("flotilla-kept-"));
  });

  it("waits for a model that is loading, says so, and goes on when it is there", async () => {
    const server = await modelServer();
    const gpu = await node("gpu-1", fleetActorTypes, [engineOf(MODEL, { state: "starting" })]);
    const source = await repository();
    const url = server.url;
    const { status, out, err } = await cli(flags(source.path, MODEL, "--agents", "1"), (text) => {
      if (/agent-dev-001 +waits +.*test-model is starting/.test(text)) gpu.report([engineOf(MODEL, { url })]);
    });
    expect(status, out + err).toBe(0);
    expect(out).toMatch(/waits .+\n.+starts +on gpu-1/);
  });

  it("cancelled: its agents end on their nodes, and nothing of it stays there or in blobs", async () => {
    const server = await modelServer([{ kind: "hang" }]);
    const gpu = await beside("gpu-1", server);
    await node("third", [Collector]);
    const source = await repository();
    const got = vi.spyOn(gpu.system.ports.blobs, "get");
    const stop = new AbortController();
    const running = cli(flags(source.path, MODEL, "--agents", "1"), () => {}, stop.signal);
    await waitUntil("the agent asks its model", () => server.requests.length === 1);
    stop.abort(130);
    expect(await running).toMatchObject({ status: 130, err: expect.stringContaining("cancelled") });
    expect([server.abandoned, await readdir(workspaces), gpu.system.stats().actors]).toEqual([1, [], 1]);
    expect(await source.git("for-each-ref", "refs/heads/flotilla")).toBe("");
    expect(got).toHaveBeenCalledTimes(1);
    expect(await gpu.system.ports.blobs.has(got.mock.calls[0]?.[0] ?? "")).toBe(false);
  });

  it("tells a mistake in one sentence, and sends nothing", async () => {
    const source = await repository();
    const refusal = async (...args: Parameters<typeof flags>) => {
      const { status, out, err } = await cli(flags(...args));
      expect({ status, out }).toEqual({ status: 1, out: "" });
      expect(err.trimEnd().split("\n")).toHaveLength(1);
      return err;
    };
    expect(await refusal(source.path, MODEL)).toMatch(
      /no node of this fleet takes agents; start one with: flotilla node/,
    );
    const gpu = await node("gpu-1");
    expect(await refusal(source.path, MODEL)).toMatch(/has the model "test-model"; it has no models; --model mock/);
    gpu.report([engineOf("other"), engineOf("third", { state: "starting", why: "loading weights" })]);
    await waitUntil("the report is told", async () =>
      /it has other on gpu-1 \(ready\), third on gpu-1 \(starting: loading weights\)\./.test(
        await refusal(source.path, MODEL),
      ),
    );
    expect(await refusal(source.path, MODEL, "--servers", "nats://127.0.0.1:1")).toMatch(/no server answers at 127/);
    expect(await refusal(source.path, MODEL, "--model-url", "http://127.0.0.1:1/v1")).toMatch(
      /--model-url: .+leave it out/,
    );
    expect(await readdir(workspaces)).toEqual([]);
  });
});

async function originOf(system: ActorSystem, source: TestRepository, commit: string): Promise<Origin> {
  const start = { source: source.path, commit, branch: "flotilla/t", bytesMax: system.ports.blobs.blobMaxBytes };
  const { bytes } = await bundleStart(start);
  return { kind: "bundle", blob: await system.ports.blobs.put(bytes), branch: start.branch };
}

const request = (agents: readonly Origin[], baseCommit: string) => ({
  ...{ taskId: "t", text: TASK, role: "DEV", baseCommit, timeoutMs: 60_000, model: { kind: "mock" } as const },
  agents: agents.map((origin, index) => ({ agentId: `agent-dev-00${index + 1}`, origin })),
});

describe("a council whose agents make their own clones", { timeout: 60_000 }, () => {
  it("works in one process too: from a bundle and from an address", async () => {
    const folder = later(await makeFolder());
    vi.stubEnv("FLOTILLA_WORKSPACES", folder.path);
    await using system = await connect();
    const source = await repository();
    const commit = await source.head();
    const address = { kind: "address", url: `file://${source.path}` } as const;
    const origins = [await originOf(system, source, commit), address];
    const missing = { kind: "bundle", blob: "0".repeat(64), branch: "flotilla/t" } as const;
    const outcome = await runCouncil(system, request([...origins, missing], commit));
    expect(outcome).toMatchObject({ ranking: { winner: "agent-dev-001" }, missing: [{ agentId: "agent-dev-003" }] });
    expect(outcome.missing[0]?.message).toMatch(/^The agent was lost: .+ no longer in the fleet's blobs\.$/);
    for (const { place, commit: made } of outcome.results) {
      const bytes = (await system.ports.blobs.get(place?.bundle ?? "")) ?? new Uint8Array();
      const branch = `flotilla/${made}`;
      await publishBundle({ source: source.path, bytes, base: commit, commit: made ?? "", branch });
      expect(await source.git("show", `${branch}:${path}`)).toContain("hello_world");
    }
    expect(await readdir(folder.path)).toEqual([]);
  });

  it.skipIf(nats.missing !== undefined)("begins agents anew elsewhere when their nodes die or leave", async () => {
    const types = join(ROOT, "actors/index.ts");
    const start = (name: string) => startNode({ actors: types, connect: { ...fleet, name, accepts: true } });
    const [dying, leaving] = await Promise.all([start("dying"), start("leaving")]);
    cleanups.push(() => Promise.all([dying.kill(), leaving.kill()]));
    const staying = await node("staying", [Collector]);
    const driver = await script();
    const server = await modelServer([{ kind: "hang" }, { kind: "hang" }, GOOD]);
    const source = await repository();
    const commit = await source.head();
    const collector = await driver.spawn(Collector, { node: "staying", args: [{}], concurrency: 32 });
    const origin = await originOf(driver, source, commit);
    const told: CouncilProgress[] = [];
    const outcome = runCouncil(driver, {
      ...request([origin, origin], commit),
      ...{ collector, model: { kind: "openai", url: server.url, model: MODEL } as const },
      onProgress: (event) => told.push(event),
    });
    await waitUntil("both ask their model", () => server.requests.length === 2, 20_000);
    const clones = (await readdir(workspaces)).map((name) => Number(/-(\d+)-\w+$/.exec(name)?.[1]));
    expect(clones.sort()).toEqual([dying.pid, leaving.pid].sort());
    staying.system.register(Agent);
    const isKnown = () => driver.nodes().find(({ name }) => name === "staying")?.types.length === 2;
    await waitUntil("the driver knows that agents may go there", isKnown);
    await Promise.all([dying.kill(), leaving.close()]);
    const { results, ...rest } = await outcome;
    expect(rest).toMatchObject({ status: "completed", duplicates: 0, collectedOn: "staying" });
    const places = results.map(({ success, place }) => ({ success, node: place?.node, attempt: place?.attempt }));
    expect(places).toEqual(Array(2).fill({ success: true, node: "staying", attempt: 2 }));
    for (const agentId of ["agent-dev-001", "agent-dev-002"]) {
      const own = told.filter((event) => event.agentId === agentId && event.kind !== "agent");
      expect(own.map(({ kind }) => kind)).toEqual(["started", "again", "started", "answered"]);
    }
    // What the dead one left went with the next agent; the other may have ended before its agent had cleaned up.
    expect((await readdir(workspaces)).filter((name) => name.includes(`-${dying.pid}-`))).toEqual([]);
    await removeLeftFolders(workspaces);
    await waitUntil("no clone is left", async () => (await readdir(workspaces)).length === 0);
  });
});
