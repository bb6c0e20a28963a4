// What may be asked of a council, checked; and the brief that its members get.
// It is not what they are told in words (proposal-prompts.ts).

import { z } from "zod";
import { AGENTS_MAX, type Role } from "../council/roles.ts";
import { NAME_MAX } from "../events/envelope.ts";
import { CRITERIA_MAX, TEXT_MAX } from "../planning/story.ts";
import { refuse } from "./errors.ts";

export const ROUNDS_MAX = 10;
const RUBRIC_MAX = 20;
const METADATA_MAX = 32;
const CONTEXT_MAX = 100_000;
const TIMEOUT_MS = 120_000;
const TIMEOUT_MAX_MS = 3_600_000;

/** Of what is asked for: a subject's token, long enough for `<storyId>-<taskId>`. */
const taskId = z.string().regex(/^[A-Za-z0-9][A-Za-z0-9_-]{0,129}$/, "1 to 130 letters, digits, _ and -");
const sentence = z.string().trim().min(1).max(2_000);

const rubricSchema = z
  .array(
    z.object({ name: z.string().trim().min(1).max(NAME_MAX), weight: z.number().positive().max(1_000).default(1) }),
  )
  .max(RUBRIC_MAX)
  .refine((items) => new Set(items.map(({ name }) => name)).size === items.length, "names one thing twice");

const metadataSchema = z
  .record(z.string().max(NAME_MAX), z.string().max(2_000))
  .refine((fields) => Object.keys(fields).length <= METADATA_MAX, `more than ${METADATA_MAX} fields`);

export const requestSchema = z.object({
  taskId: taskId.exactOptional(),
  task: z
    .string()
    .max(TEXT_MAX)
    .refine((text) => text.trim() !== "", "empty"),
  role: z.string().min(1).max(40),
  rounds: z.int().min(1).max(ROUNDS_MAX).exactOptional(),
  agents: z.int().min(1).max(AGENTS_MAX).exactOptional(),
  constraints: z
    .object({
      rubric: rubricSchema.default([]),
      requirements: z.array(sentence).max(CRITERIA_MAX).default([]),
      metadata: metadataSchema.default({}),
      timeoutMs: z.int().min(1).max(TIMEOUT_MAX_MS).default(TIMEOUT_MS),
    })
    .prefault({}),
  context: z.string().max(CONTEXT_MAX).default(""),
});

/** A request with its defaults. */
export type CheckedRequest = z.output<typeof requestSchema>;

/** Throws RequestInvalid. */
export function checkedRequest(request: unknown): CheckedRequest {
  const parsed = requestSchema.safeParse(request);
  if (parsed.success) return parsed.data;
  const [issue] = parsed.error.issues;
  const where = issue?.path.map(String).join(".") || "it";
  throw refuse("RequestInvalid", `The request is not valid: ${where.slice(0, NAME_MAX)}: ${issue?.message}.`, {
    data: { field: where.slice(0, NAME_MAX) },
  });
}

/** What the members of a council are asked, and judged by. */
export interface Brief {
  readonly role: Role;
  readonly task: string;
  /** "" when there is none. */
  readonly context: string;
  readonly rubric: readonly { readonly name: string; readonly weight: number }[];
  readonly requirements: readonly string[];
}

export const briefOf = ({ task, context, constraints }: CheckedRequest, role: Role): Brief => ({
  ...{ role, task, context },
  ...{ rubric: constraints.rubric, requirements: constraints.requirements },
});
