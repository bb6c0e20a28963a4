// A story's points of 100 by rules, with what was found: the definition of ready. Pure; no model has a say in it (story-opinion.ts).
// It is not the rules (story-checks.ts).

import type { Finding, Rigor, Story } from "../planning/story.ts";
import type { RigorTable } from "../workspace-score/rigor-table.ts";
import * as checks from "./story-checks.ts";

interface PartRule {
  readonly max: number;
  readonly check: checks.Check;
}

/** What each part is worth; 100 in all. */
const RULES = {
  criteria: { max: 30, check: checks.criteria },
  independent: { max: 10, check: checks.independent },
  negotiable: { max: 10, check: checks.negotiable },
  valuable: { max: 15, check: checks.valuable },
  estimable: { max: 10, check: checks.estimable },
  small: { max: 10, check: checks.small },
  testable: { max: 10, check: checks.testable },
  clarity: { max: 5, check: checks.clear },
} as const satisfies Readonly<Record<string, PartRule>>;

export type StoryPart = keyof typeof RULES;

export interface StoryScore {
  /** 0 to 100, with one decimal. */
  readonly score: number;
  readonly parts: readonly { readonly part: StoryPart; readonly points: number; readonly max: number }[];
  /** What keeps it from 100, and what to do. */
  readonly findings: readonly Finding[];
}

const tenths = (points: number) => Math.round(points * 10) / 10;

export function scoreStory(story: checks.StoryText): StoryScore {
  const words = checks.readStory(story);
  const judged = Object.entries(RULES).map(([name, { max, check }]) => {
    const { share, findings } = check(words);
    const part = name as StoryPart;
    return { part, points: tenths(max * share), max, findings: findings.map((finding) => ({ ...finding, part })) };
  });
  return {
    score: tenths(judged.reduce((sum, { points }) => sum + points, 0)),
    parts: judged.map(({ part, points, max }) => ({ part, points, max })),
    findings: [
      ...judged.flatMap(({ findings }) => findings),
      ...checks.open(story).map((finding) => ({ ...finding, part: "estimable" })),
    ],
  };
}

/** Definition of ready at a level: the rules' points beside what the level asks. */
export function readiness(story: checks.StoryText, rigor: Rigor, table: RigorTable): Story["readiness"] {
  const { score, findings } = scoreStory(story);
  return { score, threshold: table[rigor].readiness, findings: [...findings] };
}
