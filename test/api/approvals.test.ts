// `flotilla approvals` and `flotilla jobs`: what they ask the services, what they print, and what they say when something is wrong.

import { describe, expect, it } from "vitest";
import { postEvent } from "../../actors/events/post.ts";
import { type Approval, type planningOf, type runnerOf, workspaceLogs } from "../../actors/index.ts";
import { decideAs, listApprovals, showApproval } from "../../api/approvals.ts";
import { runCli } from "../../api/cli.ts";
import { cancelJob, listJobs, logsOfJob, showJob } from "../../api/jobs.ts";
import { placeOf, type Run } from "../../api/service-command.ts";
import { type ActorSystem, connect, FlotillaError } from "../../runtime/index.ts";
import { APPROVAL, JOB } from "./grpc/fake-answers.ts";

type Planning = ReturnType<typeof planningOf>;
type Runner = ReturnType<typeof runnerOf>;

function terminal() {
  const text = { out: "", err: "" };
  return {
    text,
    out: { write: (piece: string) => (text.out += piece) },
    err: { write: (piece: string) => (text.err += piece) },
    signal: new AbortController().signal,
  };
}

/** Runs a command over a service that answers as told. */
async function over<Api extends object, Flags>(
  answers: Partial<Api>,
  run: Run<Api, Flags>,
  args: readonly string[],
  flags: Flags,
  { json = false, fleet = {} as ActorSystem } = {},
) {
  const asked: unknown[] = [];
  const service = new Proxy(answers as Api, {
    get:
      (target, method) =>
      (...given: unknown[]) => {
        asked.push([method, ...given]);
        return (Reflect.get(target, method) as (...args: unknown[]) => unknown)(...given);
      },
  });
  const { text, ...rest } = terminal();
  const status = await run(service, args, flags, placeOf(rest, json), fleet);
  return { status, asked, ...text };
}

const approved = async () => APPROVAL;
const ann = { as: "ann", role: "po" };
const by = { kind: "human", id: "ann", role: "po" };

describe("flotilla approvals", () => {
  const { decidedBy: _, feedback: __, ...open } = APPROVAL;
  const waiting: Approval = { ...open, status: "waiting" };
  const ask: Approval = {
    ...{ id: "ask-1", kind: "ask", subject: "git.push", question: "May I push to \u001b[31mmain?", roles: [] },
    ...{ status: "waiting", sinceMs: APPROVAL.sinceMs },
  };

  it("lists what waits", async () => {
    const approvals = async () => [waiting, ask];
    const { out, asked } = await over<Planning, object>({ approvals }, listApprovals, [], { role: "po", story: "s1" });
    expect(asked).toEqual([["approvals", { role: "po", storyId: "s1" }]]);
    expect(out).toBe(`id                 what            story  for      since (UTC)  question
s1.approve_design  approve_design  s1     po       11-14 22:13  Is the design r…
ask-1              git.push        -      anybody  11-14 22:13  May I push to m…

flotilla approvals approve ID --role ROLE, or: flotilla approvals reject ID --role ROLE --feedback "…"
`);
    const none = await over<Planning, object>({ approvals: async () => [] }, listApprovals, [], {});
    expect({ out: none.out, asked: none.asked }).toEqual({
      out: "Nothing waits for a person.\n",
      asked: [["approvals", {}]],
    });
    const scripted = await over<Planning, object>({ approvals }, listApprovals, [], {}, { json: true });
    expect(JSON.parse(scripted.out)).toEqual([waiting, ask]);
  });

  it("shows one", async () => {
    const shown = await over<Planning, object>({ approval: approved }, showApproval, ["a"], {});
    expect(shown.out).toBe(`s1.approve_design  approved
What       approve_design (a gate of the story)
Story      s1, task t1
For        po
Since      2023-11-14 22:13:20 (UTC)
Decided by ann (po)

  Is the design right?

  yes
`);
    const question = await over<Planning, object>({ approval: async () => ask }, showApproval, ["a"], {});
    expect(question.out).toBe(`ask-1  waiting
What       git.push (a question)
For        anybody
Since      2023-11-14 22:13:20 (UTC)

  May I push to main?
`);
  });

  it("passes on what a person decides, and says how little is known of the person", async () => {
    const yes = await over<Planning, object>({ decide: approved }, decideAs("approve"), ["a"], ann);
    expect(yes).toMatchObject({
      status: 0,
      asked: [["decide", { by, approvalId: "a", decision: "approve" }]],
      out: "s1.approve_design is approved. Recorded as ann (po); nobody has checked the name.\n",
    });
    const flags = { ...ann, feedback: "not yet" };
    const no = await over<Planning, object>({ decide: approved }, decideAs("reject"), ["a"], flags, { json: true });
    expect(no.asked).toEqual([["decide", { by, approvalId: "a", decision: "reject", feedback: "not yet" }]]);
    expect(JSON.parse(no.out)).toEqual(APPROVAL);
  });

  it("a guard that stands against it is status 2", async () => {
    const decide = async () => {
      throw new FlotillaError("TransitionBlocked", "approve_scope is blocked: dor_ok: 40 of 80");
    };
    expect(await over<Planning, object>({ decide }, decideAs("approve"), ["a"], ann)).toMatchObject({
      ...{ status: 2, out: "", err: "flotilla: approve_scope is blocked: dor_ok: 40 of 80\n" },
    });
  });
});

describe("flotilla jobs", () => {
  const { error: _, startedAtMs: __, endedAtMs: ___, place: ____, base: _____, ...bare } = JOB;
  const queued = { ...bare, jobId: "s1-t2-1", state: "queued" } as const;

  it("lists, shows and cancels", async () => {
    const jobs = async () => [{ ...JOB, endedAtMs: JOB.queuedAtMs + 61_001 }, queued];
    const list = await over<Runner, object>({ jobs }, listJobs, [], { state: "failed", story: "s1" });
    expect(list.asked).toEqual([["jobs", { state: "failed", storyId: "s1" }]]);
    expect(list.out).toBe(`id       state   why    role  agent  backend    took
s1-t1-2  failed  Stuck  DEV   dev-1  process  61.0 s
s1-t2-1  queued         DEV   dev-1  process       -
`);
    const shown = await over<Runner, object>({ job: async () => JOB }, showJob, ["j"], {});
    expect(shown.out).toBe(`s1-t1-2  failed
Task       t1 of the story s1, attempt 2
Agent      dev-1 (DEV)
Runs as    process, 4711
From       c0ffee
Queued     2023-11-14 22:13:20 (UTC)
Started    2023-11-14 22:13:20 (UTC)
Ended      2023-11-14 22:13:20 (UTC)

Stuck: it stood still

What it printed: flotilla jobs logs s1-t1-2
`);
    const cancel = async () => ({ ...JOB, state: "cancelled" }) as const;
    expect(await over<Runner, object>({ cancel }, cancelJob, ["j"], {})).toMatchObject({
      ...{ asked: [["cancel", "j"]], out: "s1-t1-2 is cancelled.\n" },
    });
    expect((await over<Runner, object>({ jobs: async () => [] }, listJobs, [], {})).out).toBe("No jobs.\n");
    await expect(over<Runner, object>({ jobs }, listJobs, [], { state: "dead" })).rejects.toMatchObject({
      code: "OptionInvalid",
      message: expect.stringMatching(/--state: expected one of queued, .+, lost, got "dead"/),
    });
  });

  it("prints what a job printed, with nothing in it that could drive a terminal", async () => {
    await using fleet = await connect();
    const say = (line: string, dropped: number) =>
      postEvent(fleet, "workspace-runner", workspaceLogs, {
        ...{ type: "workspace.logged", key: line, correlationId: "s1", topic: ["j1"] },
        data: { jobId: "j1", line, stream: "stdout", dropped },
      });
    await say("one \u001b[31mred", 0);
    await say("two", 3);
    const job = async () => JOB;
    const text = await over<Runner, object>({ job }, logsOfJob, ["j1"], { follow: true }, { fleet });
    expect(text.out).toBe("one red\n(3 lines left out)\ntwo\n");
    const scripted = await over<Runner, object>({ job }, logsOfJob, ["j1"], {}, { fleet, json: true });
    expect(
      scripted.out
        .trim()
        .split("\n")
        .map((line) => JSON.parse(line).line),
    ).toEqual(["one \u001b[31mred", "two"]);
  });
});

describe("a mistake", () => {
  it.each([
    [["approvals"], /--servers \(FLOTILLA_SERVERS\): expected the address/],
    [["approvals", "--role", "po", "--json"], /--servers \(FLOTILLA_SERVERS\): expected the address/],
    [["approvals", "reject", "a"], /required option '--feedback <text>' not specified/],
    [["approvals", "approve"], /missing required argument 'id'/],
    [["jobs"], /--servers \(FLOTILLA_SERVERS\): expected the address/],
    [["jobs", "logs"], /missing required argument 'id'/],
    [["jobs", "list", "x"], /too many arguments/],
  ])("%j", async (args, says) => {
    const { text, ...rest } = terminal();
    expect(await runCli(args, rest)).toBe(1);
    expect(text).toEqual({ out: "", err: expect.stringMatching(says) });
  });
});
