// The story flow in one process: from an approved plan to a delivered story, and events that come again, late, or are none.

import { describe, expect, it } from "vitest";
import { fail } from "../../../actors/errors.ts";
import { agileEvents } from "../../../actors/events/channels.ts";
import type { TaskDraft } from "../../../actors/planning/story.ts";
import { sendResult } from "../../../actors/result-post.ts";
import { FlotillaError, sleep, systemClock, topicSubject } from "../../../runtime/index.ts";
import { agentResult } from "../../support/agent-result.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { PERSON } from "./story-flow-planning.ts";
import { draft, stages } from "./story-flow-stage.ts";

const { stageOf, building } = stages();

describe("the flow of a story", () => {
  it("goes without a person's plan: one step for each criterion, then on to DONE", async () => {
    const stage = await stageOf();
    stage.begin();
    stage.planning.put("s", { criteria: ["Given a,\n then b.", "It is quick."] });
    await stage.planning.transition({ storyId: "s", event: "approve_scope", by: PERSON });
    const plan = await waitUntil("a plan was proposed", () => stage.planning.now("s").plan);
    expect(plan).toMatchObject({
      id: "plan-2",
      text: "- Given a, then b.\n- It is quick.",
      proposedBy: { kind: "system" },
    });
    await stage.planning.transition({ storyId: "s", event: "approve_design", by: PERSON });
    await stage.finishes("s");
    expect(stage.runner.merged).toEqual(["s-t0-1", "s-t1-1"]);
    expect(stage.planning.now("s").tasks.map(({ status, commit }) => [status, commit?.length])).toEqual([
      ["done", 40],
      ["done", 40],
    ]);
    expect(stage.planning.now("s").reports).toMatchObject({ BUILD: { gate: "pass" }, TEST: { gate: "pass" } });
  });

  it("does not replace a person's plan", async () => {
    const stage = await stageOf();
    stage.planning.put("s", { state: "DESIGN" });
    const { proposePlan } = stage.planning;
    let isFirst = true;
    stage.planning.proposePlan = async (change) => {
      const mine = isFirst && change.by.kind === "system";
      if (mine) isFirst = false;
      if (mine)
        await proposePlan.call(stage.planning, {
          storyId: "s",
          by: PERSON,
          plan: { id: "hers", title: "Hers", text: "- x" },
        });
      return proposePlan.call(stage.planning, change);
    };
    stage.begin();
    await waitUntil("a plan is there", () => stage.planning.now("s").plan);
    await stage.planning.transition({ storyId: "s", event: "approve_design", by: PERSON });
    await stage.finishes("s");
    expect(stage.planning.now("s").plan?.id).toBe("hers");
  });

  it("sends ten tasks by dependency, and among those free by priority, one at a time", async () => {
    const tasks = Array.from({ length: 10 }, (_, at) =>
      draft(`t${at}`, { priority: at, dependsOn: at > 6 ? ["t0"] : [] }),
    );
    const stage = await building({ tasks, flow: { settings: { dispatchedMax: 1 } } });
    await stage.reaches("s", "TEST");
    expect(stage.runner.posted.map((job) => job.split("-")[1])).toEqual("t6 t5 t4 t3 t2 t1 t0 t9 t8 t7".split(" "));
  });

  it("sends the more urgent of two stories first, and no more than may be out", async () => {
    const stage = await stageOf({ script: () => "held", flow: { settings: { dispatchedMax: 2 } } });
    const derive = async (_: unknown, { id }: { readonly id: string }): Promise<TaskDraft[]> =>
      ["a", "b", "c"].map((task) => draft(task, { priority: id === "urgent" ? 9 : 1 }));
    stage.planning.put("calm");
    stage.planning.put("urgent");
    await stage.planning.approve("calm");
    const flow = stage.begin({ derive });
    await stage.request("calm-b-1");
    await stage.planning.approve("urgent");
    await waitUntil("its tasks are known", () => flow.stats().tasks.pending === 4);
    expect(flow.stats()).toEqual({ storiesInFlight: 2, tasks: { pending: 4, dispatched: 2, done: 0, failed: 0 } });
    await stage.runner.result(await stage.request("calm-a-1"));
    await stage.request("urgent-a-1");
    expect(stage.runner.posted).toEqual(["calm-a-1", "calm-b-1", "urgent-a-1"]);
  });

  it("takes BUILD's tasks first, then those of DOCS", async () => {
    const stage = await building({ tasks: [draft("d", { phase: "DOCS", priority: 9, role: "QA" }), draft("a")] });
    await stage.reaches("s", "TEST");
    expect(stage.runner.posted).toEqual(["s-a-1"]);
    await stage.finishes("s");
    expect(stage.runner.requests.get("s-d-1")).toMatchObject({ role: "QA", agentId: "agent-qa-001" });
  });

  it("asks a person about a plan whose tasks form a ring, and tries again when told to", async () => {
    let tasks = [draft("a", { dependsOn: ["b"] }), draft("b", { dependsOn: ["a"] })];
    const stage = await stageOf({ flow: { derive: async () => tasks } });
    stage.planning.put("s");
    await stage.planning.approve("s");
    stage.begin();
    await stage.asks("s");
    await stage.redeliver(agileEvents.address, 5);
    await stage.settled();
    const [ask, ...more] = await stage.planning.approvals({ storyId: "s" });
    expect(ask).toMatchObject({ subject: "derive", question: expect.stringContaining("in a ring") });
    expect([more, stage.runner.posted, await stage.dead()]).toEqual([[], [], []]);
    tasks = [draft("a")];
    await stage.planning.answer("s");
    await stage.finishes("s");
  });

  it("gives tasks of a later plan ids of their own, and calls back what the earlier one had out", async () => {
    const stage = await building({
      ...{ tasks: [draft("a"), draft("b", { dependsOn: ["a"] })] },
      script: ({ taskId }) => (taskId.startsWith("b") ? "held" : "done"),
    });
    await stage.request("s-b-1");
    await stage.planning.reject("s", "reject_build", "This is not the way.");
    await waitUntil("b was called back", () => stage.runner.cancelled.includes("s-b-1"));
    expect(stage.planning.now("s").plan?.status).toBe("rejected");
    await stage.planning.approve("s", "second");
    await stage.request("s-b-2-1");
    expect(stage.planning.now("s").tasks.map(({ id, status, dependsOn }) => [id, status, ...dependsOn])).toEqual([
      ...[
        ["a", "done"],
        ["b", "cancelled", "a"],
        ["a-2", "done"],
      ],
      ["b-2", "dispatched", "a-2"],
    ]);
  });

  it("makes a task of what a tester said", async () => {
    const stage = await building({ tasks: [draft("a")] });
    await stage.reaches("s", "TEST");
    await stage.planning.reject("s", "reject_test", "The button does nothing.");
    await stage.reaches("s", "TEST");
    const [, rework, ...none] = stage.planning.now("s").tasks;
    expect(none).toEqual([]);
    expect(rework).toMatchObject({
      role: "DEV",
      status: "done",
      text: expect.stringContaining("The button does nothing."),
    });
    expect(stage.runner.verified).toBe(2);
    await stage.finishes("s");
  });

  it("drains a hundred stories of ten tasks, each task once", async () => {
    const tasks = Array.from({ length: 10 }, (_, at) => draft(`t${at}`, { dependsOn: at > 4 ? [`t${at - 5}`] : [] }));
    const stage = await stageOf({ tasks });
    const ids = Array.from({ length: 100 }, (_, at) => `s${at}`);
    stage.begin();
    await Promise.all(ids.map((id) => stage.planning.approve(stage.planning.put(id).id)));
    const isBuilt = () => ids.every((id) => stage.planning.now(id).state === "TEST");
    await waitUntil("all stories are built", isBuilt, 20_000);
    expect(stage.runner.posted).toHaveLength(1_000);
    expect(new Set(stage.runner.merged).size).toBe(1_000);
    expect(stage.logged).toEqual([]);
  });
});

describe("events that come again, late, or are none", () => {
  it("a hundred times over: one set of tasks, one request and one merge each, one delivery's worth", async () => {
    const stage = await building({ tasks: [draft("a"), draft("b", { dependsOn: ["a"] })] });
    await stage.reaches("s", "TEST");
    await stage.redeliver(agileEvents.address, 100);
    await stage.redeliver("agent.results.s-a", 100);
    await stage.settled();
    await stage.finishes("s");
    expect(stage.runner.posted).toEqual(["s-a-1", "s-b-1"]);
    expect(stage.planning.made.filter((made) => made.includes("tasks"))).toEqual(["s tasks a,b"]);
    expect(stage.planning.made.filter((made) => made.includes("done"))).toEqual([
      "s a done 1",
      "s b done 1",
      "s build_done",
    ]);
  }, 20_000);

  it("a result of an earlier attempt changes nothing", async () => {
    const stage = await building({
      tasks: [draft("a")],
      script: ({ attempt }) => (attempt === 1 ? "missing" : "held"),
    });
    const second = await stage.request("s-a-2");
    const first = stage.runner.requests.get("s-a-1");
    if (first !== undefined) await stage.runner.result(first);
    await stage.settled();
    expect(stage.task("s", "a")).toMatchObject({ status: "dispatched", attempt: 2 });
    await stage.runner.result(second);
    await stage.reaches("s", "TEST");
    expect(stage.runner.merged).toEqual(["s-a-2"]);
  });

  it("results of councils and of tasks that nobody knows are passed over; what is no event is buried and nothing invented", async () => {
    const stage = await building({ tasks: [draft("a")], script: () => "held" });
    const request = await stage.request("s-a-1");
    await sendResult(stage.system, agentResult({ taskId: "council-task" }));
    await stage.runner.miss({ ...request, storyId: "gone" });
    await stage.system.ports.eventLog.append(topicSubject(agileEvents.address), new TextEncoder().encode("not JSON"));
    await stage.settled();
    await stage.runner.result(request);
    await stage.reaches("s", "TEST");
    expect(await stage.dead()).toEqual(["EventNotJson"]);
    expect(stage.runner.posted).toEqual(["s-a-1"]);
  });

  it("an event of a story that does not exist is buried with its reason", async () => {
    const stage = await building({ tasks: [draft("a")] });
    const { story } = stage.planning;
    stage.planning.story = async (id) => {
      if (id === "s") return story.call(stage.planning, id);
      throw fail("StoryUnknown", "There is none.");
    };
    stage.planning.put("ghost");
    await stage.planning.approve("ghost");
    await waitUntil("it is buried", async () => (await stage.dead()).length >= 2);
    expect(new Set(await stage.dead())).toEqual(new Set(["StoryUnknown"]));
    await stage.finishes("s");
  });

  it("tells a-b of c from a of b-c: the second of one name is refused, not confused", async () => {
    const stage = await stageOf({ script: () => "held" });
    const derive = async (_: unknown, { id }: { readonly id: string }) => [draft(id === "a" ? "b-c" : "c")];
    stage.planning.put("a");
    stage.planning.put("a-b");
    await stage.planning.approve("a");
    stage.begin({ derive });
    const request = await stage.request("a-b-c-1");
    await stage.planning.approve("a-b");
    await stage.becomes("a-b", "c", "failed");
    expect(stage.task("a-b", "c")?.error).toMatchObject({
      code: "TaskAmbiguous",
      message: expect.stringContaining("b-c of a"),
    });
    await stage.runner.result(request);
    await stage.reaches("a", "TEST");
    expect(stage.runner.merged).toEqual(["a-b-c-1"]);
  });

  it("a result that came while nobody lived is taken in, though Planning answers slowly", async () => {
    const stage = await building({ tasks: [draft("a")], script: () => "held" });
    const request = await stage.request("s-a-1");
    await Promise.all(stage.flows.map((flow) => flow.stop()));
    await stage.runner.result(request);
    const { story } = stage.planning;
    stage.planning.story = async (id) => {
      await sleep(systemClock, 50);
      return story.call(stage.planning, id);
    };
    stage.begin();
    await stage.reaches("s", "TEST");
    expect(stage.runner.merged).toEqual(["s-a-1"]);
  });

  it("a delivery that a stop broke off is made by the next life", async () => {
    const stage = await building({ tasks: [draft("a")] });
    const { deliver } = stage.runner;
    let isAsked = false;
    stage.runner.deliver = () => {
      isAsked = true;
      return new Promise(() => {});
    };
    await waitUntil("it shall be delivered", async () => {
      await stage.planning.moveOn("s");
      return isAsked;
    });
    await Promise.all(stage.flows.map((flow) => flow.stop()));
    stage.runner.deliver = deliver;
    stage.begin();
    await stage.finishes("s");
  });

  it("work that its repository does not take is a person's question, and is delivered when they say so", async () => {
    const stage = await building({ tasks: [draft("a")] });
    const { deliver } = stage.runner;
    stage.runner.deliver = async () => {
      throw new FlotillaError("BranchExists", "The branch flotilla/s holds something else.");
    };
    const isAsked = async () => {
      await stage.planning.moveOn("s");
      return (await stage.planning.approvals({ storyId: "s" }))[0];
    };
    expect(await waitUntil("a person was asked", isAsked)).toMatchObject({
      subject: "deliver",
      question: expect.stringContaining("The branch flotilla/s holds something else."),
    });
    stage.runner.deliver = deliver;
    await stage.planning.answer("s");
    await stage.finishes("s");
    expect(await stage.dead()).toEqual([]);
  });

  it("a service that is away is waited for, and no event is given up for it", async () => {
    const stage = await stageOf({ tasks: [draft("a")] });
    stage.planning.put("s");
    const { story } = stage.planning;
    let isAway = 8;
    stage.planning.story = async (id) => {
      if (isAway-- > 0) throw new FlotillaError("NoSuchActor", "There is no planning.");
      return story.call(stage.planning, id);
    };
    stage.begin();
    await stage.planning.approve("s");
    await stage.finishes("s");
    expect(await stage.dead()).toEqual([]);
  });
});
