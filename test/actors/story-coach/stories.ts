// Stories of every kind: words that the rules look for, in any order, with marks and odd signs between them.

import fc from "fast-check";
import type { StoryText } from "../../../actors/story-coach/story-checks.ts";

const word = fc.oneof(
  fc.constantFrom(
    ...["Given", "when", "THEN", "given", "then", "As", "a", "I", "want", "so", "that", "Customer", "mail", "shows"],
    ...[
      "several",
      "lots",
      "of",
      "TODO",
      "fast",
      "etc",
      "depends",
      "on",
      "story",
      "Kafka",
      "run()",
      "[?",
      "]",
      "[? how many]",
    ],
    ...["- ", "1. ", ";", ".", "?", ",", "\n", "\n\n", "[link](x)", "ÄRGER", "İ", "e.g.", "don't"],
  ),
  fc.string({ maxLength: 4 }),
);
const text = (most: number) => fc.array(word, { maxLength: most }).map((words) => words.join(" "));

export const anyStory: fc.Arbitrary<StoryText> = fc.record({
  title: text(12).map((title) => title || "t"),
  description: text(40),
  criteria: fc.array(
    text(16).map((criterion) => criterion || "c"),
    { maxLength: 14 },
  ),
});
