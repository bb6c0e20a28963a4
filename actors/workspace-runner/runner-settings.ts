// What the runner is set to do, as plain data, and what becomes of that with its host's options: full and validated.

import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { z } from "zod";
import type { JobSpec } from "../../tools/index.ts";
import { type PolicyRules, policyRulesSchema } from "../policy-rules.ts";
import { fail } from "./errors.ts";
import type { RunnerHostOptions } from "./options.ts";

const COMMAND = ["flotilla", "agent-executor"] as const;

const settingsSchema = z
  .object({
    /** Where workspaces run. Default "process". */
    backend: z.enum(["process", "container", "kubernetes"]).default("process"),
    /** Of the container and Kubernetes forms, in their own words. */
    backendOptions: z.record(z.string(), z.unknown()).default({}),
    /** Jobs that run at once. Default 4. */
    runningMax: z.int().min(1).max(1_000).default(4),
    /** Longest time of a job, whatever its request says. Default an hour. */
    timeoutMaxMs: z.int().min(1_000).default(3_600_000),
    /** How often a job is begun again that its place has failed. Default 2. */
    retries: z.int().min(0).max(20).default(2),
    /** Program and first arguments of an executor. Default: this package's, in containers the one of that name on their PATH. */
    program: z.array(z.string().min(1)).min(1).optional(),
    /** What each job may use, where the form can hold it. */
    resources: z
      .object({ cpus: z.number().positive().exactOptional(), memoryBytes: z.int().positive().exactOptional() })
      .exactOptional(),
    /** Addresses of NATS as executors reach it. Default: the host's own (FLOTILLA_SERVERS). No credentials: FLOTILLA_USER and FLOTILLA_PASS. */
    natsUrl: z.string().min(1).optional(),
    prefix: z.string().min(1).optional(),
    /** Name of the node whose model servers executors ask, with a model of kind `node`. Default: the runner's own. */
    modelNode: z.string().min(1).optional(),
    /** Beside the standard policy of agents. Default: none. */
    policyRules: policyRulesSchema.exactOptional(),
  })
  .strict();

export type RunnerSettings = z.input<typeof settingsSchema>;

export interface RunnerSetup {
  readonly backend: "process" | "container" | "kubernetes";
  readonly backendOptions: Readonly<Record<string, unknown>>;
  readonly runningMax: number;
  readonly timeoutMaxMs: number;
  readonly retries: number;
  readonly program: readonly string[];
  readonly resources?: NonNullable<JobSpec["resources"]>;
  readonly natsUrl: string | undefined;
  readonly prefix: string | undefined;
  readonly modelNode: string | undefined;
  readonly policyRules?: PolicyRules;
  /** Where jobs, workspaces and repositories are kept: this fleet's own, because what is nobody's there is removed. */
  readonly folder: string;
  readonly env: Readonly<Record<string, string>>;
  readonly secretEnv: Readonly<Record<string, string>>;
}

/** Throws RunnerSettingInvalid. */
export function runnerSetup(settings: RunnerSettings, host: RunnerHostOptions): RunnerSetup {
  const parsed = settingsSchema.safeParse(settings);
  const issue = parsed.error?.issues[0];
  if (!parsed.success) {
    throw fail("RunnerSettingInvalid", `The runner's setting ${issue?.path.join(".")}: ${issue?.message}.`);
  }
  const { program, natsUrl, prefix, modelNode, ...rest } = parsed.data;
  const servers = natsUrl ?? host.natsUrl;
  const ownPrefix = prefix ?? host.prefix;
  if (/\/\/[^/@,]+@/.test(servers ?? ""))
    throw fail(
      "RunnerSettingInvalid",
      "The runner's setting natsUrl: no credentials; they go into FLOTILLA_USER and FLOTILLA_PASS.",
    );
  if (program === undefined && servers === undefined)
    throw fail(
      "RunnerSettingInvalid",
      "The runner's setting natsUrl (FLOTILLA_SERVERS): executors need the fleet's address, it is missing.",
    );
  return {
    ...rest,
    program: program ?? (rest.backend === "process" ? ownProgram() : COMMAND),
    natsUrl: servers,
    prefix: ownPrefix,
    modelNode,
    folder: join(host.folder, ownPrefix ?? "flotilla"),
    env: host.env,
    secretEnv: host.secretEnv,
  };
}

const ownProgram = (): readonly string[] => [
  process.execPath,
  fileURLToPath(new URL("../../api/start.mjs", import.meta.url)),
  "agent-executor",
];
