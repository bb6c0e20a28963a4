// `flotilla dead-letters events`: what it prints for people and for scripts.

import { expect, it } from "vitest";
import { deadEvents, workspaceJobs } from "../../actors/events/channels.ts";
import { consume } from "../../actors/events/consumer.ts";
import { deadEventsCommand } from "../../api/dead-events.ts";
import { connect, topicSubject } from "../../runtime/index.ts";
import { waitUntil } from "../support/wait-until.ts";

async function fleet() {
  const system = await connect();
  const text = { out: "", err: "" };
  const list = async (json = false) => {
    Object.assign(text, { out: "", err: "" });
    const status = await deadEventsCommand(system, json, {
      out: { write: (piece) => (text.out += piece), columns: 120 },
      err: { write: (piece) => (text.err += piece) },
      signal: new AbortController().signal,
    });
    return { status, ...text };
  };
  const write = (topic: string, bytes: string) =>
    system.ports.eventLog.append(topicSubject(topic), new TextEncoder().encode(bytes));
  return { system, list, write, [Symbol.asyncDispose]: () => system.close() };
}

it("says so when there are none", async () => {
  await using at = await fleet();
  expect(await at.list()).toEqual({ status: 0, out: "No events were passed over.\n", err: "" });
  expect((await at.list(true)).out).toBe("[]\n");
});

it("lists what a consumer passed over, with nothing in it that could drive a terminal", async () => {
  await using at = await fleet();
  await at.write(deadEvents.address, "no event at all");
  await at.write(workspaceJobs.address, "{ \u001b[31mred");
  await using ending = new AsyncDisposableStack();
  const end = new AbortController();
  const consumed = consume({
    ...{ system: at.system, channel: workspaceJobs, name: "watcher", signal: end.signal },
    handle: async () => {},
    log: () => {},
  });
  ending.defer(async () => {
    end.abort();
    await consumed;
  });
  const letters = await waitUntil("the event was passed over", async () => {
    const now = JSON.parse((await at.list(true)).out);
    return now.length > 0 ? now : undefined;
  });
  expect(letters).toMatchObject([
    { consumer: "watcher", topic: "workspace.jobs", attempts: 1, reason: { code: "EventNotJson" }, rawBytes: 10 },
  ]);
  expect(Buffer.from(letters[0].raw, "base64").toString()).toBe("{ \u001b[31mred");
  const { status, out } = await at.list();
  expect(status).toBe(0);
  expect(out).toMatch(/^passed over \(UTC\) +consumer +topic +sequence +attempts\n/);
  expect(out).toMatch(/watcher +workspace\.jobs +2 +1\n {4}EventNotJson: not JSON: /);
  expect(out).not.toContain("\u001b");
});
