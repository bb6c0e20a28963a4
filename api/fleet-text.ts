// How a fleet looks in a terminal: the promises in force, its nodes, log lines.
// It asks nobody (node.ts, nodes.ts).

import type { Engine, Machine } from "../nodes/index.ts";
import type { ActorSystem, LogLine, NodeRecord } from "../runtime/index.ts";
import { clip, type Paper, plain, table } from "./paper.ts";

type Facts = NonNullable<ActorSystem["facts"]>;

const DURABILITY = {
  fast: "what was acknowledged survives any process; a power cut may take the last two minutes",
  durable: "what was acknowledged survives a power cut",
  replicated: "what was acknowledged survives the loss of a machine",
} satisfies Record<Facts["durability"], string>;

/** "fast: what was acknowledged survives …". */
export function durabilityText({ durability, replicas }: Pick<Facts, "durability" | "replicas">): string {
  const copies = replicas > 1 ? ` (${replicas} copies)` : "";
  return `${durability}${copies}: ${DURABILITY[durability]}`;
}

export const serverText = ({ server }: Facts): string => `nats-server ${server.version} at ${plain(server.address)}`;

const pairs = (labels: NodeRecord["labels"]): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");

/** What a node takes: "hosts", "draining", or "script" for one that takes nothing. */
export const stateOf = ({ accepts, draining }: NodeRecord): string =>
  draining ? "draining" : accepts ? "hosts" : "script";

const typesOf = ({ types, allowsCode }: NodeRecord): string =>
  [...types.map(({ type }) => type), ...(allowsCode ? ["(any, by bundle)"] : [])].join(", ");

const CELL_MAX = 44;

export const since = (atMs: number): string => new Date(atMs).toISOString().replace("T", " ").slice(0, 19);

/** One line for each node, by name. */
export function nodesText(nodes: readonly NodeRecord[], { colour }: Paper): string {
  const rows = nodes.map((record) => [
    clip(record.name, CELL_MAX),
    stateOf(record),
    clip(typesOf(record), CELL_MAX),
    clip(pairs(record.labels), CELL_MAX),
    since(record.startedMs),
    clip(record.flotilla, CELL_MAX),
    clip(record.node, CELL_MAX),
  ]);
  const [head = "", ...body] = table([["name", "state", "types", "labels", "since (UTC)", "version", "id"], ...rows]);
  return `${[colour.bold(head), ...body].join("\n")}\n`;
}

/** A log line with its level in colour. */
export function logText(text: string, { level }: LogLine, { colour }: Paper): string {
  if (level === "error") return colour.red(text);
  if (level === "warn") return colour.yellow(text);
  return level === "debug" ? colour.dim(text) : text;
}

/** What a node tells when it has joined. */
export function nodeText(own: NodeRecord, others: readonly NodeRecord[], facts: Facts, { colour }: Paper): string {
  const rows = [
    [`Node ${own.name}`, `id ${own.node}, flotilla ${own.flotilla}`],
    ["Server", serverText(facts)],
    ["Promise", durabilityText(facts)],
    ["Hosts", typesOf(own)],
    ["Labels", pairs(own.labels) || "none"],
    ["Code", own.allowsCode ? ALLOWED : "scripts may bring none; --allow-code lets them"],
    ["Fleet", others.length === 0 ? "nobody else yet" : others.map(({ name }) => name).join(", ")],
  ];
  const width = Math.max(...rows.map(([head = ""]) => head.length)) + 2;
  const lines = rows.map(([head = "", text = ""], at) => {
    const first = plain(head).padEnd(width);
    return `${at === 0 ? colour.bold(first) : first}${at === 5 && own.allowsCode ? colour.yellow(text) : plain(text)}`;
  });
  return `${lines.join("\n")}\n`;
}

const ALLOWED = "whoever may use this fleet can run code here, with all rights of this process";

const GIB = 2 ** 30;
const gib = (bytes: number): string => `${Math.round(bytes / GIB)} GiB`;

/** What a host has found on its machine. */
export function machineText({ discovery, gpus, amounts }: Machine, { colour }: Paper): string {
  const { cpus = 0, memoryBytes = 0, gpus: _, ...others } = amounts;
  const own = Object.entries(others).map(([name, amount]) => `, ${plain(name)} ${amount}`);
  const devices = gpus.map(({ index, kind, memoryBytes: bytes, id, faults }) => {
    const wrong = faults.length === 0 ? "" : colour.red(`  ${plain(faults.map(({ message }) => message).join("; "))}`);
    return `            ${index}  ${plain(kind)}, ${gib(bytes)}  ${colour.dim(plain(id))}${wrong}`;
  });
  const told = {
    found: () => `${gpus.length}, told by ${discovery.kind === "found" ? plain(discovery.tool) : ""}`,
    none: () => `none (${discovery.kind === "none" ? plain(discovery.why) : ""})`,
    failed: () => colour.red(discovery.kind === "failed" ? `${plain(discovery.tool)}: ${plain(discovery.why)}` : ""),
  }[discovery.kind]();
  return [
    `Machine     ${cpus} cores, ${gib(memoryBytes)} to grant${own.join("")}`,
    `GPUs        ${told}`,
    ...devices,
  ].join("\n");
}

/** A model server's state in a line. */
export function engineText({ model, url, status, version }: Engine, { colour }: Paper): string {
  const where = url === undefined ? "" : ` at ${plain(url)}`;
  const why = "why" in status && status.why !== undefined ? `: ${plain(status.why)}` : "";
  const what = version === undefined ? "" : ` (${plain(version)})`;
  const line = `model ${plain(model ?? url ?? "?")} is ${status.kind}${where}${what}${why}`;
  return status.kind === "dead" ? colour.red(line) : line;
}
