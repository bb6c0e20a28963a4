// fleet.storycoach.v1 over the story coach, who keeps nothing and lives in this process.

import type { MessageInitShape } from "@bufbuild/protobuf";
import type { ServiceImpl } from "@connectrpc/connect";
import { type Finding, type Rigor, rigorSchema, type ServiceCall, type Story } from "../../actors/index.ts";
import type {
  OpinionSchema,
  ScoreStoryResponseSchema,
  StoryCoachService,
} from "../proto/gen/fleet/storycoach/v1/storycoach_pb.js";
import { callOf } from "./call.ts";
import { checked, present } from "./values.ts";

type StoryWords = Pick<Story, "title" | "description" | "criteria">;

type CoachOpinion = { readonly model: string } & (
  | { readonly score: number; readonly findings: readonly string[]; readonly suggestions: readonly string[] }
  | { readonly error: { readonly code: string; readonly message: string } }
);

interface CoachScore {
  /** 0 to 100. */
  readonly score: number;
  readonly parts: readonly { readonly part: string; readonly points: number; readonly max: number }[];
  readonly findings: readonly Finding[];
  readonly threshold: number;
  readonly ready: boolean;
  readonly opinion?: CoachOpinion;
}

/** What the door asks of the coach (actors/story-coach/). */
export interface Coach {
  score(story: StoryWords, rigor: Rigor, call: ServiceCall): Promise<CoachScore>;
  refine(
    story: StoryWords,
    rigor: Rigor,
    call: ServiceCall,
  ): Promise<{ readonly story: StoryWords; readonly before: Story["readiness"]; readonly after: CoachScore }>;
  suggest(goal: string, count: number): readonly StoryWords[];
}

const wordsMessage = ({ title, description, criteria }: StoryWords) => ({ title, description, ac: [...criteria] });

const opinionMessage = (opinion: CoachOpinion): MessageInitShape<typeof OpinionSchema> =>
  "error" in opinion
    ? { model: opinion.model, error: { ...opinion.error } }
    : { ...opinion, findings: [...opinion.findings], suggestions: [...opinion.suggestions] };

const scoreMessage = (scored: CoachScore): MessageInitShape<typeof ScoreStoryResponseSchema> =>
  present({
    total: Math.floor(scored.score),
    findings: scored.findings.map(({ code, message, part }) => ({ code, message, part })),
    threshold: scored.threshold,
    ready: scored.ready,
    parts: scored.parts.map(({ part: name, points, max }) => ({ name, points, max })),
    opinion: scored.opinion && opinionMessage(scored.opinion),
  });

const rigorOf = (rigor: string): Rigor => checked(rigorSchema, rigor || "L1", "rigor");

export const coachService = (coach: Coach): ServiceImpl<typeof StoryCoachService> => ({
  async scoreStory({ title, description, ac, rigor }, context) {
    const story = { title, description, criteria: ac };
    return scoreMessage(await coach.score(story, rigorOf(rigor), callOf(context)));
  },
  async refineStory({ title, description, ac, rigor }, context) {
    const draft = { title, description, criteria: ac };
    const { story, before, after } = await coach.refine(draft, rigorOf(rigor), callOf(context));
    return { ...wordsMessage(story), totalBefore: Math.floor(before.score), score: scoreMessage(after) };
  },
  suggestStory({ goal, count }) {
    const [first, ...others] = coach.suggest(goal, count || 1).map(wordsMessage);
    return { ...first, others };
  },
});
