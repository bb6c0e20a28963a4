// A fleet of services as a team would run it: `flotilla services` in processes of its own on a real nats-server, a repository, and a team that
// decides what waits for people. Disposing of it ends every process and removes every folder.

import { mkdir, readdir } from "node:fs/promises";
import { join } from "node:path";
import type { Story } from "../../actors/planning/story.ts";
import { planningOf } from "../../actors/service-handles.ts";
import { type ActorSystem, connect, systemRandom } from "../../runtime/index.ts";
import { makeFolder, makeRepository, type TestRepository } from "./git-repository.ts";
import { openNats, type TestServer } from "./nats-server.ts";
import { type RunningCommand, runFlotilla } from "./running-command.ts";
import { SMALL_PROJECT } from "./small-project.ts";
import { waitUntil } from "./wait-until.ts";

export interface ServiceHost {
  readonly command: RunningCommand;
  /** What it printed when it was ready. */
  readonly ready: {
    readonly node: string;
    readonly rpc: readonly { readonly url: string; readonly services: readonly string[] }[];
    readonly tokenFile?: string;
  };
}

export interface ServiceFleet extends AsyncDisposable {
  readonly nats: TestServer;
  readonly repository: TestRepository;
  readonly system: ActorSystem;
  readonly planning: ReturnType<typeof planningOf>;
  /** Of the hosts' files: context/, workspaces/, repositories/. */
  readonly folder: string;
  readonly who: Readonly<Record<string, string>>;
  /** Starts `flotilla services` and resolves when it is ready. */
  host(...args: readonly string[]): Promise<ServiceHost>;
  /** As `host`, without waiting. */
  begin(...args: readonly string[]): RunningCommand;
  /** Decides everything that waits for a person until the story is in this state. */
  decideUntil(storyId: string, state: string, timeoutMs?: number): Promise<Story>;
}

/** Of what each host said, in a failure. */
const SAID_MAX = 6_000;

export const TEAM = {
  po: { kind: "human", id: "ada", role: "po" },
  qa: { kind: "human", id: "grace", role: "qa" },
} as const;

/** Services by whose settings a test on two busy cores is quick. */
const COMMON = ["--model", "mock", "--running", "2", "--task-timeout", "2m", "--json"];

/** `lease`: "fast" only where a loss is to be noticed soon; on a busy machine a host may lose it. */
export async function openServiceFleet(lease: "fast" | "normal" = "normal"): Promise<ServiceFleet> {
  const nats = await openNats();
  const home = await makeFolder("flotilla-services-");
  const temp = await makeFolder("flotilla-services-tmp-");
  const repository = await makeRepository({ files: SMALL_PROJECT });
  const { servers, user, pass } = nats.options;
  const who = {
    ...{ FLOTILLA_SERVERS: servers, FLOTILLA_USER: user, FLOTILLA_PASS: pass },
    ...{ FLOTILLA_SERVICES: home.path, TMPDIR: temp.path },
  };
  await mkdir(home.path, { recursive: true });
  const running: RunningCommand[] = [];
  const system = await connect({ ...nats.options, lease, name: `team-${systemRandom.id().slice(0, 4)}` });
  const planning = planningOf(system, { timeoutMs: 60_000 });
  const begin: ServiceFleet["begin"] = (...args) => {
    const command = runFlotilla(["services", "--lease", lease, ...COMMON, ...args], who);
    running.push(command);
    return command;
  };
  return {
    ...{ nats, repository, system, planning, folder: home.path, who, begin },
    async host(...args) {
      const command = begin(...args);
      await command.says("ready; Ctrl-C", 60_000);
      // Two pipes: the one may be read before the other.
      await waitUntil("it said what it is", () => command.out.includes("\n"));
      return { command, ready: JSON.parse(command.out.trim().split("\n")[0] ?? "") };
    },
    async decideUntil(storyId, state, timeoutMs = 120_000) {
      const story = await waitUntil(
        `story ${storyId} is ${state}`,
        async () => {
          const now = await planning.story(storyId);
          if (now.state === state) return now;
          const failed = now.tasks.find(({ status }) => status === "failed");
          if (failed !== undefined) throw new Error(`${failed.title} failed: ${JSON.stringify(failed.error)}`);
          for (const { id, subject } of await planning.approvals({ storyId })) {
            const by = subject === "qa_passed" ? TEAM.qa : TEAM.po;
            // Somebody may have decided it a moment ago.
            await planning.decide({ approvalId: id, decision: "approve", by, key: `yes ${id}` }).catch(() => {});
          }
        },
        timeoutMs,
      ).catch(async (error: Error) => {
        const { state: now, tasks } = await planning.story(storyId);
        const where = tasks.map(({ id, status, attempt }) => `${id} ${status} ${attempt}`).join(", ");
        const said = running.map(({ err }) => err.slice(-SAID_MAX)).join("\n---\n");
        throw new Error(`${error.message}; it is ${now}: ${where}; the hosts said:\n${said}`);
      });
      return story;
    },
    async [Symbol.asyncDispose]() {
      for (const command of running.toReversed()) command.signal("SIGTERM");
      await Promise.all(running.map((command) => command.ended));
      await system.close();
      await nats[Symbol.asyncDispose]();
      for (const folder of [repository, home, temp]) await folder[Symbol.asyncDispose]();
    },
  };
}

/** A story that is ready at L1, with a plan of exact steps that the mock can do. */
export function storyDraft(url: string) {
  return {
    title: "Greet visitors by name",
    description: "As a visitor I want to be greeted so that I feel welcome.",
    criteria: [
      "Given a visitor, when the page opens, then a greeting is shown",
      "Given no visitor, when the page opens, then nothing is shown",
    ],
    rigor: "L1",
    repository: { url },
    by: TEAM.po,
  } as const;
}

export const PLAN = {
  title: "Greetings",
  text: "Two functions, one after the other, and a note.",
  steps: [
    { id: "hello", title: "Say hello", text: "Add helloWorld() function to src/utils.js", role: "DEV", phase: "BUILD" },
    {
      ...{ id: "bye", title: "Say goodbye", text: "Add goodBye() function to src/utils.js", role: "DEV" },
      ...{ phase: "BUILD", dependsOn: ["hello"] },
    },
    { id: "notes", title: "Note it", text: "Add releaseNotes() function to src/utils.js", role: "DEV", phase: "DOCS" },
  ],
} as const;

/** What is left of workspaces on the host. */
export const workspacesLeft = async (folder: string): Promise<readonly string[]> =>
  readdir(join(folder, "workspaces")).catch(() => []);
