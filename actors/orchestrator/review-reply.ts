// Reads a reviewer's reply: its words, its score, and its judgement of each thing in the rubric. What cannot be read is left out; nothing is
// guessed in its place.

import { z } from "zod";
import { jsonValues, withoutThoughts } from "../agent/reply-json.ts";
import type { Brief } from "./deliberation-request.ts";

export interface ReviewReply {
  readonly text: string;
  /** 0 to 1; undefined when there is none that can be read. */
  readonly score: number | undefined;
  /** By the rubric's names; those that can be read. */
  readonly items: Readonly<Record<string, number>>;
}

const share = z.number().min(0).max(1);
const replySchema = z.object({
  text: z.string().trim().min(1),
  score: z.unknown(),
  items: z.record(z.string(), z.unknown()).catch({}),
});

/** Words that are no JSON are a review all the same, without a score. Undefined when there are no words. */
export function readReview(reply: string, { rubric }: Pick<Brief, "rubric">): ReviewReply | undefined {
  for (const value of jsonValues(reply)) {
    const parsed = replySchema.safeParse(value);
    if (!parsed.success) continue;
    const { text, score, items } = parsed.data;
    const judged = rubric.flatMap(({ name }) => {
      const read = share.safeParse(Object.hasOwn(items, name) ? items[name] : undefined);
      return read.success ? [[name, read.data] as const] : [];
    });
    return { text, score: share.safeParse(score).data, items: Object.fromEntries(judged) };
  }
  const text = withoutThoughts(reply)?.trim() ?? "";
  return text === "" ? undefined : { text, score: undefined, items: {} };
}
