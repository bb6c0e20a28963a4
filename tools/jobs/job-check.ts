// What of a job's spec no container can run, found before anything is made of it, and what the two container forms say in the same words.
// It does not know what an engine or a cluster refuses: they say that themselves.

import { z } from "zod";
import type { FlotillaError } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import { type JobEnd, type JobSpec, WORKSPACE_ARGUMENT } from "./backend.ts";

const JOB_ID = /^[A-Za-z0-9_-]{1,200}$/;
const VARIABLE = /^[A-Za-z_][A-Za-z0-9_]*$/;
/** Linux starts no program with a longer argument or variable (MAX_ARG_STRLEN, with its closing zero). */
const ARGUMENT_MAX_BYTES = 128 * 1_024 - 1;
const NAMED_MAX = 80;

export function checkedJobId(jobId: string): string {
  if (JOB_ID.test(jobId)) return jobId;
  throw fail("JobRefused", `${named(jobId)} is no id of a job: 1 to 200 letters, digits, _ and -.`);
}

export const jobRefused = (jobId: string, why: string): FlotillaError =>
  fail("JobRefused", `The job ${jobId} cannot be started here: ${why}.`);

/** Throws JobRefused. */
export function checkSpec(spec: JobSpec): void {
  const jobId = checkedJobId(spec.jobId);
  const [program = ""] = spec.command;
  if (program === "") throw jobRefused(jobId, "its command names no program");
  for (const part of spec.command) checkText(jobId, "an argument of its command", part, 0);
  for (const [name, value] of Object.entries({ ...spec.env, ...spec.secretEnv })) {
    if (!VARIABLE.test(name)) throw jobRefused(jobId, `${named(name)} is no name of a variable`);
    checkText(jobId, `its variable ${name}`, value, name.length + 1);
  }
  if (!(spec.timeoutMs > 0)) throw jobRefused(jobId, `its timeoutMs is ${spec.timeoutMs}`);
}

function checkText(jobId: string, what: string, text: string, beforeBytes: number): void {
  if (text.includes("\0")) throw jobRefused(jobId, `${what} contains a zero byte`);
  const bytes = Buffer.byteLength(text) + beforeBytes;
  if (bytes <= ARGUMENT_MAX_BYTES) return;
  throw jobRefused(
    jobId,
    `${what} has ${bytes} bytes and no program takes more than ${ARGUMENT_MAX_BYTES}: have it read long texts from the store`,
  );
}

/** A name that labels, containers' names and selectors may have. */
export const fleetName = z
  .string()
  .regex(/^[a-z0-9]([a-z0-9-]{0,38}[a-z0-9])?$/, "1 to 40 small letters, digits and -");

/** An operator's settings with their defaults. Throws JobRefused, which names the setting. */
export function resolvedSettings<Schema extends z.ZodType>(
  what: string,
  schema: Schema,
  given: unknown,
): z.output<Schema> {
  const { success, data, error } = schema.safeParse(given);
  if (success) return data;
  const issues = error.issues.map(({ path, message }) => `${path.join(".") || "they"}: ${message}`);
  throw fail("JobRefused", `The settings of ${what} cannot be used: ${issues.join("; ")}.`);
}

/** The command as the job sees it. Only a whole argument is replaced: a text that mentions the word stays as it is. */
export const commandAt = (spec: JobSpec, workspace: string): readonly string[] =>
  spec.command.map((part) => (part === WORKSPACE_ARGUMENT ? workspace : part));

const named = (text: string): string => JSON.stringify(text.slice(0, NAMED_MAX));

export type FailedEnd = Extract<JobEnd, { kind: "failed" }>;

export const failedEnd = (code: string, message: string, retryable: boolean): FailedEnd => ({
  kind: "failed",
  code,
  message,
  retryable,
});

const ENDS: readonly string[] = ["exited", "timed_out", "cancelled", "failed"] satisfies JobEnd["kind"][];

/** An end that was kept with a job, as JSON; undefined for what is none. */
export function keptEnd(text: string | undefined): JobEnd | undefined {
  if (text === undefined) return undefined;
  try {
    const end = JSON.parse(text) as JobEnd;
    return ENDS.includes(end.kind) ? end : undefined;
  } catch {
    return undefined;
  }
}

/** Whether a registry's answer will be the same tomorrow. */
export const isFinalForImages = (message: string): boolean =>
  /not found|no such|does not exist|manifest unknown|denied|unauthorized|forbidden|invalid/i.test(message);
