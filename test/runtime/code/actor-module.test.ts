// Where an actor type comes from: the module that a stack names, and the modules an operator names.

import { join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";
import { describe, expect, test } from "vitest";
import { callingModule, moduleInFrame } from "../../../runtime/code/call-site.ts";
import { CodeShipper } from "../../../runtime/code/code-shipper.ts";
import { defineActor, loadActorModule } from "../../../runtime/index.ts";
import { Counter } from "../../fixtures/code/counter.ts";
import { caught } from "../../support/caught.ts";
import { CountedBlobs } from "../../support/code-fleet.ts";
import { writtenModules } from "../../support/written-modules.ts";

describe("the module of a type", () => {
  test("is the one that calls defineActor, or the one it names", () => {
    expect(Counter.module).toBe(new URL("../../fixtures/code/counter.ts", import.meta.url).href);
    expect(defineActor("here", class {}).module).toBe(pathToFileURL(fileURLToPath(import.meta.url)).href);
    expect(defineActor("there", class {}, { module: "file:///there.ts" }).module).toBe("file:///there.ts");
  });

  test.each([
    ["    at file:///a/b.ts:3:24", "file:///a/b.ts"],
    ["    at new Thing (file:///a%20b/c%28d%29.ts:3:24)", "file:///a%20b/c%28d%29.ts"],
    ["    at async file:///a(1)/b.ts?v=2:3:24", "file:///a(1)/b.ts?v=2"],
    ["    at Object.<anonymous> (/a b/c.ts:3:24)", "file:///a%20b/c.ts"],
    ["    at /a/b.ts:3:24", "file:///a/b.ts"],
    ["    at node:internal/modules/run_main:3:24", undefined],
    ["    at fn (node:internal/timers:3:24)", undefined],
    ["    at fn (https://a.example/b.js:3:24)", undefined],
    ["    at data:text/javascript,1:3:24", undefined],
    ["    at eval (eval at x (file:///a/b.ts:1:1), <anonymous>:1:1)", undefined],
    ["    at new Promise (<anonymous>)", undefined],
    ["    at fn (file:///a/b.ts)", undefined],
    ["", undefined],
  ])("is read from a frame: %s", (frame, module) => {
    expect(moduleInFrame(frame)).toBe(module);
  });

  test("is unknown, and nothing fails, where stacks are cut off or replaced", () => {
    const { stackTraceLimit, prepareStackTrace } = Error;
    const ask = () => callingModule(ask);
    try {
      Error.stackTraceLimit = 0;
      expect(ask()).toBeUndefined();
      Error.stackTraceLimit = stackTraceLimit;
      Error.prepareStackTrace = () => [];
      expect(ask()).toBeUndefined();
    } finally {
      Error.stackTraceLimit = stackTraceLimit;
      Error.prepareStackTrace = prepareStackTrace;
    }
  });

  test("must be known to ship it: the error writes the line", async () => {
    const type = defineActor("my-gauge", class {}, { module: "data:text/javascript," });
    const error = await caught(new CodeShipper(new CountedBlobs(), { originOf: () => undefined }).ship(type));
    expect(error.code).toBe("BundleFailed");
    const line = `export const MyGauge = defineActor("my-gauge", class { … }, { module: import.meta.url })`;
    expect(error.message).toContain(line);
  });

  test("is bundled once for all its types, and put once for all scripts", async () => {
    using files = writtenModules();
    const module = files.module(`export const a = 1;`);
    const [one, two] = [defineActor("one", class {}, { module }), defineActor("two", class {}, { module })];
    const blobs = new CountedBlobs();
    const shipper = new CodeShipper(blobs, { originOf: () => undefined });
    const hashes = await Promise.all([shipper.ship(one), shipper.ship(two), shipper.ship(one)]);
    expect(new Set(hashes).size).toBe(1);
    expect(await new CodeShipper(blobs, { originOf: () => undefined }).ship(two)).toBe(hashes[0]);
    expect(blobs.puts).toBe(1);
  });
});

test("a version is a short word", () => {
  expect(defineActor("plain", class {}).version).toBe("0");
  expect(defineActor("plain", class {}, { version: "2.1.0-rc.1+7" }).version).toBe("2.1.0-rc.1+7");
  for (const version of ["", "a b", "x".repeat(65)]) {
    expect(() => defineActor("plain", class {}, { version })).toThrow(/actor type plain: version/);
  }
});

describe("a module that an operator names", () => {
  test("gives the types it exports", async () => {
    const types = await loadActorModule("test/fixtures/code/counter.ts");
    expect(types.map(({ type, version }) => [type, version])).toEqual([["counter", "1"]]);
  });

  test.each([
    ["is not there", undefined, /gone\.ts is not there; name a file/],
    ["throws", `throw new Error("no table");`, /cannot be loaded: Error: no table/],
    ["imports what is not there", `import "./nowhere.ts";`, /cannot be loaded: .*nowhere\.ts/],
    [
      "exports no actor",
      `export const a = { type: "a" }, b = null;`,
      /exports no actor; write: export const MyActor = def/,
    ],
    ["connects", `import { connect } from "RUNTIME"; await connect();`, /cannot be loaded: .*a module of their own/],
  ])("is refused when it %s", async (_, text, says) => {
    using files = writtenModules();
    const runtime = fileURLToPath(new URL("../../../runtime/index.ts", import.meta.url));
    const path =
      text === undefined ? join(files.folder, "gone.ts") : files.write("a.ts", text.replace("RUNTIME", runtime));
    const error = await caught(loadActorModule(path));
    expect(error).toMatchObject({ code: "ActorModuleInvalid", data: { path } });
    expect(error.message).toMatch(says);
  });
});
