// A script spawns its own classes on a node that has never seen them.

import { existsSync, statSync } from "node:fs";
import { dirname } from "node:path";
import { fileURLToPath } from "node:url";
import { expect, test } from "vitest";
import { actorContext, defineActor } from "../../../runtime/index.ts";
import { Counter } from "../../fixtures/code/counter.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { openCodeFleet } from "../../support/code-fleet.ts";
import { writtenModules } from "../../support/written-modules.ts";

const AT_NODE = { node: "node" } as const;

/** A class of the script's own under the fixture's name, as if it were another version of it. */
const counterOf = (version: string, module?: string) =>
  defineActor(
    "counter",
    class {
      version(): string {
        return `the script's ${version}`;
      }
    },
    { version, ...(module !== undefined && { module }) },
  );

const versioned = (version: string) => `
  import { actorContext, defineActor } from "flotilla";
  export const Counter = defineActor("counter", class { version() { return "shipped ${version}"; } }, { version: "${version}" });`;

test("the module travels once; the second spawn loads nothing", async () => {
  await using fleet = await openCodeFleet();
  const first = await fleet.script.spawn(Counter, AT_NODE);
  expect(await first.add(2)).toBe(2);
  expect(await first.addTwice(2)).toBe(6);
  const second = await fleet.script.spawn(Counter, AT_NODE);
  expect(await second.add(1)).toBe(1);
  expect([fleet.blobs.puts, fleet.blobs.gets]).toEqual([1, 1]);
  expect(fleet.log).toEqual([expect.stringMatching(/^loaded code [0-9a-f]{12}$/)]);
});

test("shipped code uses the node's own runtime: context, errors and streams", async () => {
  await using fleet = await openCodeFleet();
  const counter = await fleet.script.spawn(Counter, AT_NODE);
  const { node, module } = await counter.where();
  expect(node).toBe("node");
  expect(module).toMatch(/flotilla-code-.*\/[0-9a-f]{64}\.mjs$/);
  expect((await caught(counter.refuse())).code).toBe("OutOfOrder");
  expect((await caught(counter.add("two"))).message).toContain("ZodError");
  const items: number[] = [];
  for await (const item of counter.upTo(3)) items.push(item);
  expect(items).toEqual([0, 1, 2]);
});

test("what was written is private, and gone when the node closes", async () => {
  const fleet = await openCodeFleet();
  const { module } = await (await fleet.script.spawn(Counter, AT_NODE)).where();
  const folder = dirname(fileURLToPath(module));
  expect(statSync(folder).mode & 0o777).toBe(0o700);
  await fleet[Symbol.asyncDispose]();
  expect(existsSync(folder)).toBe(false);
});

test("a module that is loaded belongs to nobody, whoever asked for it first", async () => {
  using files = writtenModules();
  await using fleet = await openCodeFleet();
  const module = files.module(`
    import { actorContext, defineActor } from "flotilla";
    const inActor = () => { try { return actorContext() !== undefined; } catch { return false; } };
    const atLoad = inActor();
    export const Loaded = defineActor("loaded", class { seen() { return [atLoad, inActor()]; } });`);
  const Loaded = defineActor("loaded", class {}, { module });
  const Asker = defineActor(
    "asker",
    class {
      async ask(): Promise<unknown> {
        const loaded = await actorContext().system.spawn(Loaded, AT_NODE);
        return (loaded as unknown as { seen(): Promise<unknown> }).seen();
      }
    },
  );
  expect(await (await fleet.script.spawn(Asker)).ask()).toEqual([false, true]);
});

test("spawns at once share one bundle, one fetch and one load", async () => {
  await using fleet = await openCodeFleet();
  const counters = await Promise.all(Array.from({ length: 8 }, () => fleet.script.spawn(Counter, AT_NODE)));
  const modules = await Promise.all(counters.map(async (counter) => (await counter.where()).module));
  expect(new Set(modules).size).toBe(1);
  expect([fleet.blobs.puts, fleet.blobs.gets]).toEqual([1, 1]);
});

test("a node that has the type and version is sent no code", async () => {
  await using fleet = await openCodeFleet({ actors: [counterOf("1")] });
  const counter = await fleet.script.spawn(counterOf("1"), AT_NODE);
  expect(await counter.version()).toBe("the script's 1");
  expect(fleet.blobs.puts).toBe(0);
});

test("the script's own node needs no code", async () => {
  await using fleet = await openCodeFleet();
  await fleet.script.spawn(counterOf("1"));
  expect(fleet.blobs.puts).toBe(0);
});

test("another version lives beside the node's own, and each actor keeps its class", async () => {
  using files = writtenModules();
  const own = counterOf("1");
  await using fleet = await openCodeFleet({ actors: [own] });
  const one = await fleet.node.spawn(own);
  const two = await fleet.script.spawn(counterOf("2", files.module(versioned("2"))), AT_NODE);
  expect(await Promise.all([one.version(), two.version()])).toEqual(["the script's 1", "shipped 2"]);
  expect(await (await fleet.other.spawn(counterOf("1"), AT_NODE)).version()).toBe("the script's 1");
});

test("scripts with other code under the same name and version do not meet", async () => {
  using files = writtenModules();
  await using fleet = await openCodeFleet();
  const old = await fleet.script.spawn(counterOf("1", files.module(versioned("1"))), AT_NODE);
  const changed = files.module(versioned("1").replace("shipped", "changed"), "changed.ts");
  const young = await fleet.other.spawn(counterOf("1", changed), AT_NODE);
  expect(await Promise.all([old.version(), young.version()])).toEqual(["shipped 1", "changed 1"]);
});

test("another version without code is VersionSkew, which names both", async () => {
  await using fleet = await openCodeFleet({ actors: [counterOf("1")], allowCode: false });
  const error = await caught(fleet.script.spawn(counterOf("2"), AT_NODE));
  expect(error).toMatchObject({ code: "VersionSkew", data: { ours: "1", theirs: "2" } });
  expect(error.message).toMatch(/node has counter version "1" and the caller asks for version "2"/);
  expect(error.message).toMatch(/run the script with version "1", or start the node with version "2"/);
});

test("a file that changed after the script's start is VersionSkew", async () => {
  using files = writtenModules();
  await using fleet = await openCodeFleet();
  const error = await caught(fleet.script.spawn(counterOf("1", files.module(versioned("2"))), AT_NODE));
  expect(error).toMatchObject({ code: "VersionSkew", data: { ours: "2", theirs: "1" } });
});

test("code is refused where the operator did not allow it", async () => {
  await using fleet = await openCodeFleet({ allowCode: false, record: { allowsCode: true } });
  const error = await caught(fleet.script.spawn(Counter, AT_NODE));
  expect(error).toMatchObject({ code: "CodeNotAllowed", data: { type: "counter", node: "node" } });
  expect(fleet.blobs.gets).toBe(0);
});

test("a node known to load no code is sent none: UnknownActorType", async () => {
  await using fleet = await openCodeFleet({ allowCode: false });
  expect(await codeOf(fleet.script.spawn(Counter, AT_NODE))).toBe("UnknownActorType");
  expect(fleet.blobs.puts).toBe(0);
});

test("a blob that was deleted or replaced is told apart, and may come back", async () => {
  await using fleet = await openCodeFleet();
  const put = fleet.blobs.put.bind(fleet.blobs);
  const lost: Uint8Array[] = [];
  fleet.blobs.put = async (bytes) => {
    const hash = await put(bytes);
    lost.push(bytes);
    await fleet.blobs.delete(hash);
    return hash;
  };
  expect(await codeOf(fleet.script.spawn(Counter, AT_NODE))).toBe("CodeMissing");
  await put(lost[0] ?? new Uint8Array());
  expect(await (await fleet.script.spawn(Counter, AT_NODE)).add(1)).toBe(1);
});

const family = (word: string) => `
  import { actorContext, defineActor } from "flotilla";
  export const Child = defineActor("child", class { word() { return "${word}"; } });
  export const Parent = defineActor("parent", class {
    async word() { return (await actorContext().spawn(Child)).word(); }
    async elsewhere() { return (await actorContext().spawn(Child, { node: "script" })).word(); }
  });`;

const parentOf = (module: string) =>
  defineActor(
    "parent",
    class {
      async word(): Promise<string> {
        return "here";
      }
      async elsewhere(): Promise<string> {
        return "here";
      }
    },
    { module },
  );

test("shipped code spawns the classes of its own module, whatever other scripts brought", async () => {
  using files = writtenModules();
  await using fleet = await openCodeFleet();
  const one = await fleet.script.spawn(parentOf(files.module(family("one"), "one.ts")), AT_NODE);
  const two = await fleet.other.spawn(parentOf(files.module(family("two"), "two.ts")), AT_NODE);
  expect(await Promise.all([one.word(), two.word(), one.word()])).toEqual(["one", "two", "one"]);
  expect(fleet.blobs.gets).toBe(2);
  expect(await codeOf(one.elsewhere())).toBe("CodeNotAllowed");
});

test("a class that shipped code keeps to itself is spawned all the same", async () => {
  using files = writtenModules();
  await using fleet = await openCodeFleet();
  const hidden = (word: string) =>
    files.module(family(word).replace("export const Child", "const Child"), `${word}.ts`);
  const one = await fleet.script.spawn(parentOf(hidden("one")), AT_NODE);
  const two = await fleet.other.spawn(parentOf(hidden("two")), AT_NODE);
  expect(await Promise.all([one.word(), two.word()])).toEqual(["one", "two"]);
});
