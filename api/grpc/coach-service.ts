// fleet.storycoach.v1 over the story coach, who keeps nothing and lives in this process.

import type { ServiceImpl } from "@connectrpc/connect";
import { type Finding, type Rigor, rigorSchema } from "../../actors/index.ts";
import type { StoryCoachService } from "../proto/gen/fleet/storycoach/v1/storycoach_pb.js";
import { checked, fieldInvalid, present } from "./values.ts";

export interface StoryWords {
  readonly title: string;
  readonly description: string;
  readonly criteria: readonly string[];
}

export interface CoachScore {
  /** 0 to 100. */
  readonly score: number;
  /** What it takes to be worked on. */
  readonly threshold: number;
  /** `points`: lost by it. */
  readonly findings: readonly (Finding & { readonly points?: number })[];
  /** Points by part. */
  readonly parts: Readonly<Record<string, number>>;
  /** A model's, where one is configured. */
  readonly opinion?: { readonly score: number; readonly findings: readonly string[] };
}

/** Who helps to write stories; the integration binds it to the coach and, where there is one, to a model. */
export interface Coach {
  score(story: StoryWords, rigor: Rigor, signal: AbortSignal): Promise<CoachScore>;
  refine(story: StoryWords, signal: AbortSignal): Promise<StoryWords>;
  suggest(goal: string, signal: AbortSignal): Promise<StoryWords>;
}

const wordsMessage = ({ title, description, criteria }: StoryWords) => ({ title, description, ac: [...criteria] });

export const coachService = (coach: Coach): ServiceImpl<typeof StoryCoachService> => ({
  async scoreStory({ title, description, ac, rigor }, { signal }) {
    const level = checked(rigorSchema, rigor || "L1", "rigor");
    const scored = await coach.score({ title, description, criteria: ac }, level, signal);
    return present({
      total: Math.floor(scored.score),
      threshold: Math.ceil(scored.threshold),
      findings: scored.findings.map(({ code, message, part, points = 0 }) => ({
        code,
        message,
        part,
        weight: Math.round(points),
      })),
      parts: { ...scored.parts },
      opinion: scored.opinion && { score: scored.opinion.score, findings: [...scored.opinion.findings] },
    });
  },
  async refineStory({ title, description, ac }, { signal }) {
    return wordsMessage(await coach.refine({ title, description, criteria: ac }, signal));
  },
  async suggestStory({ goal }, { signal }) {
    if (goal.trim() === "") throw fieldInvalid("goal", "it is empty");
    return wordsMessage(await coach.suggest(goal, signal));
  },
});
