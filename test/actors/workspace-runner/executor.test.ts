// A request on a real fleet: the runner starts `flotilla agent-executor` as a process, a scripted agent works with real tools, and its commit
// comes back into the story's branch. The program alone, too: what it refuses, and how it ends when it is told to.

import { readdir } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { agentRequests, agentResults } from "../../../actors/events/channels.ts";
import { feed } from "../../../actors/events/feed.ts";
import { postEvent } from "../../../actors/events/post.ts";
import { readResult } from "../../../actors/result-post.ts";
import { runnerSetup } from "../../../actors/workspace-runner/runner-settings.ts";
import { WorkspaceRunnerService } from "../../../actors/workspace-runner/workspace-runner-service.ts";
import { executorOptions } from "../../../api/executor/options.ts";
import { type ActorSystem, connect, systemClock, systemRandom } from "../../../runtime/index.ts";
import { Depot } from "../../../tools/index.ts";
import { ProcessBackend } from "../../../tools/jobs/backends.ts";
import { makeFolder, makeRepository } from "../../support/git-repository.ts";
import { natsForTests } from "../../support/nats-server.ts";
import { runFlotilla } from "../../support/running-command.ts";
import { SMALL_PROJECT } from "../../support/small-project.ts";
import { listenTcp } from "../../support/tcp-listener.ts";
import { waitUntil } from "../../support/wait-until.ts";

const nats = natsForTests();

async function request(system: ActorSystem, taskId: string, text: string, url: string): Promise<void> {
  await postEvent(system, "orchestrator", agentRequests, {
    type: "agent.requested",
    data: {
      ...{ storyId: "greetings", taskId, attempt: 1, agentId: "agent-dev-001", role: "DEV", title: taskId, text },
      ...{ priority: 5, repository: { url }, context: "Known: nothing.", model: { kind: "mock" }, timeoutMs: 60_000 },
      by: { kind: "system", id: "orchestrator" },
    },
    ...{ key: taskId, correlationId: "greetings" },
  });
}

async function resultOf(system: ActorSystem, taskId: string) {
  const topic = [`greetings-${taskId}`];
  for await (const fed of feed(system, agentResults, { from: 1, topic }))
    if (fed.kind === "event" && fed.event.type === "agent.result") return readResult(system, fed.event.data);
    else if (fed.kind === "event") throw new Error(JSON.stringify(fed.event.data));
  throw new Error("the feed ended");
}

describe.skipIf(nats.missing !== undefined)("a request on a fleet", () => {
  it("is worked on by an executor; its commit is merged, verified and delivered; nothing is left", async () => {
    await using folder = await makeFolder("flotilla-runner-");
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    const { servers, user, pass } = nats.options;
    const prefix = nats.prefix();
    await using system = await connect({ servers, user, pass, prefix, name: "host" });
    const setup = runnerSetup(
      {},
      {
        ...{ folder: folder.path, natsUrl: servers, prefix, env: {} },
        secretEnv: { FLOTILLA_USER: user, FLOTILLA_PASS: pass },
      },
    );
    const log: string[] = [];
    const runner = new WorkspaceRunnerService({
      ...{ system, setup, random: systemRandom, depot: new Depot(folder.path) },
      backend: new ProcessBackend({ folder: join(folder.path, "jobs"), clock: systemClock, random: systemRandom }),
      log: (level, message) => void log.push(`${level} ${message}`),
    });
    await runner.start();
    try {
      await request(system, "t1", "Add hello() function to src/utils.js", repository.path);
      const result = await resultOf(system, "t1");
      expect(result).toMatchObject({ success: true, finalState: "committed", place: { attempt: 1 } });
      const { commit: made, place } = result;
      const work = { jobId: "greetings-t1-1", commit: made ?? "", bundle: place?.bundle ?? "" };
      const merged = { kind: "merged", commit: made, branch: "flotilla/greetings" };
      expect(await runner.integrate(work)).toEqual(merged);
      const story = { storyId: "greetings", repository: { url: repository.path } };
      const { report, commit } = await runner.verify(story);
      expect(report).toMatchObject({ build: { success: true }, unit: { failed: 0 }, lint: { errors: 0 } });
      expect(await runner.deliver(story)).toEqual({ branch: "flotilla/greetings", commit: made });
      expect(commit).toBe(made);
      expect(await repository.git("show", "flotilla/greetings:src/utils.js")).toContain("function hello()");
      const left = async () =>
        (await runner.jobs({ state: "succeeded" })).length === 1 &&
        (await readdir(join(folder.path, "jobs"))).length === 0;
      await waitUntil("the workspaces are gone", left);
      expect(await readdir(join(folder.path, "workspaces"))).toEqual([]);
    } finally {
      await runner.stop();
    }
  });
});

describe.skipIf(nats.missing !== undefined)("flotilla agent-executor", () => {
  it("is alone in its job, and ends what it has begun when it is told to, without a result", async () => {
    await using repository = await makeRepository({ files: SMALL_PROJECT });
    const { servers, user, pass } = nats.options;
    const prefix = nats.prefix();
    let asked = 0;
    await using model = await listenTcp(() => void asked++);
    const args = ["agent-executor", "--task-id=t1", "--story-id=alone", "--role=DEV", "--task=-", "--prefix", prefix];
    const place = ["--workspace", repository.path, "--nats-url", servers];
    const asks = ["--model=m", `--model-url=http://127.0.0.1:${model.port}/v1`];
    const env = { FLOTILLA_USER: user, FLOTILLA_PASS: pass, FLOTILLA_TASK: "Add hello() function to src/utils.js" };
    await using first = runFlotilla([...args, ...place, ...asks], env);
    await waitUntil("the agent asks its model", () => asked > 0 || first.err !== "", 20_000);
    await using second = runFlotilla([...args, ...place, ...asks], env);
    expect(await second.ended).toBe(3);
    expect(second.err).toContain("executor-alone-t1-1");
    first.signal("SIGTERM");
    expect(await first.ended).toBe(143);
    await using system = await connect({ servers, user, pass, prefix });
    expect(await system.ports.eventLog.lastSequence()).toBe(0);
  });
});

describe("options of agent-executor", () => {
  const sound = { taskId: "t1", task: "Do it", workspace: "/w", natsUrl: "nats://h:4222", model: "mock" };
  const resolve = (more: object = {}, env: NodeJS.ProcessEnv = {}) => executorOptions({ ...sound, ...more }, env);

  it("are filled in, and secrets come from the environment", () => {
    const env = { FLOTILLA_USER: "u", FLOTILLA_PASS: "p", FLOTILLA_CREDS_TEXT: "c", FLOTILLA_API_KEY: "k" };
    const { fleet, name, order } = resolve({ storyId: "s", model: "m", modelUrl: "http://h/v1" }, env);
    expect(fleet).toEqual({ servers: "nats://h:4222", user: "u", pass: "p", creds: "c" });
    expect(name).toBe("executor-s-t1-1");
    expect(order).toEqual({
      ...{ storyId: "s", taskId: "t1", attempt: 1, agentId: "agent-dev-001", role: "DEV", text: "Do it", context: "" },
      ...{
        workspace: "/w",
        timeoutMs: 600_000,
        model: { kind: "openai", url: "http://h/v1", model: "m", apiKey: "k" },
      },
    });
  });

  it("rules of the team come by a variable, and an agent does not begin without them when they cannot be read", () => {
    const rule = { id: "ask", effect: "ask", roles: ["*"], tools: ["git.commit"], reason: "Why not ask?" };
    expect(resolve({}, { FLOTILLA_POLICY: JSON.stringify([rule]) }).order.policyRules).toEqual([rule]);
    for (const text of ["{", "[{}]", JSON.stringify([{ ...rule, effect: "perhaps" }])])
      expect(() => resolve({}, { FLOTILLA_POLICY: text })).toThrow(/FLOTILLA_POLICY/);
  });

  it("long names of jobs stay apart as names of nodes", () => {
    const [one, other] = ["a", "b"].map((last) => resolve({ jobId: `${"x".repeat(140)}${last}` }).name);
    expect(one).not.toBe(other);
    expect(one?.length).toBeLessThanOrEqual(64);
  });

  it.each<[string, object, RegExp]>([
    ["no task", { task: undefined }, /--task: expected the task in words.+missing/],
    ["a variable that is not set", { task: "-" }, /--task/],
    ["a task's id", { taskId: "../x" }, /--task-id: expected 1 to 64 letters.+got "\.\.\/x"/],
    ["an attempt", { attempt: "0" }, /--attempt/],
    ["a base", { base: "HEAD" }, /--base: expected a full commit hash/],
    ["a bundle", { bundle: "x" }, /--bundle/],
    ["a timeout", { timeout: "soon" }, /--timeout/],
    ["no model", { model: undefined }, /--model/],
    ["no fleet", { natsUrl: undefined }, /--servers/],
  ])("%s is refused by name", (_, more, message) => {
    expect(() => resolve(more)).toThrow(message);
  });
});
