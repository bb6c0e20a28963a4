// `flotilla story`: what it asks planning, what it prints for people and for scripts, and what it says when something is wrong.

import { writeFile } from "node:fs/promises";
import { userInfo } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import type { planningOf } from "../../actors/index.ts";
import { SERVICES } from "../../actors/service-handles.ts";
import { runCli } from "../../api/cli.ts";
import { placeOf } from "../../api/service-command.ts";
import { createStory, listStories, moveStory, planStory, retryTasks, showStory } from "../../api/story.ts";
import { connect, defineActor, FlotillaError } from "../../runtime/index.ts";
import { natsForTests } from "../support/nats-server.ts";
import { PLAN, STORY, TASK } from "./grpc/fake-answers.ts";
import { temporaryFolder } from "./grpc/fake-door.ts";

type Planning = ReturnType<typeof planningOf>;
type Asked = [method: string, ...args: unknown[]];

/** Runs one of the commands over a planning service that answers as told. */
async function over(
  answers: Partial<Planning>,
  run: (planning: Planning, place: ReturnType<typeof placeOf>) => Promise<number>,
  json = false,
) {
  const asked: Asked[] = [];
  const text = { out: "", err: "" };
  const planning = new Proxy({} as Planning, {
    get:
      (_, method: keyof Planning) =>
      (...args: unknown[]) => {
        asked.push([method, ...args]);
        return (answers[method] as (...args: unknown[]) => unknown)(...args);
      },
  });
  const place = placeOf(
    {
      out: { write: (piece) => (text.out += piece) },
      err: { write: (piece) => (text.err += piece) },
      signal: new AbortController().signal,
    },
    json,
  );
  return { status: await run(planning, place), asked, ...text };
}

const story = async () => STORY;
const ann = { as: "ann", role: "po" };
const by = { kind: "human", id: "ann", role: "po" };

const AVAILABLE = async () => [
  { event: "build_done", to: "TEST", human: null, blocked: [{ guard: "all_tasks_done", reason: "t1 is not done" }] },
  { event: "reject_build", to: "DESIGN", human: ["architect", "po"], blocked: [] },
];

describe("what people see", () => {
  it("a list", async () => {
    // Of a plan that was sent back: nobody waits for it.
    const dropped = { ...TASK, id: "t0", status: "cancelled" as const };
    const sly = { ...STORY, id: "s2", title: "Sly \u001b[31mtitle", tasks: [dropped], state: "DRAFT" };
    const stories = async () => ({ stories: [STORY, sly] });
    const { out, status } = await over({ stories }, (planning, place) => listStories(planning, [], {}, place, NONE));
    expect(status).toBe(0);
    expect(out).toBe(`id  state  rigor  ready  tasks  title
s1  BUILD  L2        85    0/1  Count the basket
s2  DRAFT  L2        85      -  Sly title
`);
    const none = await over({ stories: async () => ({ stories: [] }) }, (planning, place) =>
      listStories(planning, [], {}, place, NONE),
    );
    expect(none.out).toBe('No stories. Create one with: flotilla story create --title "…"\n');
  });

  it("a story", async () => {
    const { out } = await over({ story, available: AVAILABLE }, (planning, place) =>
      showStory(planning, ["s1"], {}, place, NONE),
    );
    expect(out).toBe(`s1  Count the basket
State      BUILD, version 9, rigor L2
Ready      85 of 80 that it needs
           TITLE_LENGTH: short
Epic       e1
Repository /repo (main)

  As a buyer

  Given a basket When I look Then I see a count

Plan  How (approved, by ann)
  - Count
  - Count

task  status  try  role  phase  after  title
t1    failed    2  DEV   BUILD  t0     Count
  t1: Stuck: it stood still
Try again: flotilla story retry s1

Report of BUILD  warn, 71.5 of 100
  coverage

What may happen next
  build_done → TEST (blocked)
      all_tasks_done: t1 is not done
  reject_build → DESIGN, by architect or po

2023-11-14 22:13:20  DRAFT → DESIGN  approve_scope by ann (po)
  good
`);
  });

  it("a story at its end, with nothing that it need not have", async () => {
    const { epicId: _, projectId: __, repository: ___, plan: ____, ...bare } = STORY;
    const done = { ...bare, state: "DONE", description: "", criteria: [], tasks: [], reports: {}, history: [] };
    const readiness = { score: 90, threshold: 80, findings: [] };
    const { out } = await over(
      { story: async () => ({ ...done, readiness }), available: async () => [] },
      (planning, place) => showStory(planning, ["s1"], {}, place, NONE),
    );
    expect(out).toBe(`s1  Count the basket
State      DONE, version 9, rigor L2
Ready      90 of 80 that it needs

Nothing can happen to it any more.
`);
  });

  it("a new story, with what it lacks", async () => {
    const flags = {
      ...ann,
      title: "T",
      criterion: ["a", "b"],
      rigor: "l2",
      repo: "/repo",
      branch: "main",
      epic: "e1",
      key: "k",
    };
    const { out, asked } = await over({ createStory: story }, (planning, place) =>
      createStory(planning, [], flags, place, NONE),
    );
    expect(out).toBe("s1 is in BUILD; ready: 85 of 80 that it needs.\n  TITLE_LENGTH: short\n");
    const repository = { url: "/repo", branch: "main" };
    const draft = {
      by,
      title: "T",
      description: "",
      criteria: ["a", "b"],
      rigor: "L2",
      repository,
      epicId: "e1",
      key: "k",
    };
    expect(asked).toEqual([["createStory", draft]]);
  });

  it("a move, and under which name it is recorded", async () => {
    const transition = async () => ({ kind: "moved", story: STORY }) as const;
    const { out, asked, status } = await over({ transition }, (planning, place) =>
      moveStory(planning, ["s1", "approve_design"], { ...ann, feedback: "good", version: "8" }, place, NONE),
    );
    expect({ out, status }).toEqual({
      out: "s1 is in BUILD. Recorded as ann (po); nobody has checked the name.\n",
      status: 0,
    });
    const change = { by, storyId: "s1", event: "approve_design", feedback: "good", expectedVersion: 8 };
    expect(asked).toEqual([["transition", change]]);
    const nobody = await over({ transition }, (planning, place) => moveStory(planning, ["s1", "x"], {}, place, NONE));
    expect(nobody.asked).toEqual([
      ["transition", { by: { kind: "human", id: userInfo().username }, storyId: "s1", event: "x" }],
    ]);
  });

  it("a move that guards stand against: status 2, and every guard", async () => {
    const blocked = [
      { guard: "all_tasks_done", reason: "t1 is not done" },
      { guard: "report_passes", reason: `there is ${"no ".repeat(40)}report` },
    ];
    const transition = async () => ({ kind: "blocked", story: STORY, blocked }) as const;
    const run = (json: boolean) =>
      over({ transition }, (planning, place) => moveStory(planning, ["s1", "build_done"], ann, place, NONE), json);
    const { status, out, err } = await run(false);
    expect({ status, out }).toEqual({ status: 2, out: "" });
    expect(err.split("\n").slice(0, 2)).toEqual([
      "flotilla: build_done is blocked; s1 stays in BUILD:",
      "  all_tasks_done: t1 is not done",
    ]);
    expect(Math.max(...err.split("\n").map(({ length }) => length))).toBeLessThanOrEqual(80);
    const scripted = await run(true);
    expect(scripted.status).toBe(2);
    expect(JSON.parse(scripted.out)).toMatchObject({ kind: "blocked", blocked });
  });

  it("a plan, and one that is proposed from a file", async () => {
    await using folder = await temporaryFolder();
    const file = join(folder.path, "plan.md");
    await writeFile(file, "- Count\n");
    const answers = { story, proposePlan: story };
    const shown = await over(answers, (planning, place) => planStory(planning, ["s1"], {}, place, NONE));
    expect(shown.out).toBe("Plan  How (approved, by ann)\n  - Count\n  - Count\n");
    const proposed = await over(answers, (planning, place) =>
      planStory(planning, ["s1"], { ...ann, file }, place, NONE),
    );
    expect(proposed.asked.at(-1)).toEqual([
      "proposePlan",
      { by, storyId: "s1", plan: { title: "Count the basket", text: "- Count\n" } },
    ]);
    const { plan: _, ...unplanned } = STORY;
    const none = await over({ story: async () => unplanned }, (planning, place) =>
      planStory(planning, ["s1"], {}, place, NONE),
    );
    expect(none.out).toMatch(/^No plan for "Count the basket" yet\. Propose one: /);
  });
});

/** Nothing here reads the fleet itself. */
const NONE = undefined as never;

it("gives scripts one JSON value", async () => {
  const run = <T>(command: (planning: Planning, place: ReturnType<typeof placeOf>) => Promise<T & number>) =>
    over({ story, available: AVAILABLE, stories: async () => ({ stories: [STORY] }) }, command, true);
  const parsed = async (result: ReturnType<typeof run>) => JSON.parse((await result).out);
  expect(await parsed(run((planning, place) => listStories(planning, [], {}, place, NONE)))).toEqual([STORY]);
  const shown = await parsed(run((planning, place) => showStory(planning, ["s1"], {}, place, NONE)));
  expect(shown).toEqual({ story: STORY, available: await AVAILABLE() });
  expect(await parsed(run((planning, place) => planStory(planning, ["s1"], {}, place, NONE)))).toEqual(PLAN);
});

it("lists all pages up to --max", async () => {
  const page = (from: number, count: number) =>
    Array.from({ length: count }, (_, index) => ({ ...STORY, id: `s${from + index}`, tasks: [TASK] }));
  let from = 0;
  const { asked, out } = await over(
    {
      stories: async ({ max = 0 } = {}) => {
        from += max;
        return { stories: page(from - max, max), next: `s${from - 1}` };
      },
    },
    (planning, place) => listStories(planning, [], { max: "150", state: "BUILD", epic: "e1" }, place, NONE),
    true,
  );
  expect(asked).toEqual([
    ["stories", { state: "BUILD", epicId: "e1", max: 100 }],
    ["stories", { state: "BUILD", epicId: "e1", after: "s99", max: 50 }],
  ]);
  expect(JSON.parse(out)).toHaveLength(150);
});

const nats = natsForTests();

async function cli(...args: string[]) {
  const text = { out: "", err: "" };
  const status = await runCli(["story", ...args], {
    out: { write: (piece) => (text.out += piece) },
    err: { write: (piece) => (text.err += piece) },
    signal: new AbortController().signal,
  });
  return { status, ...text };
}

describe("tasks that failed", () => {
  const taskChanged = async () => STORY;

  it("are tried again with what they failed of", async () => {
    const done = await over({ story, taskChanged }, (planning, place) =>
      retryTasks(planning, ["s1"], ann, place, NONE),
    );
    expect(done.status).toBe(0);
    expect(done.out).toBe("t1: tried again. Recorded as ann (po); nobody has checked the name.\n");
    expect(done.asked.at(-1)).toEqual([
      "taskChanged",
      {
        ...{ by, key: "retry t1 2", storyId: "s1", taskId: "t1", attempt: 2, status: "pending" },
        error: { code: "Stuck", message: "it stood still" },
      },
    ]);
  });

  it("one that has not failed is told", async () => {
    const done = await over({ story }, (planning, place) => retryTasks(planning, ["s1", "t9"], ann, place, NONE));
    expect([done.status, done.out]).toEqual([1, "No task t9 of s1 has failed.\n"]);
  });
});

describe("a mistake", () => {
  it("--version of a move is the story's, not the program's", async () => {
    let out = "";
    const write = (text: string) => (out += text);
    const terminal = { out: { write }, err: { write }, signal: new AbortController().signal };
    const status = await runCli(
      ["story", "move", "s1", "qa_passed", "--version", "x", "--servers", "nats://x:1"],
      terminal,
    );
    expect([status, out.includes("0.1.0")]).toEqual([1, false]);
  });

  it.each([
    [["list"], /--servers \(FLOTILLA_SERVERS\): expected the address .+, it is missing/],
    [["show"], /missing required argument 'id'/],
    [["move", "s1"], /missing required argument 'event'/],
    [["create"], /required option '--title <text>' not specified/],
    [["lits"], /unknown command 'lits'/],
    [["show", "s1", "s2"], /too many arguments/],
  ])("%j", async (args, says) => {
    const { status, out, err } = await cli(...args);
    expect({ status, out }).toEqual({ status: 1, out: "" });
    expect(err).toMatch(says);
  });

  it.each([
    [
      /--rigor: expected L0, L1, L2 or L3, got "L9"/,
      () => createStory({} as Planning, [], { title: "x", rigor: "L9" }, NONE, NONE),
    ],
    [/--max: expected a whole number from 1, got "0"/, () => listStories({} as Planning, [], { max: "0" }, NONE, NONE)],
    [/--as: expected a name of 1 to 200 characters/, () => moveStory(NONE, ["s1", "x"], { as: "" }, NONE, NONE)],
    [/--role: expected a name of 1 to 40/, () => moveStory(NONE, ["s1", "x"], { role: "x".repeat(41) }, NONE, NONE)],
    [/--file: .+"\/none" cannot be read \(ENOENT\)/, () => planStory(NONE, ["s1"], { file: "/none" }, NONE, NONE)],
  ])("%s", async (says, run) => {
    await expect(run()).rejects.toMatchObject({ code: "OptionInvalid", message: expect.stringMatching(says) });
  });
});

describe.skipIf(nats.missing !== undefined)("on a fleet", () => {
  it("asks its planning service, and says so when there is none of it or of the story", async () => {
    const { servers, user, pass } = nats.options;
    const prefix = nats.prefix();
    const flags = ["--servers", servers.replace("//", `//${user}:${pass}@`), "--prefix", prefix];
    const Planning = defineActor(
      "planning",
      class {
        story(id: string) {
          if (id === "s1") return STORY;
          throw new FlotillaError("StoryUnknown", `there is no story ${JSON.stringify(id)}`);
        }
        available() {
          return [];
        }
      },
      { version: "1" },
    );
    await using fleet = await connect({ servers, user, pass, prefix, actors: [Planning], accepts: true });
    await fleet.spawn(Planning, { name: "planning", namespace: SERVICES });
    const { status, out, err } = await cli("show", "s1", ...flags, "--json");
    expect({ status, err }).toEqual({ status: 0, err: "" });
    expect(JSON.parse(out)).toEqual({ story: STORY, available: [] });
    expect(await cli("show", "s9", ...flags)).toEqual({
      ...{ status: 1, out: "" },
      err: 'flotilla: there is no story "s9"\n',
    });
  });
});
