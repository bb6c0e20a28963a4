// What can be refused about an actor's own process before any is started.

import { realpathSync } from "node:fs";
import { pathToFileURL } from "node:url";
import { expect, test } from "vitest";
import { connect, defineActor } from "../../../runtime/index.ts";
import { Probe } from "../../fixtures/isolation/probe.ts";
import { caught } from "../../support/caught.ts";

test("a system that is alone has no processes, and says what to do", async () => {
  await using system = await connect();
  const error = await caught(system.spawn(Probe, { isolation: "process" }));
  expect(error).toMatchObject({ code: "ProcessNeedsFleet", retryable: false, data: { type: "probe" } });
  expect(system.stats()).toMatchObject({ actors: 0, processes: 0, processesReady: 0 });
  expect(await (await system.spawn(Probe, { isolation: "shared" })).pid()).toBe(process.pid);
});

test("options of the wrong kind are named", async () => {
  await using system = await connect();
  const isolation = "container" as "process";
  expect(await caught(system.spawn(Probe, { isolation }))).toMatchObject({
    code: "InvalidOption",
    message: 'option isolation: expected "shared", "thread" or "process", got "container"',
  });
  expect((await caught(connect({ warmProcesses: 1 }))).message).toContain(
    "option servers: expected an address beside warmProcesses",
  );
  const servers = "nats://127.0.0.1:1";
  expect((await caught(connect({ servers, warmProcesses: 65 }))).message).toContain("a whole number from 0 to 64");
});

test("a type whose module is unknown, or is the program that runs, cannot be imported elsewhere", async () => {
  const { Types } = await import("../../../runtime/types.ts");
  const types = new Types("here", { allowed: false, originOf: () => undefined } as never);
  const main = pathToFileURL(realpathSync(process.argv[1] as string)).href;
  const type = (name: string, module: string) => defineActor(name, class {}, { module });
  for (const each of [type("odd", "data:text/javascript,1"), type("own", main), type("good", import.meta.url)])
    types.register(each);
  const moduleOf = (name: string) => types.moduleOf({ type: name, version: "0" });
  expect(moduleOf("good")).toBe(import.meta.url);
  expect(() => moduleOf("odd")).toThrow("say so: export const Odd = defineActor");
  expect(() => moduleOf("own")).toThrow("is the program that runs");
  expect(() => moduleOf("none")).toThrow('no actor type "none"');
});
