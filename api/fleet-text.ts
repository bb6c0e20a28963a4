// How a fleet looks in a terminal: the promises in force, log lines, what its nodes are. It asks nobody.
// Its list of nodes: nodes-text.ts. What a host says of itself: host-text.ts.

import type { ActorSystem, LogLine, NodeRecord } from "../runtime/index.ts";
import { type Paper, plain } from "./paper.ts";

export type Facts = NonNullable<ActorSystem["facts"]>;

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

export const labelsText = (labels: NodeRecord["labels"]): string =>
  Object.entries(labels)
    .map(([key, value]) => `${key}=${value}`)
    .join(",");

/** What a node takes: "hosts", "draining", or "script" for one that takes nothing. */
export const stateOf = ({ accepts, draining }: NodeRecord): string =>
  draining ? "draining" : accepts ? "hosts" : "script";

/** The types that a node hosts for others; those by which it answers for itself are its own affair. */
export const typesText = ({ types, allowsCode }: NodeRecord): string =>
  [
    ...types.flatMap(({ type }) => (type.startsWith("flotilla.") ? [] : [type])),
    ...(allowsCode ? ["(any, by bundle)"] : []),
  ].join(", ");

export const since = (atMs: number): string => new Date(atMs).toISOString().replace("T", " ").slice(0, 19);

/** A log line with its level in colour. */
export function logText(text: string, { level }: LogLine, { colour }: Paper): string {
  if (level === "error") return colour.red(text);
  if (level === "warn") return colour.yellow(text);
  return level === "debug" ? colour.dim(text) : text;
}
