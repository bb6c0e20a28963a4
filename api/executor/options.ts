// What `flotilla agent-executor` was asked, resolved once from its options and variables.
//
// EO1  Secrets come by variables alone (O3 of api/options.ts): FLOTILLA_USER, FLOTILLA_PASS, FLOTILLA_CREDS or FLOTILLA_CREDS_TEXT, FLOTILLA_API_KEY.
// EO2  Texts may come by variables, too: a command line takes only so much, and shows it to everybody.

import { resolve } from "node:path";
import { z } from "zod";
import {
  BLOB_PREFIX,
  type ExecutorOrder,
  executorName,
  type PolicyRules,
  policyRulesSchema,
} from "../../actors/index.ts";
import { parseDuration } from "../duration.ts";
import { fail } from "../errors.ts";
import { jsonOf } from "../json-text.ts";
import { type FleetOptions, fleetOptions } from "../options.ts";

/** As the command line has them. */
export interface ExecutorFlags {
  readonly taskId?: string;
  readonly storyId?: string;
  readonly attempt?: string;
  readonly jobId?: string;
  readonly agentId?: string;
  readonly role?: string;
  readonly task?: string;
  readonly context?: string;
  readonly workspace?: string;
  readonly repo?: string;
  readonly branch?: string;
  readonly base?: string;
  readonly bundle?: string;
  readonly natsUrl?: string;
  readonly prefix?: string;
  readonly creds?: string;
  readonly model?: string;
  readonly modelUrl?: string;
  readonly modelNode?: string;
  readonly timeout?: string;
}

export interface ExecutorOptions {
  readonly fleet: FleetOptions;
  /** Of the node that it joins the fleet as. */
  readonly name: string;
  readonly order: ExecutorOrder;
}

/** Says that the text is in the variable. */
const BY_VARIABLE = "-";
const ID = /^[A-Za-z0-9][A-Za-z0-9_-]{0,63}$/;
const TIMEOUT_MAX_MS = 24 * 60 * 60_000;
const SHOWN_MAX = 80;

const id = z.string("an id").regex(ID, "1 to 64 letters, digits, _ and -");
const words = (what: string) => z.string(what).trim().min(1, what);

const SCHEMA = z.object({
  taskId: id,
  storyId: id,
  attempt: z
    .string()
    .regex(/^[1-9]\d{0,5}$/, "a whole number from 1")
    .transform(Number),
  agentId: words("the name of an agent"),
  role: words("a role such as DEV"),
  task: words("the task in words, or - for FLOTILLA_TASK"),
  workspace: words("a folder").transform((path) => resolve(path)),
  base: z
    .string()
    .regex(/^(?:[0-9a-f]{40}|[0-9a-f]{64})$/, "a full commit hash")
    .optional(),
  bundle: z
    .string()
    .regex(/^[0-9a-f]{64}$/, "the hash of a blob")
    .optional(),
  model: words("the name of a model, or mock, mock:sloppy, mock:wrong"),
  modelUrl: z
    .string()
    .refine((text) => URL.canParse(text) && /^https?:/.test(text), "an http:// or https:// address")
    .optional(),
  timeout: z
    .string()
    .transform((text) => parseDuration(text) ?? Number.NaN)
    .refine((ms) => ms >= 1_000 && ms <= TIMEOUT_MAX_MS, "a duration from 1s to 24h, such as 90s, 5m or 1h"),
});

/** Resolves the options or throws OptionInvalid, naming the option, what was expected and what came. */
export function executorOptions(flags: ExecutorFlags, env: NodeJS.ProcessEnv = process.env): ExecutorOptions {
  const role = flags.role ?? "DEV";
  const given = {
    ...{ storyId: "none", attempt: "1", timeout: "10m", agentId: `agent-${role.toLowerCase()}-001` },
    ...flags,
    role,
    task: flags.task === BY_VARIABLE ? env.FLOTILLA_TASK : flags.task,
    model: flags.model ?? (env.FLOTILLA_MODEL || undefined),
    modelUrl: flags.modelUrl ?? (env.FLOTILLA_MODEL_URL || undefined),
  };
  const parsed = SCHEMA.safeParse(given);
  if (!parsed.success) throw invalid(parsed.error.issues[0], given);
  const { taskId, storyId, attempt, agentId, task, workspace, base, bundle, timeout } = parsed.data;
  const { repo, branch, modelNode, jobId = `${storyId}-${taskId}-${attempt}` } = flags;
  const context = flags.context === BY_VARIABLE ? env.FLOTILLA_CONTEXT : flags.context;
  return {
    fleet: fleetOf(flags, env),
    name: executorName(jobId),
    order: {
      ...{ storyId, taskId, attempt, agentId, role, workspace, timeoutMs: timeout },
      ...{ text: task, context: context ?? "", model: modelOf(parsed.data, env) },
      ...(modelNode !== undefined && { modelNode }),
      ...(repo !== undefined && { repository: { url: repo, ...(branch !== undefined && { branch }) } }),
      ...(base !== undefined && { base }),
      ...(env.FLOTILLA_POLICY && { policyRules: rulesOf(env.FLOTILLA_POLICY) }),
      ...(bundle !== undefined && { bundle }),
    },
  };
}

function fleetOf({ natsUrl, prefix, creds }: ExecutorFlags, env: NodeJS.ProcessEnv): FleetOptions {
  const given = {
    ...(natsUrl !== undefined && { servers: natsUrl }),
    ...(prefix !== undefined && { prefix }),
    ...(creds !== undefined && { creds }),
  };
  const { FLOTILLA_CREDS_TEXT: text } = env;
  return { ...fleetOptions(given, env), ...(text && { creds: text }) };
}

/** Without its rules an agent might do what somebody wants to be asked about: it does not begin. */
function rulesOf(text: string): PolicyRules {
  const parsed = policyRulesSchema.safeParse(jsonOf(text));
  if (parsed.success) return parsed.data;
  const { path = [], message } = parsed.error.issues[0] ?? {};
  throw fail("OptionInvalid", `FLOTILLA_POLICY: ${path.join(".") || "it"}: ${message}.`, {
    data: { option: "policy" },
  });
}

function modelOf(
  { model, modelUrl: url }: { readonly model: string; readonly modelUrl?: string | undefined },
  { FLOTILLA_API_KEY: apiKey }: NodeJS.ProcessEnv,
): ExecutorOrder["model"] {
  const [, variant] = /^mock(?::(clean|sloppy|wrong))?$/.exec(model) ?? [];
  if (variant !== undefined) return { kind: "mock", variant: variant as "clean" | "sloppy" | "wrong" };
  if (model === "mock") return { kind: "mock" };
  if (url === undefined) return { kind: "node", model };
  return { kind: "openai", url, model, ...(apiKey && { apiKey }) };
}

function invalid(issue: z.core.$ZodIssue | undefined, given: Readonly<Record<string, unknown>>) {
  const key = String(issue?.path[0] ?? "");
  const option = `--${key.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
  const value = given[key];
  const came = value === undefined ? "it is missing" : `got ${JSON.stringify(String(value).slice(0, SHOWN_MAX))}`;
  return fail("OptionInvalid", `${option}: expected ${issue?.message ?? "something else"}, ${came}.`, {
    data: { option: key },
  });
}

export const TEXT_HELP = `
A task or a context of - is read from FLOTILLA_TASK or FLOTILLA_CONTEXT; one that begins with ${BLOB_PREFIX} is the hash of a blob of the fleet.
The user and password of the fleet come from FLOTILLA_USER and FLOTILLA_PASS, a credentials file's text from FLOTILLA_CREDS_TEXT, the key of
the model server from FLOTILLA_API_KEY.
Status 0: the result is posted, whatever it says. 1: there is none. 3: another executor of this job is at work.`;
