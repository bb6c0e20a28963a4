// Planning as an actor, and on a real server: found by its name, and taken up by a next life over the same store.

import { SpanKind } from "@opentelemetry/api";
import { describe, expect, it } from "vitest";
import { agileEvents } from "../../../actors/events/channels.ts";
import { feed, parse } from "../../../actors/events/feed.ts";
import { Planning } from "../../../actors/planning/planning.ts";
import { planningOf, SERVICES } from "../../../actors/service-handles.ts";
import { type ActorSystem, connect, topicSubject } from "../../../runtime/index.ts";
import { caught } from "../../support/caught.ts";
import { natsForTests } from "../../support/nats-server.ts";
import { recordSpans } from "../../support/tracer.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { draft, plan, po, system, tableText } from "./stand.ts";

const nats = natsForTests();
const spawn = (on: ActorSystem, table?: string) =>
  on.spawn(Planning, {
    concurrency: 256,
    ...{ name: "planning", namespace: SERVICES, args: [table === undefined ? {} : { table }] },
  });

describe("the actor", () => {
  it("answers under its name, and is not started with a table that cannot work", async () => {
    await using here = await connect();
    const text = (await tableText()).replace("final: [DONE]", "final: [GONE]");
    expect((await caught(spawn(here, text))).message).toMatch(/The story table cannot be used at line 7: there is no/);
    await spawn(here);
    const planning = planningOf(here);
    await planning.createStory(draft({ id: "s1" }));
    expect(await planning.available("s1")).toMatchObject([{ event: "approve_scope" }, { event: "reject_scope" }]);
    expect(await planning.approvals({ role: "po" })).toMatchObject([{ storyId: "s1" }]);
  });

  it("its events carry the trace of the call that led to them", async () => {
    using recorder = recordSpans();
    await using here = await connect();
    await spawn(here);
    await planningOf(here).createStory(draft({ id: "s1" }));
    const { traceId } = recorder.span("planning.createStory", SpanKind.CLIENT).spanContext();
    const logged = await here.ports.eventLog.read(topicSubject(agileEvents.address), 1, 10);
    const events = logged.map((each) => parse(agileEvents, each));
    expect(events).toHaveLength(3);
    for (const fed of events) expect(fed.kind === "event" && fed.event.traceparent).toContain(traceId);
  });
});

describe.skipIf(nats.missing !== undefined)("on a real server", () => {
  it("a next life goes on where the last one ended, and a reader sees each event once", async () => {
    const options = { ...nats.options, prefix: nats.prefix() };
    await using reader = await connect(options);
    const seen: string[] = [];
    const reading = new AbortController();
    const read = (async () => {
      for await (const fed of feed(reader, agileEvents, { from: 1, signal: reading.signal }))
        seen.push(fed.kind === "event" ? `${fed.event.type} ${fed.event.idempotencyKey}` : fed.code);
    })();
    {
      await using first = await connect({ ...options, accepts: true });
      await spawn(first);
      const planning = planningOf(first);
      await planning.createStory(draft({ id: "s1", key: "k" }));
      await planning.transition({ by: po, storyId: "s1", event: "approve_scope", key: "k" });
    }
    await using second = await connect({ ...options, accepts: true });
    await spawn(second);
    const planning = planningOf(second);
    const again = await planning.transition({ by: po, storyId: "s1", event: "approve_scope", key: "k" });
    expect(again).toMatchObject({ kind: "moved", story: { state: "DESIGN", version: 2 } });
    await planning.proposePlan({ by: system, storyId: "s1", plan });
    const [gate] = await planning.approvals();
    await planning.decide({ by: po, approvalId: gate?.id ?? "", decision: "approve" });
    await waitUntil("the plan's approval is seen", () => seen.some((each) => each.startsWith("plan.approved")));
    expect(new Set(seen).size).toBe(seen.length);
    expect(seen.slice(0, 9).map((each) => each.split(" ")[0])).toEqual([
      ...["case.created", "story.transitioned", "approval.requested", "story.transitioned", "approval.decided"],
      ...["plan.proposed", "approval.requested", "story.transitioned", "plan.approved"],
    ]);
    reading.abort();
    await read;
  });
});
