// What a host says of itself in its terminal: its machine, its place in the fleet, the states of its model servers.

import type { Engine, Machine } from "../nodes/index.ts";
import type { NodeRecord } from "../runtime/index.ts";
import { inKeys } from "./engine-words.ts";
import { durabilityText, type Facts, labelsText, serverText, typesText } from "./fleet-text.ts";
import { type Paper, plain } from "./paper.ts";

/** What a node tells when it has joined. */
export function nodeText(own: NodeRecord, others: readonly NodeRecord[], facts: Facts, { colour }: Paper): string {
  const rows = [
    [`Node ${own.name}`, `id ${own.node}, flotilla ${own.flotilla}`],
    ["Server", serverText(facts)],
    ["Promise", durabilityText(facts)],
    ["Hosts", typesText(own)],
    ["Labels", labelsText(own.labels) || "none"],
    ["Code", own.allowsCode ? ALLOWED : "scripts may bring none; --allow-code lets them"],
    ["Fleet", namesText(others)],
  ];
  const width = Math.max(...rows.map(([head = ""]) => head.length)) + 2;
  const lines = rows.map(([head = "", text = ""], at) => {
    const first = plain(head).padEnd(width);
    return `${at === 0 ? colour.bold(first) : first}${at === 5 && own.allowsCode ? colour.yellow(text) : plain(text)}`;
  });
  return `${lines.join("\n")}\n`;
}

const NAMES_MAX = 8;

function namesText(others: readonly NodeRecord[]): string {
  if (others.length === 0) return "nobody else yet";
  const names = others.slice(0, NAMES_MAX).map(({ name }) => name);
  return others.length > NAMES_MAX ? `${names.join(", ")} and ${others.length - NAMES_MAX} more` : names.join(", ");
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
    failed: () => colour.red(discovery.kind === "failed" ? `none is granted: ${plain(discovery.why)}; ${UNREAD}` : ""),
  }[discovery.kind]();
  const problems = discovery.kind === "found" ? discovery.problems : [];
  return [
    `Machine     ${cpus} cores, ${gib(memoryBytes)} to grant${own.join("")}`,
    `GPUs        ${told}`,
    ...devices,
    ...problems.map((problem) => colour.yellow(`            ${plain(problem)}`)),
  ].join("\n");
}

const UNREAD = "mend that and start anew, or say what there is with --gpus";

/** A model server's state in a line; of a dead one also what becomes of it, or what to do. */
export function engineText({ model, url, status, version }: Engine, { colour }: Paper): string {
  const where = url === undefined ? "" : ` at ${plain(url)}`;
  const what = version === undefined ? "" : ` (${plain(version)})`;
  const line = `model ${plain(model ?? url ?? "?")} is ${status.kind}${where}${what}`;
  if (status.kind !== "dead") return line;
  const { why, returns, failure } = status;
  const { remedy } = failure.data;
  const next = { restart: "it is started again", answer: "it is looked at on", never: remedy }[returns];
  return colour.red(`${line}: ${plain(inKeys([why, next].filter((part) => typeof part === "string").join("; ")))}`);
}
