// The coach of stories, as doors use it: points and findings, a better draft, templates. It keeps nothing and changes no story.
// The rules decide; with a model, its opinion is told beside them.

import type { Model } from "../agent/model.ts";
import type { Rigor, Story } from "../planning/story.ts";
import type { RigorTable } from "../workspace-score/rigor-table.ts";
import type { StoryText } from "./story-checks.ts";
import { type StoryOpinion, storyOpinion } from "./story-opinion.ts";
import { refineStory, suggestStories } from "./story-refinement.ts";
import { readiness, type StoryScore, scoreStory } from "./story-score.ts";

export interface CoachSetup {
  readonly table: RigorTable;
  /** Default: none; no opinions. */
  readonly model?: Model;
}

/** How long the model's opinion may be waited for, and the caller's cancel. */
export interface CoachCall {
  /** Milliseconds. Default 30,000. */
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
}

/** What is said of a story. `opinion` is there exactly when the coach has a model. */
export interface Coached extends StoryScore {
  /** Points that the story's level of rigor asks for. */
  readonly threshold: number;
  readonly ready: boolean;
  readonly opinion?: StoryOpinion;
}

const TIMEOUT_MS = 30_000;

export class StoryCoach {
  readonly #table: RigorTable;
  readonly #model: Model | undefined;

  constructor({ table, model }: CoachSetup) {
    this.#table = table;
    this.#model = model;
  }

  /** Rejects only with Cancelled. `rigor`: default L1. */
  async score(story: StoryText, rigor: Rigor = "L1", call: CoachCall = {}): Promise<Coached> {
    const scored = scoreStory(story);
    const threshold = this.#table[rigor].readiness;
    const opinion = await this.#opinion(story, call);
    return { ...scored, threshold, ready: scored.score >= threshold, ...(opinion !== undefined && { opinion }) };
  }

  /** A better draft, with what is said of it, and its points before. Rejects only with Cancelled. */
  async refine(
    story: StoryText,
    rigor: Rigor = "L1",
    call: CoachCall = {},
  ): Promise<{ readonly story: StoryText; readonly before: Story["readiness"]; readonly after: Coached }> {
    const refined = refineStory(story);
    const before = readiness(story, rigor, this.#table);
    return { story: refined, before, after: await this.score(refined, rigor, call) };
  }

  /** Templates for stories that cut a goal from different sides. Throws FieldInvalid. */
  suggest(goal: string, count = 3): readonly StoryText[] {
    return suggestStories(goal, count);
  }

  async #opinion(story: StoryText, { timeoutMs = TIMEOUT_MS, signal }: CoachCall): Promise<StoryOpinion | undefined> {
    if (this.#model === undefined) return undefined;
    return storyOpinion(this.#model, story, { signal: signal ?? new AbortController().signal, timeoutMs });
  }
}
