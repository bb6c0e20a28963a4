// What the commands were asked, resolved once from their options and variables into full, validated objects.
// It is not the parsing of the command line (cli.ts).
//
// O1  An option wins over its variable. An empty variable is as good as none.
// O2  The model is always chosen by the user; nothing here falls back to the mock.
// O3  Keys and passwords are no options: a command line can be read by everyone on the machine. Addresses may hold a password, which the
//     variable hides.

import { readFileSync } from "node:fs";
import { homedir, hostname } from "node:os";
import { isAbsolute, join, resolve } from "node:path";
import { z } from "zod";
import { AGENTS_MAX } from "../actors/index.ts";
import { type DaemonFlags, type DaemonSettings, parseDaemon } from "./daemon-flags.ts";
import { parseDuration } from "./duration.ts";
import { fail } from "./errors.ts";
import { parseLabels } from "./labels.ts";

/** Which model the agents talk to: an OpenAI-compatible server, on a fleet the servers of their own nodes, or the scripted mock. */
export type ModelChoice =
  | { readonly kind: "node"; readonly model: string }
  | { readonly kind: "openai"; readonly url: string; readonly model: string; readonly apiKey: string | undefined }
  | { readonly kind: "mock" };

export interface TaskOptions {
  /** Absolute path of a folder, or a repository's address. */
  readonly repo: string;
  readonly task: string;
  readonly role: string;
  readonly agents: number;
  readonly model: ModelChoice;
  /** The fleet whose nodes run the agents; absent: this process does. */
  readonly fleet?: FleetOptions;
  readonly timeoutMs: number;
  /** Print one JSON object instead of text. */
  readonly json: boolean;
  /** Merge the winner's branch into the branch that is checked out. */
  readonly apply: boolean;
  /** Keep the agents' clones. */
  readonly keep: boolean;
}

/** The options as the command line has them: text, or absent. */
export interface TaskFlags extends FleetFlags {
  readonly repo?: string;
  readonly task?: string;
  readonly role?: string;
  readonly agents?: string;
  readonly modelUrl?: string;
  readonly model?: string;
  readonly timeout?: string;
  readonly json?: boolean;
  readonly apply?: boolean;
  readonly keep?: boolean;
}

const TASK_MAX_CHARACTERS = 20_000;
const TIMEOUT_MAX_MS = 24 * 60 * 60_000;
const duration = (text: string) => parseDuration(text) ?? Number.NaN;
const isHttp = (text: string) => URL.canParse(text) && /^https?:$/.test(new URL(text).protocol);

const AGENTS_EXPECTED = `a whole number from 1 to ${AGENTS_MAX}`;

/** What each option must be; the message is what a user reads after "expected". */
const SCHEMA = z.object({
  repo: z.string("a folder or a repository's address").trim().min(1, "a folder or a repository's address"),
  task: z
    .string("the task in your words")
    .trim()
    .min(1, "the task in your words")
    .max(TASK_MAX_CHARACTERS, `at most ${TASK_MAX_CHARACTERS} characters`),
  role: z.string().trim().min(1, "a role such as DEV"),
  agents: z
    .string()
    .regex(/^\d{1,9}$/, AGENTS_EXPECTED)
    .transform(Number)
    .refine((count) => count >= 1 && count <= AGENTS_MAX, AGENTS_EXPECTED),
  timeout: z
    .string()
    .transform(duration)
    .refine((ms) => ms >= 1_000 && ms <= TIMEOUT_MAX_MS, "a duration from 1s to 24h, such as 90s, 5m or 1h"),
  modelUrl: z
    .string()
    .trim()
    .refine(isHttp, "an http:// or https:// address, such as http://127.0.0.1:8000/v1")
    .optional(),
  model: z.string().trim().min(1, "the name of a model").optional(),
});

/** What the user types for each of them. */
const NAMES: Readonly<Record<string, string>> = {
  modelUrl: "--model-url (FLOTILLA_MODEL_URL)",
  model: "--model (FLOTILLA_MODEL)",
};

const SHOWN_MAX = 80;

/** Resolves the options or throws OptionInvalid or ModelNotChosen, naming the option, its variable, what was expected and what came. */
export function taskOptions(flags: TaskFlags, env: NodeJS.ProcessEnv = process.env): TaskOptions {
  const given = {
    role: "DEV",
    agents: "3",
    timeout: "5m",
    ...flags,
    modelUrl: flags.modelUrl ?? (env.FLOTILLA_MODEL_URL || undefined),
    model: flags.model ?? (env.FLOTILLA_MODEL || undefined),
  };
  const parsed = SCHEMA.safeParse(given);
  if (!parsed.success) throw optionInvalid(parsed.error.issues[0], given);
  const { repo, task, role, agents, timeout, modelUrl, model } = parsed.data;
  const asksFleet = flags.servers || flags.prefix || flags.creds || env.FLOTILLA_SERVERS;
  const fleet = asksFleet ? fleetOptions(flags, env) : undefined;
  return {
    repo: repositoryPlace(repo),
    task,
    role,
    agents,
    model:
      fleet === undefined
        ? chooseModel(modelUrl, model, flags, env.FLOTILLA_API_KEY || undefined)
        : chooseFleetModel(model, flags),
    ...(fleet !== undefined && { fleet }),
    timeoutMs: timeout,
    json: flags.json ?? false,
    apply: flags.apply ?? false,
    keep: flags.keep ?? false,
  };
}

/** A repository as it is named on the command line: its address, or the absolute path of a folder. */
export const repositoryPlace = (repo: string): string => (isAddress(repo) ? repo : resolve(repo));

/** "https://…", "ssh://…", "file://…" or "git@host:path": not a folder here. */
const isAddress = (repo: string): boolean =>
  !isAbsolute(repo) && (/^[a-z][a-z0-9+.-]*:\/\//i.test(repo) || /^[\w.-]+@[\w.-]+:/.test(repo));

function optionInvalid(issue: z.core.$ZodIssue | undefined, given: Readonly<Record<string, unknown>>) {
  const option = String(issue?.path[0] ?? "");
  const name = NAMES[option] ?? `--${option}`;
  const value = given[option];
  const came = value === undefined ? "it is missing" : `got ${JSON.stringify(String(value).slice(0, SHOWN_MAX))}`;
  return fail("OptionInvalid", `${name}: expected ${issue?.message ?? "something else"}, ${came}.`, {
    data: { option },
  });
}

/** A server and a model on it, or the mock; never one by itself (O2). Throws OptionInvalid, ModelNotChosen. */
export function chooseModel(
  url: string | undefined,
  model: string | undefined,
  flags: Pick<TaskFlags, "modelUrl">,
  apiKey: string | undefined,
): Exclude<ModelChoice, { kind: "node" }> {
  if (model === "mock") {
    if (flags.modelUrl === undefined) return { kind: "mock" };
    throw fail("OptionInvalid", "--model mock is the built-in mock and has no server: leave --model-url out.");
  }
  if (url !== undefined && model !== undefined) return { kind: "openai", url, model, apiKey };
  if (url !== undefined) {
    throw fail("OptionInvalid", `--model (FLOTILLA_MODEL): expected the name of a model on ${url}, it is missing.`);
  }
  if (model !== undefined) {
    const name = JSON.stringify(model.slice(0, SHOWN_MAX));
    throw fail(
      "OptionInvalid",
      `--model-url (FLOTILLA_MODEL_URL): expected the address of the server that has ${name}, it is missing.`,
    );
  }
  throw fail("ModelNotChosen", MODEL_CHOICES);
}

/** FLOTILLA_MODEL_URL is for tasks in this process and not looked at. */
function chooseFleetModel(model: string | undefined, { modelUrl }: TaskFlags): ModelChoice {
  if (modelUrl !== undefined) {
    const message =
      "--model-url: agents on a fleet (--servers, FLOTILLA_SERVERS) ask the model servers of their own nodes: leave it out, or leave the fleet out.";
    throw fail("OptionInvalid", message, { data: { option: "modelUrl" } });
  }
  if (model === "mock") return { kind: "mock" };
  if (model !== undefined) return { kind: "node", model };
  throw fail("ModelNotChosen", FLEET_MODEL_CHOICES);
}

const FLEET_MODEL_CHOICES = `no model is chosen. Name one that a node of the fleet has (flotilla nodes lists them):
  --model NAME (FLOTILLA_MODEL)
or ask for the scripted mock: --model mock`;

const MODEL_CHOICES = `no model is chosen. Either name an OpenAI-compatible server and a model on it:
  --model-url http://127.0.0.1:8000/v1 --model NAME
  (or FLOTILLA_MODEL_URL and FLOTILLA_MODEL; a key goes into FLOTILLA_API_KEY)
or ask for the scripted mock, which knows "Add NAME() function to PATH" and "Fix … bug in PATH" and no language model:
  --model mock`;

/** Which fleet a command speaks to. */
export interface FleetFlags {
  readonly servers?: string;
  readonly prefix?: string;
  readonly creds?: string;
}

/** What `connect` needs to join a fleet. */
export interface FleetOptions {
  readonly servers: string;
  readonly prefix?: string;
  readonly user?: string;
  readonly pass?: string;
  /** Content of a NATS credentials file: a user's seed, with or without a JWT. */
  readonly creds?: string;
}

const NO_SERVERS = `--servers (FLOTILLA_SERVERS): expected the address of the fleet's NATS server, nats://host:4222, it is missing.
To get a server: flotilla server --folder DIR, or by hand: go install github.com/nats-io/nats-server/v2@v2.15.2 && nats-server -a 127.0.0.1 -js -sd DIR`;

/** The fleet's address and who we are there (O3). Throws OptionInvalid. */
export function fleetOptions(flags: FleetFlags, env: NodeJS.ProcessEnv = process.env): FleetOptions {
  const servers = flags.servers || env.FLOTILLA_SERVERS;
  if (!servers) throw fail("OptionInvalid", NO_SERVERS, { data: { option: "servers" } });
  const prefix = flags.prefix || env.FLOTILLA_PREFIX;
  const credsFile = flags.creds || env.FLOTILLA_CREDS;
  const { FLOTILLA_USER: user, FLOTILLA_PASS: pass } = env;
  return {
    servers,
    ...(prefix && { prefix }),
    ...(user && { user, pass: pass ?? "" }),
    ...(credsFile && { creds: readCreds(credsFile) }),
  };
}

function readCreds(file: string): string {
  const refuse = (problem: string) => {
    const message = `--creds (FLOTILLA_CREDS): expected a NATS credentials file, ${JSON.stringify(file)} ${problem}.`;
    return fail("OptionInvalid", message, { data: { option: "creds" } });
  };
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (error) {
    throw refuse(`cannot be read (${(error as NodeJS.ErrnoException).code})`);
  }
  if (!text.includes("BEGIN USER NKEY SEED")) throw refuse("holds no block BEGIN USER NKEY SEED");
  return text;
}

export interface DoctorFlags extends FleetFlags {
  readonly adopt?: readonly string[];
  readonly folder?: string;
  readonly json?: boolean;
}

/** `flotilla doctor`, complete. */
export interface DoctorChoice {
  /** Absent: no server was named, so only this machine is looked at. */
  readonly fleet?: FleetOptions;
  readonly credsFile?: string;
  /** Addresses of model servers. */
  readonly adopt: readonly string[];
  /** Absolute. */
  readonly folder?: string;
  readonly json: boolean;
}

/** Resolves the options of the doctor or throws OptionInvalid. */
export function doctorOptions(flags: DoctorFlags, env: NodeJS.ProcessEnv = process.env): DoctorChoice {
  const { adopt = [], folder, json = false } = flags;
  const wrong = adopt.find((url) => !isHttp(url));
  if (wrong !== undefined) {
    const got = JSON.stringify(wrong.slice(0, SHOWN_MAX));
    throw fail("OptionInvalid", `--adopt: expected an address such as http://127.0.0.1:8000, got ${got}.`);
  }
  const credsFile = flags.creds || env.FLOTILLA_CREDS;
  return {
    ...((flags.servers || env.FLOTILLA_SERVERS) && { fleet: fleetOptions(flags, env) }),
    ...(credsFile && { credsFile }),
    ...(folder && { folder: resolve(folder) }),
    adopt,
    json,
  };
}

export interface NodeFlags extends FleetFlags {
  readonly actors?: readonly string[];
  readonly name?: string;
  readonly labels?: readonly string[];
  readonly allowCode?: boolean;
  readonly lease?: string;
  readonly warmProcesses?: string;
  readonly json?: boolean;
}

/** `flotilla node`, complete. */
export interface NodeOptions {
  readonly fleet: FleetOptions;
  /** Paths of modules that export actor types. */
  readonly actors: readonly string[];
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  readonly allowCode: boolean;
  readonly lease: "normal" | "fast";
  /** Absent: as `connect` has it. */
  readonly warmProcesses?: number;
  readonly json: boolean;
  /** A password was given where everybody on the machine can read it. */
  readonly showsPassword: boolean;
}

/** Resolves the options of a node or throws OptionInvalid. `chance`: makes a name that nobody else has. */
export function nodeOptions(
  flags: NodeFlags,
  chance: string,
  env: NodeJS.ProcessEnv = process.env,
  host = hostname(),
): NodeOptions {
  const { actors = [], lease = "normal", allowCode = false, warmProcesses } = flags;
  if (lease !== "normal" && lease !== "fast") {
    throw fail("OptionInvalid", `--lease: expected normal or fast, got ${JSON.stringify(lease.slice(0, SHOWN_MAX))}.`);
  }
  if (warmProcesses !== undefined && !/^\d{1,2}$/.test(warmProcesses)) {
    const got = JSON.stringify(warmProcesses.slice(0, SHOWN_MAX));
    throw fail("OptionInvalid", `--warm-processes: expected a whole number from 0 to 64, got ${got}.`);
  }
  const plainHost = host.replace(/\..*$/, "").replace(/[^A-Za-z0-9_-]/g, "-");
  return {
    fleet: fleetOptions(flags, env),
    actors,
    name: flags.name ?? `${plainHost.slice(0, HOST_MAX) || "node"}-${chance}`,
    labels: parseLabels(flags.labels ?? []),
    allowCode,
    lease,
    ...(warmProcesses !== undefined && { warmProcesses: Number(warmProcesses) }),
    json: flags.json ?? false,
    showsPassword: /\/\/[^@/]+:[^@/]+@/.test(flags.servers ?? ""),
  };
}

const HOST_MAX = 40;
export interface ServerFlags {
  readonly folder?: string;
  readonly port?: string;
  readonly durable?: boolean;
}

/** `flotilla server`, complete. */
export interface ServerOptions {
  /** Absolute. */
  readonly folder: string;
  /** Undefined: as before in this folder, else 4222. */
  readonly port: number | undefined;
  readonly mode: "fast" | "durable";
}

/** Resolves the options of a server or throws OptionInvalid. */
export function serverOptions({ folder, port, durable = false }: ServerFlags): ServerOptions {
  if (!folder) throw fail("OptionInvalid", "--folder: expected a folder for the server's data, it is missing.");
  if (port !== undefined && !(/^\d{1,5}$/.test(port) && Number(port) <= 65_535)) {
    const got = JSON.stringify(port.slice(0, SHOWN_MAX));
    throw fail("OptionInvalid", `--port: expected a number from 0 (any free one) to 65535, got ${got}.`);
  }
  return {
    folder: resolve(folder),
    port: port === undefined ? undefined : Number(port),
    mode: durable ? "durable" : "fast",
  };
}

export interface UpFlags {
  readonly folder?: string;
  readonly port?: string;
  readonly host?: string;
  readonly durable?: boolean;
}

/** Of a fleet's own server. */
export interface UpOptions extends ServerOptions {
  /** Undefined: the loopback. */
  readonly host?: string;
}

/** Where `flotilla up` keeps a fleet's data when it is not told: FLOTILLA_HOME, or ~/.flotilla. Throws OptionInvalid. */
export function upOptions({ folder, host, ...flags }: UpFlags, env: NodeJS.ProcessEnv = process.env): UpOptions {
  const home = folder || env.FLOTILLA_HOME || join(homedir(), ".flotilla");
  if (host !== undefined && !/^[A-Za-z0-9.:-]{1,255}$/.test(host)) {
    throw fail(
      "OptionInvalid",
      `--host: expected an address of this machine, got ${JSON.stringify(host.slice(0, SHOWN_MAX))}.`,
    );
  }
  return { ...serverOptions({ ...flags, folder: home }), ...(host !== undefined && { host }) };
}

/** A daemon's options, with what its environment says. Throws OptionInvalid, AmountsInvalid. */
export const daemonSettings = (flags: DaemonFlags, env: NodeJS.ProcessEnv = process.env): DaemonSettings =>
  parseDaemon(flags, { program: env.FLOTILLA_VLLM, apiKey: env.FLOTILLA_API_KEY });

/** Whether text for this output should be coloured (no-color.org). */
export const wantsColour = (isTerminal: boolean, env: NodeJS.ProcessEnv = process.env): boolean =>
  isTerminal && !env.NO_COLOR && env.TERM !== "dumb";
