// Topics on the memory event log, and what depends on time.

import { expect, test } from "vitest";
import { connect } from "../../runtime/index.ts";
import { MemoryEventLog } from "../../runtime/memory/event-log.ts";
import { next } from "../contracts/contract.ts";
import { topicsContract } from "../contracts/topics.ts";
import { caught } from "../support/caught.ts";
import { FakeClock } from "../support/fake-clock.ts";
import { openSystems } from "../support/systems.ts";

topicsContract("memory", async () => {
  const systems = await openSystems(["here", "there"]);
  return { here: systems.at(0), there: systems.at(1), close: async () => systems[Symbol.asyncDispose]() };
});

test("a key is new again after two minutes", async () => {
  const clock = new FakeClock();
  await using fleet = await connect({ clock });
  const { sequence } = await fleet.publish("t", 1, { key: "k" });
  await clock.advance(119_000);
  expect(await fleet.publish("t", 1, { key: "k" })).toEqual({ sequence, duplicate: true });
  await clock.advance(2_000);
  expect(await fleet.publish("t", 1, { key: "k" })).toEqual({ sequence: sequence + 1, duplicate: false });
});

test("a reader that is too slow for what is kept hears ReaderLagged, and may begin again at the start", async () => {
  const clock = new FakeClock();
  const eventLog = new MemoryEventLog({ clock, maxEvents: 10 });
  await using fleet = await connect({ clock, ports: { eventLog } });
  await fleet.publish("t", 0);
  await using slow = fleet.subscribe("t", { from: "start" });
  expect((await next(slow)).event).toBe(0);
  for (let at = 1; at <= 30; at++) await fleet.publish("t", at);
  expect(await caught(next(slow))).toMatchObject({ code: "ReaderLagged", retryable: true });
  await using again = fleet.subscribe("t", { from: "start" });
  expect((await next(again)).event).toBe(21);
});

test("a subscription that nobody reads keeps no closed system alive and raises nothing", async () => {
  const fleet = await connect();
  await fleet.ports.eventLog.close();
  const unread = fleet.subscribe("t");
  await expect(unread.ready()).rejects.toMatchObject({ code: "Closed" });
  await fleet.close();
});
