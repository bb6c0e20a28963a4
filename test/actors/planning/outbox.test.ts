// A change that was made is told of, once for each key, whatever fails in between; and two instances over one store do no harm.

import { describe, expect, it } from "vitest";
import { codeOf } from "../../support/caught.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";
import * as stand from "./stand.ts";

const { draft, ofType, openStand, plan, po, system } = stand;

const approve = { by: po, storyId: "s1", event: "approve_scope" } as const;

describe("what a change says is not lost", () => {
  it("when the log fails after the write, and nobody dies: it is sent by itself", async () => {
    await using open = await openStand();
    open.faults.logFails = 1;
    expect((await open.planning.createStory(draft({ id: "s1" }))).version).toBe(1);
    expect(await open.events()).toEqual([]);
    await waitUntil("the events are sent", async () => (await open.events()).length === 3);
    const types = (await open.events()).map(({ type }) => type);
    expect(types).toEqual(["case.created", "story.transitioned", "approval.requested"]);
  });

  it("when the log fails between two events of one change: the rest is sent, and none is there twice", async () => {
    await using open = await openStand();
    open.faults.logPasses = 1;
    open.faults.logFails = 1;
    await open.planning.createStory(draft({ id: "s1" }));
    await waitUntil("the events are sent", async () => (await open.events()).length >= 3);
    await open.planning.transition(approve);
    const types = (await open.events()).map(({ type }) => type);
    expect(types[0]).toBe("case.created");
    expect(types.slice(0, 3).sort()).toEqual(["approval.requested", "case.created", "story.transitioned"]);
    expect(types.slice(3)).toEqual(["story.transitioned", "approval.decided"]);
  });

  it("when planning dies between the write and the log: its next life sends it, once for each key", async () => {
    await using open = await openStand();
    await open.planning.createStory(draft({ id: "s1" }));
    open.faults.logFails = Number.POSITIVE_INFINITY;
    await open.planning.transition(approve);
    await open.planning.close();
    const before = (await open.events()).length;
    open.faults.logFails = 0;
    const next = await open.another();
    await waitUntil("what was left is sent", async () => (await open.events()).length === before + 2);
    await next.proposePlan({ by: system, storyId: "s1", plan });
    const events = await open.events();
    expect(new Set(events.map(({ idempotencyKey }) => idempotencyKey)).size).toBe(events.length);
    expect(ofType(events, "story.transitioned").map(({ data }) => data.version)).toEqual([1, 2]);
  });

  it("what is left is sent before the next change, so that events stand in the order of the changes", async () => {
    await using open = await openStand();
    await open.planning.createStory(draft({ id: "s1" }));
    open.faults.logFails = 1;
    await open.planning.transition(approve);
    await open.planning.proposePlan({ by: system, storyId: "s1", plan });
    const types = (await open.events()).map(({ type }) => type).slice(3);
    expect(types).toEqual(["story.transitioned", "approval.decided", "plan.proposed", "approval.requested"]);
  });

  it("while the log is away a second change is refused, and nothing is changed by it", async () => {
    await using open = await openStand();
    await open.planning.createStory(draft({ id: "s1" }));
    open.faults.logFails = Number.POSITIVE_INFINITY;
    await open.planning.transition(approve);
    const propose = () => open.planning.proposePlan({ by: system, storyId: "s1", plan, key: "k" });
    expect(await codeOf(propose())).toBe("Unavailable");
    expect((await open.planning.story("s1")).version).toBe(2);
    open.faults.logFails = 0;
    expect((await propose()).version).toBe(3);
    expect(ofType(await open.events(), "plan.proposed")).toHaveLength(1);
  });

  it("when the store made the change and its answer was lost: the change is told of, and the same key makes it once", async () => {
    await using open = await openStand();
    await open.planning.createStory(draft({ id: "s1" }));
    open.faults.storeDeaf = 1;
    expect(await codeOf(open.planning.transition({ ...approve, key: "k" }))).toBe("Unavailable");
    await waitUntil("it is told of", async () => ofType(await open.events(), "story.transitioned").length === 2);
    expect(await open.planning.transition({ ...approve, key: "k" })).toMatchObject({
      kind: "moved",
      story: { version: 2 },
    });
    expect(ofType(await open.events(), "story.transitioned")).toHaveLength(2);
  });

  it("what was sent is deleted when the story has been quiet for a while", async () => {
    const clock = new FakeClock();
    await using open = await openStand({ clock });
    const kept = async () => {
      const entry = await open.system.ports.store.get("planning.story.s1");
      return JSON.parse(new TextDecoder().decode(entry?.value)).outbox.length;
    };
    await open.planning.createStory(draft({ id: "s1" }));
    await clock.advance(1_500);
    await open.planning.editStory({ by: po, storyId: "s1", title: "Sign in" });
    await clock.advance(1_000);
    expect(await kept()).toBe(3);
    await clock.advance(2_000);
    await waitUntil("the letters are deleted", async () => (await kept()) === 0);
    expect((await open.planning.editStory({ by: po, storyId: "s1", title: "Log in" })).version).toBe(3);
    expect(open.faults.conflicts).toBe(0);
    expect(await open.events()).toHaveLength(9);
  });

  it("what was sent is not kept: a next life has nothing to say", async () => {
    await using open = await openStand();
    await open.planning.createStory(draft({ id: "s1" }));
    await open.planning.close();
    const entry = await open.system.ports.store.get("planning.story.s1");
    expect(JSON.parse(new TextDecoder().decode(entry?.value)).outbox).toEqual([]);
    expect((await (await open.another()).story("s1")).version).toBe(1);
  });
});

describe("two instances over one store", () => {
  it("the one that was replaced reads again and decides again: no change is lost, none is made twice", async () => {
    await using open = await openStand();
    const old = open.planning;
    await old.createStory(draft({ id: "s1" }));
    const now = await open.another();
    await now.transition({ ...approve, key: "k1" });
    expect((await old.story("s1")).version).toBe(1);
    expect(await old.transition({ ...approve, key: "k1" })).toMatchObject({ kind: "moved", story: { version: 2 } });
    expect(await old.transition(approve)).toMatchObject({ kind: "blocked", blocked: [{ guard: "state" }] });
    await old.proposePlan({ by: system, storyId: "s1", plan });
    await now.editStory({ by: po, storyId: "s1", title: "Sign in" });
    expect(await now.story("s1")).toMatchObject({ version: 4, title: "Sign in", plan: { id: plan.id } });
    await now.createStory(draft({ id: "s2" }));
    expect((await old.story("s2")).id).toBe("s2");
    expect(await codeOf(old.createStory(draft({ id: "s2" })))).toBe("IdTaken");
    const events = await open.events();
    expect(ofType(events, "story.transitioned").map(({ data }) => [data.storyId, data.version])).toEqual([
      ["s1", 1],
      ["s1", 2],
      ["s2", 1],
    ]);
  });

  it("changes of one story wait for one another, so that none of one instance is in another's way", async () => {
    await using open = await openStand();
    await open.planning.createStory(draft({ id: "s1" }));
    const titles = Array.from({ length: 12 }, (_, index) => `Title ${index}`);
    await Promise.all(titles.map((title) => open.planning.editStory({ by: po, storyId: "s1", title })));
    expect(open.faults.conflicts).toBe(0);
    expect(ofType(await open.events(), "case.created").map(({ data }) => data.title)).toEqual(["Log in", ...titles]);
  });

  it("many changes by both at once: each is made, and the version counts them", async () => {
    await using open = await openStand();
    const both = [open.planning, await open.another()];
    await open.planning.createStory(draft({ id: "s1" }));
    const edits = Array.from({ length: 12 }, (_, index) =>
      (both[index % 2] as typeof open.planning).editStory({ by: po, storyId: "s1", title: `Title ${index}` }),
    );
    const made = await Promise.all(edits);
    expect(open.faults.conflicts).toBeGreaterThan(0);
    const versions = made.map(({ version }) => version);
    expect(versions.toSorted((one, other) => one - other)).toEqual(Array.from({ length: 12 }, (_, index) => index + 2));
    expect(ofType(await open.events(), "case.created").map(({ data }) => data.version)).toEqual(
      Array.from({ length: 13 }, (_, index) => index + 1),
    );
  });
});
