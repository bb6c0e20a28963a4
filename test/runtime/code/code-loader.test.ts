// A node's side alone: what it refuses to load, and why, with bundles that no shipper of ours made.

import { expect, test } from "vitest";
import { ownVersions, packCode } from "../../../runtime/code/code-format.ts";
import { CodeLoader } from "../../../runtime/code/code-loader.ts";
import { type Clock, type FlotillaError, systemClock } from "../../../runtime/index.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { CountedBlobs } from "../../support/code-fleet.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";

const RUNTIME = `import { connect, defineActor } from "./flotilla-runtime.mjs";\n`;
const COUNTER = `${RUNTIME}export const Counter = defineActor("counter", class {});\n`;

interface Stage extends AsyncDisposable {
  readonly blobs: CountedBlobs;
  readonly loader: CodeLoader;
  put(text: string, versions?: { readonly flotilla: string; readonly protocol: number }): Promise<string>;
}

function openStage(allowed = true, clock: Clock = systemClock): Stage {
  const blobs = new CountedBlobs();
  const loader = new CodeLoader({ node: "node", allowed, blobs, clock, log: () => {} });
  return {
    blobs,
    loader,
    put: (text, versions = ownVersions()) => blobs.put(packCode(text, versions)),
    [Symbol.asyncDispose]: () => loader.close(),
  };
}

const loadError = async (text: string): Promise<FlotillaError> => {
  await using stage = openStage();
  return caught(stage.loader.load(await stage.put(text), "counter"));
};

test("loads of one hash, at once and later, share one fetch and one module", async () => {
  await using stage = openStage();
  const hash = await stage.put(`${COUNTER}export const Gauge = defineActor("gauge", class {}, { version: "3" });`);
  const [one, two] = await Promise.all([stage.loader.load(hash, "counter"), stage.loader.load(hash, "counter")]);
  const gauge = await stage.loader.load(hash, "gauge");
  expect(one).toBe(two);
  expect([one.version, gauge.version]).toEqual(["0", "3"]);
  expect(stage.blobs.gets).toBe(1);
  expect([stage.loader.originOf(one), stage.loader.originOf(gauge)]).toEqual([hash, hash]);
  expect(stage.loader.typeOf("gauge")).toBe(gauge);
});

test("nothing is fetched where code is not allowed", async () => {
  await using stage = openStage(false);
  expect(await codeOf(stage.loader.load(await stage.put(COUNTER), "counter"))).toBe("CodeNotAllowed");
  expect(stage.blobs.gets).toBe(0);
});

test("a missing blob is CodeMissing, also for names that are no hash", async () => {
  await using stage = openStage();
  for (const hash of ["0".repeat(64), "../../etc/passwd", "", 7 as unknown as string]) {
    expect(await codeOf(stage.loader.load(hash, "counter"))).toBe("CodeMissing");
  }
});

test("bytes of another hash are CodeCorrupt and never run", async () => {
  await using stage = openStage();
  const hash = await stage.put(COUNTER);
  stage.blobs.get = async () => packCode(`globalThis.ranTampered = true; ${COUNTER}`, ownVersions());
  const error = await caught(stage.loader.load(hash, "counter"));
  expect(error).toMatchObject({ code: "CodeCorrupt", data: { code: hash } });
  expect(globalThis).not.toHaveProperty("ranTampered");
});

test.each(["", "no header", "{}\n", `{"format":"1","flotilla":"0","protocol":1}\n`, "null\nx"])(
  "a blob that is no bundle is CodeCorrupt: %j",
  async (text) => {
    await using stage = openStage();
    const hash = await stage.blobs.put(Buffer.from(text));
    expect(await codeOf(stage.loader.load(hash, "counter"))).toBe("CodeCorrupt");
  },
);

test.each([
  ["flotilla", { ...ownVersions(), flotilla: "0.0.7" }, /flotilla 0\.0\.7 \(protocol \d\) and the node runs flotilla/],
  ["protocol", { ...ownVersions(), protocol: 99 }, /\(protocol 99\) and the node runs .*\(protocol \d\)/],
])("a bundle by another %s is VersionSkew, which names both", async (_, versions, says) => {
  await using stage = openStage();
  const error = await caught(stage.loader.load(await stage.put(COUNTER, versions), "counter"));
  expect(error.code).toBe("VersionSkew");
  expect(error.message).toMatch(says);
});

test("a type that is not exported: the error writes the line", async () => {
  const error = await loadError(`${RUNTIME}const Counter = defineActor("counter", class {});
    export const Gauge = defineActor("gauge", class {});`);
  expect(error).toMatchObject({ code: "CodeNotExported", data: { exported: ["gauge"] } });
  expect(error.message).toContain(`exported: gauge; write: export const Counter = defineActor("counter", class { … })`);
});

test("a module that throws is CodeLoadFailed with its words", async () => {
  const error = await loadError(`throw new TypeError("no such table");`);
  expect(error).toMatchObject({ code: "CodeLoadFailed", cause: { message: "no such table" } });
  expect(error.message).toMatch(/cannot be loaded on node: it threw TypeError: no such table/);
  expect((await loadError("export const = 1;")).code).toBe("CodeLoadFailed");
});

test("a module that connects is told to move its actors, also after an await", async () => {
  for (const text of ["await connect();", "await null; await new Promise(setImmediate); await connect();"]) {
    const error = await loadError(`${COUNTER}${text}`);
    expect(error.code).toBe("ConnectWhileLoading");
    expect(error.message).toMatch(/move the actors into a module of their own/);
  }
});

test("two classes of one name in a module are refused", async () => {
  const error = await loadError(`${COUNTER}export const Other = defineActor("counter", class {});`);
  expect(error.code).toBe("InvalidOption");
});

test("a top level that never ends is given up, and loads when it ends after all", async () => {
  const clock = new FakeClock();
  await using stage = openStage(true, clock);
  const hash = await stage.put(`${COUNTER}await new Promise((done) => { globalThis.endTopLevel = done; });`);
  const first = caught(stage.loader.load(hash, "counter"));
  await waitUntil("the module started to load", () => "endTopLevel" in globalThis);
  await clock.advance(10_000);
  expect((await first).message).toMatch(/its top level did not end within 10 s/);
  const second = stage.loader.load(hash, "counter");
  (globalThis as unknown as { endTopLevel(): void }).endTopLevel();
  expect((await second).type).toBe("counter");
  Reflect.deleteProperty(globalThis, "endTopLevel");
});

test("a blob that comes late is found; a closed loader loads nothing", async () => {
  await using stage = openStage();
  const hash = await stage.put(COUNTER);
  const get = stage.blobs.get.bind(stage.blobs);
  stage.blobs.get = async () => undefined;
  expect(await codeOf(stage.loader.load(hash, "counter"))).toBe("CodeMissing");
  stage.blobs.get = get;
  expect((await stage.loader.load(hash, "counter")).type).toBe("counter");
  await stage.loader.close();
  expect(await codeOf(stage.loader.load(await stage.put(`${COUNTER}// later`), "counter"))).toBe("Closed");
});
