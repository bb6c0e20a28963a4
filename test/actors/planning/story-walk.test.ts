// Whatever is asked of a story in whatever order: its state follows the table, and its version counts its changes.

import fc from "fast-check";
import { expect, it } from "vitest";
import { gateId } from "../../../actors/planning/gates.ts";
import { isOpen } from "../../../actors/planning/guards.ts";
import {
  type Changed,
  created,
  edited,
  planProposed,
  reportRecorded,
  taskChanged,
  tasksAdded,
  transitioned,
} from "../../../actors/planning/story-changes.ts";
import { type StoryRecord, slim, storyRecordSchema, whole } from "../../../actors/planning/story-record.ts";
import {
  availableFor,
  eventsOf,
  readStoryTable,
  rejectFrom,
  transitionFrom,
} from "../../../actors/planning/story-table.ts";
import { FlotillaError } from "../../../runtime/index.ts";
import { agent, architect, draft, failing, passing, po, qa, rules, system, tableText, task } from "./stand.ts";

const table = await readStoryTable(await tableText());
const people = [po, architect, qa, agent, system];

type Step = (record: StoryRecord) => Changed | { readonly blocked: unknown } | undefined;
const deciding = { table, rules, roles: ["DEV", "QA"], nowMs: 1 };

const by = fc.constantFrom(...people);
const taskId = fc.constantFrom("t1", "t2", "d1");
const any: fc.Arbitrary<Step> = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.record({ event: fc.constantFrom(...eventsOf(table)), by, long: fc.boolean() }).map(
      ({ event, by, long }): Step =>
        (record) =>
          transitioned(deciding, record, { storyId: "s1", event, by, feedback: long ? "because of this" : "no" }),
    ),
  },
  {
    weight: 2,
    arbitrary: fc.constantFrom("- a step", "prose").map(
      (text): Step =>
        (record) =>
          planProposed(
            deciding,
            record,
            { by: system, storyId: "s1", plan: { title: "P", text } },
            `plan-${record.story.version}`,
          ),
    ),
  },
  {
    weight: 2,
    arbitrary: taskId.map(
      (id): Step =>
        (record) =>
          tasksAdded(deciding, record, {
            ...{ by: system, storyId: "s1", planId: record.story.plan?.id ?? "none" },
            tasks: [task(`${id}-${record.story.plan?.id}`, { phase: id === "d1" ? "DOCS" : "BUILD" })],
          }),
    ),
  },
  {
    weight: 4,
    arbitrary: fc
      .record({
        index: fc.nat(5),
        status: fc.constantFrom("dispatched", "done", "failed", "pending"),
        attempt: fc.nat(3),
      })
      .map(
        ({ index, status, attempt }): Step =>
          (record) =>
            taskChanged(deciding, record, {
              ...{ by: system, storyId: "s1", status, attempt },
              taskId: record.story.tasks[index]?.id ?? "none",
            }),
      ),
  },
  {
    weight: 3,
    arbitrary: fc.record({ phase: fc.constantFrom("BUILD", "TEST"), report: fc.constantFrom(passing, failing) }).map(
      ({ phase, report }): Step =>
        (record) =>
          reportRecorded(deciding, record, { phase, by: system }, rules.report(report, record.story.rigor)),
    ),
  },
  {
    weight: 1,
    arbitrary: fc.constantFrom([], ["One"]).map(
      (criteria): Step =>
        (record) =>
          edited(deciding, record, { by: po, storyId: "s1", criteria }),
    ),
  },
);

const told = { by: system, storyId: "s1" } as const;

/** A task of the phase that is not there yet, or the first that is open, done. */
const work =
  (phase: "BUILD" | "DOCS"): Step =>
  (record) => {
    const { tasks, plan, version } = record.story;
    const open = tasks.find((each) => each.phase === phase && isOpen(each));
    if (open !== undefined)
      return taskChanged(deciding, record, { ...told, taskId: open.id, status: "done", attempt: 3 });
    return tasksAdded(deciding, record, { ...told, planId: plan?.id ?? "", tasks: [task(`w${version}`, { phase })] });
  };
const good =
  (phase: string): Step =>
  (record) =>
    reportRecorded(deciding, record, { phase, by: system }, rules.report(passing, "L1"));

/** What each guard asks for. */
const remedies: Readonly<Record<string, Step>> = {
  readiness: (record) => edited(deciding, record, { ...told, criteria: ["One"] }),
  plan_valid: (record) =>
    planProposed(deciding, record, { ...told, plan: { title: "P", text: "- a" } }, `plan-${record.story.version}`),
  all_tasks_done: work("BUILD"),
  build_report: good("BUILD"),
  test_report: good("TEST"),
  docs_done: work("DOCS"),
};

/** The way ahead, by somebody who may, or what is missing for it. */
const onward = fc.constant<Step>((record) => {
  const ahead = availableFor(table, record.story).find(({ event }) => !event.startsWith("reject"));
  if (ahead === undefined) return undefined;
  const { event, human, blocked } = ahead;
  const remedy = remedies[blocked[0]?.guard ?? ""];
  if (remedy !== undefined) return remedy(record);
  const by = people.find(({ role = "" }) => human?.includes(role)) ?? system;
  return transitioned(deciding, record, { storyId: "s1", event, by });
});

/** The way back, by a person. */
const back = fc.constantFrom(po, qa).map(
  (by): Step =>
    (record) => {
      const event = rejectFrom(table, record.story.state)?.event ?? "reject_docs";
      return transitioned(deciding, record, { storyId: "s1", event, by, feedback: "because of this" });
    },
);

/** What each step must leave behind, whatever came before. */
function check(before: StoryRecord, { record, notices }: Changed): void {
  const { story, gates } = record;
  expect(story.version).toBe(before.story.version + 1);
  expect(notices.length).toBeGreaterThan(0);
  expect(new Set(notices.map(({ key }) => key)).size).toBe(notices.length);
  const last = story.history.at(-1);
  if (last?.version === story.version) {
    const made = transitionFrom(table, before.story.state, last.event);
    expect([last.from, last.to]).toEqual([before.story.state, story.state]);
    expect(made?.to).toBe(story.state);
    if (made?.human != null) expect(last.by.kind).toBe("human");
    for (const { event, blocked } of availableFor(table, before.story))
      if (event === last.event) expect(blocked).toEqual([]);
  } else expect(story.state).toBe(before.story.state);
  for (const { event, status } of gates.filter((gate) => gate.status === "waiting")) {
    expect(status).toBe("waiting");
    const wanted = availableFor(table, story).find((available) => available.event === event);
    expect([wanted?.blocked, wanted?.human === null]).toEqual([[], false]);
  }
  expect(new Set(gates.map((gate) => gateId("s1", gate))).size).toBe(gates.length);
  expect(storyRecordSchema.parse(JSON.parse(JSON.stringify(record)))).toEqual(record);
  for (const { type, data, key } of notices) {
    const envelope = {
      type,
      data,
      idempotencyKey: key,
      eventId: "e",
      schemaVersion: 1,
      correlationId: "s1",
      producer: "p",
      time: "",
    };
    expect(whole(slim(envelope), record)).toEqual(envelope);
  }
}

const isRefusal = (error: unknown) => error instanceof FlotillaError;

it("random walks stay on the table, and every way of it can be gone", () => {
  const seen = new Set<string>();
  fc.assert(
    fc.property(
      fc.array(fc.oneof({ weight: 6, arbitrary: any }, { weight: 8, arbitrary: onward }, back), {
        minLength: 20,
        maxLength: 80,
      }),
      (steps) => {
        let { record } = created(deciding, "s1", draft(), undefined);
        for (const each of steps) {
          try {
            const outcome = each(record);
            if (outcome === undefined || "blocked" in outcome) continue;
            check(record, outcome);
            if (outcome.record.story.state !== record.story.state)
              seen.add(outcome.record.story.history.at(-1)?.event ?? "");
            ({ record } = outcome);
          } catch (error) {
            if (!isRefusal(error)) throw error;
          }
        }
      },
    ),
    { numRuns: 60, seed: 14 },
  );
  expect([...seen].sort()).toEqual(
    eventsOf(table)
      .filter((event) => !["create_story", "reject_scope"].includes(event))
      .sort(),
  );
});
