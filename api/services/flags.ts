// The options of `flotilla services`, resolved into one full object. What they start: services.ts.
// Variables and secrets are read in options.ts and, by the services' host, in actors/options.ts.

import { readFileSync } from "node:fs";
import type { Command } from "commander";
import {
  type ModelSpec,
  type PolicyRules,
  policyRulesSchema,
  type ServiceName,
  type ServiceSettings,
} from "../../actors/index.ts";
import { parseDuration } from "../duration.ts";
import { fail } from "../errors.ts";
import { jsonOf } from "../json-text.ts";
import { type NodeFlags, type NodeOptions, nodeOptions } from "../options.ts";
import { type ModelFlags, serviceModel } from "./options.ts";

export interface ServiceFlags extends NodeFlags, ModelFlags {
  readonly only?: string;
  readonly graph?: string;
  readonly graphUser?: string;
  readonly backend?: string;
  readonly image?: string;
  readonly namespace?: string;
  readonly running?: string;
  readonly taskTimeout?: string;
  readonly storyTable?: string;
  readonly rigor?: string;
  readonly scopes?: string;
  readonly policy?: string;
  readonly rpc?: string;
  readonly tlsCert?: string;
  readonly tlsKey?: string;
}

/** Where a service's door listens: one address for all, or one for each of some. */
export interface RpcAddress {
  readonly services: readonly RpcService[] | "all";
  readonly host: string;
  readonly port: number;
}

export const RPC_SERVICES = ["planning", "storycoach", "workspace", "context", "orchestrator"] as const;
export type RpcService = (typeof RPC_SERVICES)[number];

export interface ServicesChoice {
  readonly node: NodeOptions;
  readonly names: readonly ServiceName[];
  readonly settings: ServiceSettings;
  readonly rpc: readonly RpcAddress[];
  readonly tls?: { readonly certFile: string; readonly keyFile: string };
}

const NAMES = ["planning", "context", "orchestrator", "workspace-runner"] as const satisfies readonly ServiceName[];
const BACKENDS = ["process", "container", "kubernetes"] as const;
const RPC_PORT = 50_051;
const RUNNING_MAX = 1_000;

export function addServiceFlags(command: Command): Command {
  return command
    .option("--only <services>", `some of them, by comma: ${NAMES.join(",")} (default: all)`)
    .option("--model <name>", "model of agents and councils, or mock (FLOTILLA_MODEL; default: none, tasks wait)")
    .option("--model-url <url>", "OpenAI-compatible server that has it (FLOTILLA_MODEL_URL; a key: FLOTILLA_API_KEY)")
    .option("--graph <url>", "Neo4j, bolt://host:7687 (password: FLOTILLA_NEO4J_PASSWORD; default: embedded)")
    .option("--graph-user <name>", "user of the graph's server (default: neo4j)")
    .option("--backend <kind>", `where agents' workspaces run: ${BACKENDS.join(", ")} (default: process)`)
    .option("--image <name>", "image of workspaces as containers or Kubernetes Jobs")
    .option("--namespace <name>", "Kubernetes namespace of Jobs (default: the configuration's)")
    .option("--running <count>", "workspaces at once (default: 4)")
    .option("--task-timeout <duration>", "time of one attempt of one task (default: 15m)")
    .option("--story-table <file>", "states and transitions of stories (default: the built-in table)")
    .option("--rigor <file>", "thresholds of the rigor levels (default: the built-in table)")
    .option("--scopes <file>", "what each role is told in each phase (default: the built-in table)")
    .option("--policy <file>", "JSON: rules beside the standard policy of agents, to deny or to ask people")
    .option(
      "--rpc <addresses>",
      `gRPC, gRPC-Web and JSON: HOST:PORT for all, SERVICE=HOST:PORT,… for each, or off (default: 127.0.0.1:${RPC_PORT})`,
    )
    .option("--tls-cert <file>", "certificate of the door, with --tls-key")
    .option("--tls-key <file>", "its key");
}

/** Throws OptionInvalid. `chance`: makes a name that nobody else has. */
export function servicesChoice(flags: ServiceFlags, chance: string): ServicesChoice {
  const { tlsCert, tlsKey } = flags;
  if ((tlsCert === undefined) !== (tlsKey === undefined))
    throw invalid("--tls-cert", "together with --tls-key", tlsCert);
  return {
    node: nodeOptions({ ...flags, name: flags.name ?? `services-${chance}` }, chance),
    names: flags.only === undefined ? NAMES : listed("--only", NAMES, flags.only),
    settings: settingsOf(flags),
    rpc: rpcOf(flags.rpc ?? `127.0.0.1:${RPC_PORT}`),
    ...(tlsCert !== undefined && tlsKey !== undefined && { tls: { certFile: tlsCert, keyFile: tlsKey } }),
  };
}

function settingsOf(flags: ServiceFlags): ServiceSettings {
  const model: ModelSpec | undefined = serviceModel(flags);
  const { graph, graphUser, image, namespace, storyTable, rigor, scopes, policy } = flags;
  const backend = oneOf("--backend", BACKENDS, flags.backend ?? "process");
  return {
    ...(model !== undefined && { model }),
    ...(storyTable !== undefined && { storyTable: textOf("--story-table", storyTable) }),
    ...(rigor !== undefined && { rigor: textOf("--rigor", rigor) }),
    ...(scopes !== undefined && { scopes: textOf("--scopes", scopes) }),
    graph:
      graph === undefined ? { kind: "embedded" } : { kind: "neo4j", url: boltUrl(graph), user: graphUser ?? "neo4j" },
    workspaces: {
      backend,
      backendOptions: backendOptions(backend, image, namespace),
      ...(policy !== undefined && { policyRules: rulesOf(policy) }),
      runningMax: whole("--running", flags.running ?? "4", RUNNING_MAX),
    },
    taskTimeoutMs: durationOf("--task-timeout", flags.taskTimeout ?? "15m"),
  };
}

/** An option that the backend does not have is a slip of the pen. */
function backendOptions(
  backend: (typeof BACKENDS)[number],
  image: string | undefined,
  namespace: string | undefined,
): Readonly<Record<string, unknown>> {
  if (image !== undefined && backend === "process")
    throw invalid("--image", "a backend with images: --backend container or kubernetes", image);
  if (namespace !== undefined && backend !== "kubernetes")
    throw invalid("--namespace", "--backend kubernetes", namespace);
  return { ...(image !== undefined && { image }), ...(namespace !== undefined && { namespace }) };
}

function boltUrl(text: string): string {
  const isBolt = URL.canParse(text) && /^(bolt|neo4j)(\+s|\+ssc)?:$/.test(new URL(text).protocol);
  if (!isBolt) throw invalid("--graph", "an address such as bolt://127.0.0.1:7687", text);
  return text;
}

/** "127.0.0.1:50051", "planning=127.0.0.1:50051,context=127.0.0.1:50054", "off". */
export function rpcOf(text: string): readonly RpcAddress[] {
  if (text === "off") return [];
  return text.split(",").map((part) => {
    const [, name, host = "", port = ""] = /^(?:([a-z]+)=)?(.+):(\d{1,5})$/.exec(part) ?? [];
    if (host === "" || Number(port) > 65_535) throw invalid("--rpc", "HOST:PORT, SERVICE=HOST:PORT,… or off", part);
    const services = name === undefined ? "all" : [oneOf("--rpc", RPC_SERVICES, name)];
    return { services, host: host.replace(/^\[|\]$/g, ""), port: Number(port) };
  });
}

function listed<T extends string>(option: string, known: readonly T[], text: string): readonly T[] {
  return [...new Set(text.split(",").map((name) => oneOf(option, known, name.trim())))];
}

function oneOf<T extends string>(option: string, known: readonly T[], text: string): T {
  const found = known.find((name) => name === text);
  if (found === undefined) throw invalid(option, `one of ${known.join(", ")}`, text);
  return found;
}

function whole(option: string, text: string, max: number): number {
  const isWhole = /^\d{1,6}$/.test(text) && Number(text) >= 1 && Number(text) <= max;
  if (!isWhole) throw invalid(option, `a whole number from 1 to ${max}`, text);
  return Number(text);
}

function durationOf(option: string, text: string): number {
  const ms = parseDuration(text);
  if (ms === undefined || ms < 1_000) throw invalid(option, "a duration from 1s, such as 90s, 15m or 1h", text);
  return ms;
}

function rulesOf(file: string): PolicyRules {
  const parsed = policyRulesSchema.safeParse(jsonOf(textOf("--policy", file)));
  if (parsed.success) return parsed.data;
  const { path = [], message } = parsed.error.issues[0] ?? {};
  throw invalid("--policy", `JSON rules (${path.join(".") || "it"}: ${message})`, file);
}

function textOf(option: string, file: string): string {
  try {
    return readFileSync(file, "utf8");
  } catch (error) {
    throw invalid(option, `a file that can be read (${(error as NodeJS.ErrnoException).code})`, file);
  }
}

const GOT_MAX = 80;

function invalid(option: string, expected: string, got: string | undefined) {
  const came = got === undefined ? "it is missing" : `got ${JSON.stringify(got.slice(0, GOT_MAX))}`;
  return fail("OptionInvalid", `${option}: expected ${expected}, ${came}.`, { data: { option } });
}
