// A team that has stories built one after the other, whatever dies meanwhile: it creates them, plans them, says yes to what waits for people,
// through the door where it can, and asks again whatever was not answered. It is not what is built of that (story-audit.ts).
//
// TE1  Every change has a key, so asking again changes nothing twice: what the team does is what a careful person does.

import type { Story } from "../../actors/planning/story.ts";
import { planningOf } from "../../actors/service-handles.ts";
import { isFlotillaError, sleep, systemClock } from "../../runtime/index.ts";
import type { TestRepository } from "./git-repository.ts";
import { type ServiceFleet, storyDraft, TEAM } from "./service-fleet.ts";

/** A file beside the project's own, so that two tasks of a story can go on at once. */
export async function addSecondFile({ write, git }: TestRepository): Promise<void> {
  await write({ "src/waves.js": "export const waves = 2;\n" });
  await git("add", "--all");
  await git("commit", "--quiet", "--message", "Waves");
}

const step = (id: string, name: string, path = "src/utils.js") => ({
  ...{ id, title: `Say ${id}`, text: `Add ${name}() function to ${path}`, role: "DEV", phase: "BUILD" },
});
/** Two that wait for one another, one beside them, and one after the tests. */
const PLAN = {
  title: "Greetings",
  text: "Two functions one after the other, one beside them, and a note.",
  steps: [
    step("hello", "helloWorld"),
    { ...step("bye", "goodBye"), dependsOn: ["hello"] },
    step("wave", "waveHand", "src/waves.js"),
    { ...step("notes", "releaseNotes"), phase: "DOCS" },
  ],
};
const PAUSE_MS = 150;
const CALL_MS = 15_000;

export interface DoorClient {
  call(method: string, body: object): Promise<void>;
}

export class StoryTeam {
  /** As they were last seen, by id. */
  readonly stories = new Map<string, Story>();
  readonly #fleet: ServiceFleet;
  readonly #planning: ReturnType<typeof planningOf>;
  readonly #door: DoorClient | undefined;
  readonly #end = new AbortController();
  #isLast = false;

  /** Without a door it decides as actors do. */
  constructor(fleet: ServiceFleet, door?: DoorClient) {
    this.#fleet = fleet;
    this.#planning = planningOf(fleet.system, { timeoutMs: CALL_MS });
    this.#door = door;
  }

  /** Stories that are not done. */
  get open(): readonly Story[] {
    return [...this.stories.values()].filter(({ state }) => state !== "DONE");
  }

  /** Works on `lanes` stories at a time until `finish`, on so many at least; rejects when a story cannot be done. */
  async work(lanes: number): Promise<void> {
    try {
      await Promise.all(Array.from({ length: lanes }, (_, lane) => this.#lane(lane)));
    } catch (error) {
      this.#end.abort();
      throw error;
    }
  }

  /** Begins no other story. */
  finish(): void {
    this.#isLast = true;
  }

  async #lane(lane: number): Promise<void> {
    let number = 0;
    do await this.#build(`s${lane}-${number++}`);
    while (!this.#isLast && !this.#end.signal.aborted);
  }

  async #build(id: string): Promise<void> {
    const draft = { ...storyDraft(this.#fleet.repository.path), id, key: id };
    await this.#again(() => this.#planning.createStory(draft));
    while (!this.#end.signal.aborted) {
      const story = await this.#again(() => this.#planning.story(id));
      if (story === undefined) return;
      this.stories.set(id, story);
      if (story.state === "DONE") return;
      const failed = story.tasks.find(({ status }) => status === "failed");
      if (failed !== undefined) throw new Error(`${id}: ${failed.id} failed: ${JSON.stringify(failed)}`);
      await this.#again(() => this.#act(story));
      await sleep(systemClock, PAUSE_MS);
    }
  }

  async #act(story: Story): Promise<void> {
    const isOurs = story.plan?.proposedBy.kind === "human";
    if (story.state === "DESIGN" && !isOurs) {
      const change = { storyId: story.id, by: TEAM.po, key: `plan ${story.id}` };
      await this.#planning.proposePlan({ ...change, plan: structuredClone(PLAN) as never });
      return;
    }
    for (const { id, kind, subject, question } of await this.#planning.approvals({ storyId: story.id })) {
      if (kind === "ask") throw new Error(`a person is asked about ${story.id}: ${question}`);
      await this.#approve(id, subject === "qa_passed" ? TEAM.qa : TEAM.po);
    }
  }

  /** Somebody may have decided it: ourselves, when the answer was lost. */
  async #approve(approvalId: string, by: (typeof TEAM)["po" | "qa"]): Promise<void> {
    const decision = { approvalId, decision: "approve", by, key: `yes ${approvalId}` } as const;
    if (this.#door === undefined) await this.#planning.decide(decision);
    else await this.#door.call("Decide", decision);
  }

  /** What `ask` says, asked until it is answered; undefined when the team has ended. */
  async #again<T>(ask: () => Promise<T>): Promise<T | undefined> {
    while (!this.#end.signal.aborted) {
      try {
        return await ask();
      } catch (error) {
        if (!mayBeAskedAgain(error)) throw error;
        await sleep(systemClock, PAUSE_MS);
      }
    }
    return undefined;
  }
}

/** Codes of what was decided before, or is away: by the actor's own errors, or in the door's words. */
const PASSES = ["ApprovalDecided", "ApprovalUnknown", "NoSuchActor", "ActorEnded", "ServiceAbsent", "ActorStartFailed"];

function mayBeAskedAgain(error: unknown): boolean {
  if (isFlotillaError(error)) return error.retryable || error.code === "Unknown" || PASSES.includes(error.code);
  const text = error instanceof Error ? `${error.name} ${error.message}` : String(error);
  if (/fetch failed|TimeoutError|terminated|ECONN|ENOENT|Failed to parse URL/.test(text)) return true;
  return /: 5\d\d /.test(text) || PASSES.some((code) => text.includes(code));
}
