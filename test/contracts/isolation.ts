// What holds for an actor however far it is kept apart from the others of its node, on a fleet with a real server: one class, three ways to live.

import { expect } from "vitest";
import {
  type ActorEnd,
  type AnyHandle,
  defineActor,
  type Granted,
  type Handle,
  type Isolation,
  type SpawnOptions,
} from "../../runtime/index.ts";
import { Probe } from "../fixtures/isolation/probe.ts";
import { caught, codeOf } from "../support/caught.ts";
import { isThere, type ProcessFleet } from "../support/isolation-fleet.ts";
import { waitUntil } from "../support/wait-until.ts";
import { writtenModules } from "../support/written-modules.ts";
import type { Cases, Make, Skips } from "./contract.ts";

export interface IsolatedFleet extends ProcessFleet {
  readonly isolation: Isolation;
  /** One that is there for all cases, made with 4, and must not be harmed by any. */
  readonly standing: Handle<typeof Probe>;
  /** A name that nobody else has. */
  name(): string;
  /** What an actor of this name will be granted. */
  grant(name: string, granted: Partial<Granted>): void;
  close(): Promise<void>;
}

type Fleet = IsolatedFleet;
const FLOOD_LINES = 10_000;
const total = (numbers: readonly number[]): number => numbers.reduce((sum, each) => sum + each, 0);

type Case = (make: Make<Fleet>) => Promise<void>;

const MIB = 2 ** 20;
const LIMIT_BYTES = 128 * MIB;
const RUNTIME = new URL("../../runtime/index.ts", import.meta.url).href;

const spawnOn = ({ script, isolation }: Fleet, options: SpawnOptions = {}): Promise<Handle<typeof Probe>> =>
  script.spawn(Probe, { isolation, ...options } as SpawnOptions<[kept?: number]>);

const endOf = ({ script }: Fleet, actor: AnyHandle): Promise<ActorEnd> =>
  new Promise((resolve) => script.watch(actor, resolve));

/** The actor is no more; another one like it, and its node, are. */
async function onlyItEnds(fleet: Fleet, harm: (probe: Handle<typeof Probe>) => Promise<unknown>): Promise<ActorEnd> {
  const probe = await spawnOn(fleet);
  const [end] = await Promise.all([endOf(fleet, probe), harm(probe)]);
  expect(await fleet.standing.kept()).toBe(4);
  return end;
}

const call: Case = async (make) => {
  const fleet = await make();
  const probe = fleet.standing;
  expect(await probe.kept()).toBe(4);
  expect(await Array.fromAsync(probe.count(300))).toEqual(Array.from({ length: 300 }, (_, at) => at));
  const value = { map: new Map([[1, new Date(0)]]), bytes: new Uint8Array(3), big: 2n ** 70n, self: probe };
  const { self, ...plain } = (await probe.answer(value)) as typeof value;
  expect([plain, await self.kept()]).toEqual([{ map: value.map, bytes: value.bytes, big: value.big }, 4]);
  const node = await probe.node();
  expect(node === fleet.host.node).toBe(fleet.isolation === "shared");
  expect((await probe.pid()) === process.pid).toBe(fleet.isolation !== "process");
  expect(fleet.script.nodes().map(({ name }) => name)).toEqual(["script", "host"]);
};

const refusals: Case = async (make) => {
  const fleet = await make();
  const probe = fleet.standing;
  expect(await caught(probe.fail("no"))).toMatchObject({
    code: "ActorThrew",
    message: "probe.fail threw RangeError: no",
  });
  expect((await caught(probe.unsendable())).code).toBe("NotSendable");
  expect((await caught(probe.answer(() => 1))).code).toBe("NotSendable");
  expect((await caught(spawnOn(fleet, { args: [{ f: () => 1 }] }))).code).toBe("NotSendable");
  expect(await probe.kept()).toBe(4);
};

const state: Case = async (make) => {
  const fleet = await make();
  const name = fleet.name();
  const first = await spawnOn(fleet, { name });
  expect(await first.recall()).toBeUndefined();
  await first.remember({ seen: 3 });
  expect((await caught(spawnOn(fleet, { name }))).code).toBe("NameTaken");
  await fleet.script.stop(first);
  expect(await (await spawnOn(fleet, { name })).recall()).toEqual({ seen: 3 });
};

const family: Case = async (make) => {
  const fleet = await make();
  const name = fleet.name();
  const probe = await spawnOn(fleet, { name, args: [1] });
  const children = [await probe.spawnHere(2), await probe.spawnHere(3)] as Handle<typeof Probe>[];
  const node = await probe.node();
  for (const child of children) expect(await child.node()).toBe(node);
  const end = endOf(fleet, probe);
  await fleet.script.stop(probe);
  expect((await end).reason).toBe("stopped");
  const said = () => fleet.lines.filter((line) => line.node === node && line.message.startsWith("stopped"));
  await waitUntil("its last words are in the log", () => said().some(({ message }) => message === "stopped 1"));
  const ours = said().filter(({ actor }) => fleet.isolation !== "shared" || /probe/.test(actor ?? ""));
  expect(ours.map(({ message }) => message).filter((message) => /[123]$/.test(message))).toEqual([
    "stopped 3",
    "stopped 2",
    "stopped 1",
  ]);
  expect((await caught(children[0]?.kept() as Promise<number>)).code).toMatch(/^(NoSuchActor|Unavailable|Unknown)$/);
};

const kill: Case = async (make) => {
  const fleet = await make();
  const probe = await spawnOn(fleet, { args: [77] });
  const end = endOf(fleet, probe);
  await fleet.script.kill(probe);
  expect((await end).reason).toBe("killed");
  expect(fleet.lines.map(({ message }) => message)).not.toContain("stopped 77");
};

const lines: Case = async (make) => {
  const fleet = await make();
  const probe = fleet.standing;
  const mark = fleet.name();
  await probe.log(mark);
  const line = await waitUntil("its line is there", () => fleet.lines.find(({ message }) => message === mark));
  expect(line).toMatchObject({ level: "warn", node: await probe.node(), actor: expect.stringMatching(/^probe\//) });
};

const prints: Case = async (make) => {
  const fleet = await make();
  const probe = fleet.standing;
  const node = await probe.node();
  await probe.say(`hello\n${"x".repeat(10_000)}`);
  await probe.complain("alas");
  const printed = () => fleet.lines.filter((line) => line.node === node && line.data?.stream !== undefined);
  await waitUntil("they are in the node's log", () => printed().length >= 3);
  const shown = printed().map(({ level, message, data }) => [level, message.length, data?.stream]);
  expect(shown.toSorted()).toEqual([
    ["info", 4_097, "stdout"],
    ["info", 5, "stdout"],
    ["warn", 4, "stderr"],
  ]);
};

/** More than a thousand lines in a second are counted, and the count is told. */
const flood: Case = async (make) => {
  const fleet = await make();
  const probe = await spawnOn(fleet);
  const node = await probe.node();
  const of = () => fleet.lines.filter((line) => line.node === node);
  const dropped = () => of().map(({ message }) => Number(/^(\d+) lines? dropped$/.exec(message)?.[1] ?? 0));
  const printed = () => of().filter(({ data }) => data?.stream === "stdout").length;
  await probe.flood(FLOOD_LINES, "x".repeat(100));
  await waitUntil("every line is told or counted", () => printed() + total(dropped()) === FLOOD_LINES);
  expect(printed()).toBeGreaterThan(100);
  expect(total(dropped())).toBeGreaterThan(FLOOD_LINES / 2);
};

const environment: Case = async (make) => {
  const fleet = await make();
  const name = fleet.name();
  fleet.grant(name, { devices: ["GPU-7"], environment: { CUDA_VISIBLE_DEVICES: "GPU-7" } });
  // A process that has imported the module before, as one that waits may have, would have seen another environment at that time.
  const plain = fleet.standing;
  const probe = await spawnOn(fleet, { name });
  expect(await probe.devices()).toEqual(["GPU-7", "GPU-7", "GPU-7"]);
  const before = process.env.CUDA_VISIBLE_DEVICES;
  expect(await plain.devices()).toEqual([before, before, before ?? "unset"]);
};

const crash: Case = async (make) => {
  const fleet = await make();
  const end = await onlyItEnds(fleet, (probe) => probe.throwLater());
  expect(end).toMatchObject({ reason: "unknown", error: { code: "NodeLost", data: { why: "ProcessFailed" } } });
  const said = () =>
    fleet.lines.filter(({ node, message }) => node === end.address.node && /nobody awaits this/.test(message));
  await waitUntil("what nobody caught is in the log", () => said().length > 0);
};

const exit: Case = async (make) => {
  const fleet = await make();
  const end = await onlyItEnds(fleet, async (probe) => {
    const error = await caught(probe.exit(3));
    expect(error).toMatchObject({ code: "Unknown", data: { why: "ProcessFailed" } });
    expect(error.message).toMatch(/left or died \(the (process|thread) \S+ ended with status 3\) before it answered/);
  });
  expect(end.error?.message).toContain("ended with status 3");
  expect(await caught(spawnOn(fleet, { args: [-1] }))).toMatchObject({
    code: "ProcessFailed",
    message: expect.stringMatching(/ended with status 7 before its actor had started$/),
  });
};

const restart: Case = async (make) => {
  const fleet = await make();
  const probe = await spawnOn(fleet, { args: [3], restart: { maxRestarts: 1, withinMs: 60_000 } });
  const before = await probe.node();
  await caught(probe.exit(0));
  const after = await waitUntil("it is back", () => probe.node().catch(() => undefined), 30_000);
  expect(after).not.toBe(before);
  expect(await probe.kept()).toBe(3);
};

const memory: Case = async (make) => {
  const fleet = await make();
  const limited = () => {
    const name = fleet.name();
    fleet.grant(name, { resources: { memoryBytes: LIMIT_BYTES } });
    return { name };
  };
  const probe = await spawnOn(fleet, limited());
  const end = endOf(fleet, probe);
  const starting = caught(spawnOn(fleet, { ...limited(), args: ["numbers"] }));
  const error = await caught(probe.fill("array"));
  expect(error).toMatchObject({ code: "Unknown", data: { why: "ProcessOutOfMemory" } });
  expect(error.message).toMatch(/out of memory, its heap.* reached the limit of 128 MiB/);
  expect((await end).error).toMatchObject({ code: "NodeLost", data: { why: "ProcessOutOfMemory" } });
  expect(await starting).toMatchObject({
    code: "ProcessOutOfMemory",
    data: { memoryBytes: LIMIT_BYTES },
    message: expect.stringContaining("before its actor had started: out of memory"),
  });
  expect(await fleet.standing.kept()).toBe(4);
  const name = fleet.name();
  fleet.grant(name, { resources: { memoryBytes: MIB } });
  expect((await caught(spawnOn(fleet, { name }))).message).toContain("resources.memoryBytes: expected at least");
};

const buffers: Case = async (make) => {
  const fleet = await make();
  const name = fleet.name();
  fleet.grant(name, { resources: { memoryBytes: LIMIT_BYTES } });
  const probe = await spawnOn(fleet, { name });
  expect((await caught(probe.fill("buffers"))).data).toMatchObject({ why: "ProcessOutOfMemory" });
};

const loop: Case = async (make) => {
  const fleet = await make();
  const probe = await spawnOn(fleet);
  const pid = await probe.pid();
  const end = endOf(fleet, probe);
  // Asked after the watch, so answered when that has been heard.
  await probe.pid();
  const spinning = caught(probe.spin());
  await waitUntil("it spins", async () => (await codeOf(probe.with({ timeoutMs: 100 }).pid())) === "DeadlineExceeded");
  expect(await fleet.standing.kept()).toBe(4);
  await fleet.script.kill(probe);
  expect((await spinning).code).toBe("Unknown");
  expect((await end).reason).toBe("unknown");
  expect(await fleet.standing.kept()).toBe(4);
  if (pid !== process.pid) await waitUntil("its process ends", () => !isThere(pid));
};

const modules: Case = async (make) => {
  const fleet = await make();
  using written = writtenModules();
  const { host, isolation } = fleet;
  const options = { isolation, node: host.node } as const;
  const text = (name: string, head = "") =>
    `import { defineActor } from "${RUNTIME}";\n${head}\nconst A = defineActor("${name}", class {});\nexport const all = () => A;\n`;
  const load = async (url: string) => (await import(url)).all();
  const [thrown, hidden] = [fleet.name(), fleet.name()];
  const head = `if (process.argv[1]?.endsWith("cached-start.mjs")) throw new Error("top level");`;
  const broken = load(written.module(text(thrown, head), "broken.ts"));
  const unseen = load(written.module(`${text(hidden)}export const B = defineActor("b", class {});\n`, "hidden.ts"));
  // A test file is no module for others.
  const types = [await broken, await unseen, defineActor(fleet.name(), class {})];
  const errors = await Promise.all(types.map((type) => caught(host.spawn(type, options))));
  expect(new Set(errors.map(({ code }) => code))).toEqual(new Set(["ActorModuleInvalid"]));
  const [top, missing] = errors.map(({ message }) => message);
  expect(top).toContain("cannot be loaded: Error: top level");
  expect(missing).toContain(`exports no actor type "${hidden}"`);
  expect(missing).toContain("= defineActor(");
};

export const isolationCases: Cases<Fleet> = {
  "is called, streamed from, and given and gives whatever may be sent": call,
  "what it throws and what cannot be sent comes back as an error, and it lives on": refusals,
  "keeps its state and its name": state,
  "ends after its children, in reverse, each with its last words": family,
  "is killed without last words": kill,
  "its log lines carry its name and its node's": lines,
  "what it prints is in the node's log, line by line and bounded": prints,
  "a flood of lines is counted, dropped, and the count is told": flood,
  "its environment is there before its module, for programs that it starts as well, and for nobody else": environment,
  "an error that nobody catches ends only it, and is told": crash,
  "process.exit ends only it, and is told": exit,
  "comes back elsewhere when it may": restart,
  "out of memory it ends alone, told as such with the limit": memory,
  "buffers count": buffers,
  "an endless loop keeps nobody else, and can be killed": loop,
  "a module that throws, or does not export the type, is refused with the line to write": modules,
};

const OURS = "it shares its node's process, environment and memory";
const HERE = "its class is already here";

/** What an actor that shares everything cannot be kept from. */
export const SHARED_SKIPS: Skips = {
  "what it prints is in the node's log, line by line and bounded": OURS,
  "a flood of lines is counted, dropped, and the count is told": OURS,
  "its environment is there before its module, for programs that it starts as well, and for nobody else": OURS,
  "an error that nobody catches ends only it, and is told": OURS,
  "process.exit ends only it, and is told": OURS,
  "comes back elsewhere when it may": OURS,
  "out of memory it ends alone, told as such with the limit": OURS,
  "buffers count": OURS,
  "an endless loop keeps nobody else, and can be killed": OURS,
  "a module that throws, or does not export the type, is refused with the line to write": HERE,
};

export const PROCESS_SKIPS: Skips = {
  "buffers count": "only a cgroup bounds what is not its heap",
};
