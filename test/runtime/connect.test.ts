// What users may say wrong, at every door: each is InvalidOption, names what was wrong and what was expected, and changes nothing.

import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type ActorSystem, connect, defineActor, type HandleOf, isFlotillaError } from "../../runtime/index.ts";
import { caught, codeOf } from "../support/caught.ts";

const Plain = defineActor(
  "plain",
  class {
    one(): number {
      return 1;
    }
  },
);

/** The error of a use that must be refused, whether it throws or rejects. */
async function refusal(use: () => unknown) {
  const error = await caught((async () => use())());
  expect(error).toMatchObject({ code: "InvalidOption", retryable: false, data: { expected: expect.any(String) } });
  return error.message;
}

const ADDRESS = "127.0.0.1:1";

describe("connect", () => {
  type Case = readonly [options: unknown, named: RegExp];
  const cases: readonly Case[] = [
    [null, /^options: expected an object such as/],
    ["nats://host:4222", /^options: expected an object such as .* got "nats:\/\/host:4222"/],
    [[], /got an array/],
    [{ server: ADDRESS }, /^there is no option "server"; expected one of .*servers/],
    [{ servers: 5 }, /option servers/],
    [{ servers: [] }, /option servers/],
    [{ servers: "" }, /option servers/],
    [{ servers: ["nats://a", 5] }, /option servers/],
    [{ servers: "http://a" }, /option servers/],
    [{ node: "" }, /option node/],
    [{ node: 5 }, /option node/],
    [{ name: "a b" }, /option name/],
    [{ actors: Plain }, /option actors/],
    [{ actors: [class {}] }, /option actors/],
    [{ callTimeoutMs: 0 }, /option callTimeoutMs/],
    [{ callTimeoutMs: "1" }, /option callTimeoutMs/],
    [{ callTimeoutMs: 2 ** 31 }, /option callTimeoutMs/],
    [{ log: console }, /option log/],
    [{ tracing: 1 }, /option tracing/],
    [{ clock: {} }, /option clock/],
    [{ random: {} }, /option random/],
    [{ ports: 5 }, /option ports/],
    [{ user: "me" }, /option servers: expected an address beside user/],
    [{ labels: {} }, /option servers: expected an address beside labels/],
    [{ accepts: true }, /option servers: expected an address beside accepts/],
    [{ servers: ADDRESS, ports: {} }, /option ports: expected none beside servers/],
    [{ servers: ADDRESS, name: "a.b" }, /option name/],
    [{ servers: ADDRESS, node: "a.b" }, /option node/],
    [{ servers: ADDRESS, prefix: "a.b" }, /option prefix/],
    [{ servers: ADDRESS, prefix: 5 }, /option prefix/],
    [{ servers: ADDRESS, lease: "slow" }, /option lease: expected "normal" or "fast", got "slow"/],
    [{ servers: ADDRESS, labels: { gpus: 1 } }, /option labels/],
    [{ servers: ADDRESS, accepts: "yes" }, /option accepts/],
    [{ servers: ADDRESS, allowCode: 1 }, /option allowCode/],
    [{ servers: ADDRESS, user: 5 }, /option user/],
  ];
  test.each(cases)("%j", async (options, named) => {
    expect(await refusal(() => connect(options as never))).toMatch(named);
  });

  test.each(["pass", "token", "creds", "nkeySeed"])("a bad %s is not repeated in the error", async (option) => {
    for (const value of option === "creds" || option === "nkeySeed" ? ["hush-hush", 5] : [5]) {
      const message = await refusal(() => connect({ servers: ADDRESS, [option]: value } as never));
      expect(message).toMatch(new RegExp(`option ${option}`));
      expect(message).not.toMatch(/hush|5/);
    }
  });
});

describe("the other doors", () => {
  let fleet: ActorSystem;
  let plain: HandleOf<{ one(): number }>;
  beforeAll(async () => {
    fleet = await connect();
    plain = await fleet.spawn(Plain);
  });
  afterAll(() => fleet.close());

  const loose = (): Record<string, (...args: unknown[]) => unknown> => {
    const door = fleet as unknown as Record<string, (...args: unknown[]) => unknown>;
    return new Proxy(door, { get: (target, name) => target[name as string]?.bind(target) });
  };

  test.each([
    null,
    5,
    [],
    { args: 5 },
    { name: "" },
    { name: 5 },
    { namespace: "x" },
    { getIfExists: true },
    { name: "x", namespace: "-" },
    { name: "x", getIfExists: 5 },
    { restart: 5 },
    { restart: { maxRestarts: 1 } },
    { restart: { maxRestarts: -1, withinMs: 1 } },
    { restart: { maxRestarts: 1, withinMs: 1, backoff: 5 } },
    { restart: { maxRestarts: 1, withinMs: 1, backoff: { factor: "x" } } },
    { escalate: 1 },
    { failOnThrow: 0 },
    { concurrency: 0 },
    { concurrency: 1.5 },
    { reentrant: "x" },
    { mailboxMax: 0 },
    { copy: 1 },
    { detached: 1 },
    { startTimeoutMs: 0 },
    { node: 5 },
    { mailbox: 1 },
  ])("spawn, and pool, with %j", async (options) => {
    await refusal(() => loose().spawn?.(Plain, options));
    const own =
      typeof options === "object" && options !== null && !Array.isArray(options) ? { size: 1, ...options } : options;
    await refusal(() => loose().pool?.(Plain, own));
  });

  test.each([undefined, null, 5, {}, class {}])("what is no actor type: %s", async (type) => {
    for (const door of ["spawn", "register", "submit"]) await refusal(() => loose()[door]?.(type, "one"));
    await refusal(() => loose().pool?.(type, { size: 1 }));
    if (type !== undefined) await refusal(() => loose().get?.("x", type));
  });

  test.each([undefined, null, 5, {}, "plain/1"])("what is no handle: %s", async (handle) => {
    for (const door of ["stop", "kill", "watch"]) await refusal(() => loose()[door]?.(handle, () => {}));
  });

  test.each([
    null,
    5,
    { bogus: 1 },
    { id: "" },
    { id: 5 },
    { retries: -1 },
    { backoff: 5 },
    { backoff: { firstMs: "x" } },
    { priority: "x" },
    { deadlineMs: "x" },
    { timeoutMs: -1 },
  ])("submit with %j", async (options) => void (await refusal(() => loose().submit?.(Plain, "one", [], options))));

  test.each([
    ["submit", () => loose().submit?.(Plain, 5)],
    ["submit", () => loose().submit?.(Plain, "one", 5)],
    ["result", () => loose().result?.("")],
    ["result", () => loose().result?.("x", null)],
    ["result", () => loose().result?.("x", { bogus: 1 })],
    ["result", () => loose().result?.("x", { signal: 5 })],
    ["cancel", () => loose().cancel?.(undefined)],
    ["wait", () => loose().wait?.("x")],
    ["wait", () => loose().wait?.([5])],
    ["wait", () => loose().wait?.(["x"], { signal: 5 })],
    ["wait", () => loose().wait?.(["x"], { bogus: 5 })],
    ["get", () => loose().get?.("")],
    ["get", () => loose().get?.(5)],
    ["get", () => loose().get?.("x", undefined, 5)],
    ["stop", () => loose().stop?.(plain, { timeoutMs: "soon" })],
    ["stop", () => loose().stop?.(plain, null)],
    ["watch", () => loose().watch?.(plain, 5)],
    ["publish", () => loose().publish?.("t", 1, null)],
    ["publish", () => loose().publish?.("t", 1, { bogus: 1 })],
    ["subscribe", () => loose().subscribe?.("t", 5)],
    ["subscribe", () => loose().subscribe?.("t", { signal: 5 })],
    ["with", () => plain.with(null as never)],
    ["with", () => plain.with({ backoff: 5 } as never)],
    ["with", () => plain.with({ timeout: 5 } as never)],
  ] as const)("%s (%#)", async (_door, use) => void (await refusal(use)));

  test.each([
    ["publish", () => loose().publish?.("", 1)],
    ["publish", () => loose().publish?.(5, 1)],
    ["publish", () => loose().publish?.("a.*", 1)],
    ["publish", () => loose().publish?.("t", 1, { key: 5 })],
    ["subscribe", () => loose().subscribe?.("a..b")],
    ["subscribe", () => loose().subscribe?.("t", { from: 0 })],
    ["subscribe", () => loose().subscribe?.("t", { from: "end" })],
    ["wait", () => loose().wait?.(["x"], { count: 5 })],
    ["result", () => loose().result?.("x", { timeoutMs: -1 })],
  ] as const)("%s (%#) is InvalidOption", async (_door, use) => {
    expect(await codeOf((async () => use())())).toBe("InvalidOption");
  });

  test("nothing of it has changed anything", async () => {
    expect(await plain.one()).toBe(1);
    expect(fleet.stats()).toMatchObject({ actors: 1, tasksSubmitted: 0, eventsPublished: 0 });
  });
});

test("a log that throws breaks nothing", async () => {
  await using fleet = await connect({
    log: () => {
      throw new Error("the disk is full");
    },
  });
  const plain = await fleet.spawn(Plain);
  plain.cast.one();
  await fleet.kill(plain);
  expect(isFlotillaError(await plain.one().then(undefined, (error: unknown) => error), "NoSuchActor")).toBe(true);
  plain.cast.one();
});

test("a name of 64 characters is a node's name, too", async () => {
  const name = "n".repeat(64);
  await using one = await connect({ name });
  await using other = await connect({ name });
  expect(one.node).toMatch(/^n{40,}-\w+$/);
  expect(one.node.length).toBeLessThanOrEqual(64);
  expect(other.node).not.toBe(one.node);
});
