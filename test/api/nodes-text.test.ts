// The list of nodes: within 80 columns, with what is free, GPUs, model servers and their reasons, and nothing that drives a terminal.

import { expect, it } from "vitest";
import { nodesText } from "../../api/nodes-text.ts";
import { makePaper } from "../../api/paper.ts";
import type { EngineReport, NodeRecord } from "../../runtime/index.ts";
import { recordOf, typesOf } from "../support/members.ts";

const GIB = 2 ** 30;
const engine = (more: Partial<EngineReport>): EngineReport => ({
  ...{ model: "m", state: "ready", running: 0, waiting: 0, slots: 64, kvUsage: 0 },
  ...more,
});
const host = (name: string, report: Partial<NonNullable<NodeRecord["report"]>> = {}): NodeRecord =>
  recordOf(name, {
    types: typesOf("agent", "flotilla.node", "flotilla.models"),
    startedMs: Date.UTC(2026, 10, 26, 10, 37, 48),
    resources: { cpus: 16, memoryBytes: 128 * GIB, gpus: 2 },
    report: {
      ...{ atMs: 0, actors: 3, free: { cpus: 1.5, memoryBytes: 100 * GIB, gpus: 0.5 }, gpus: [], engines: [] },
      ...report,
    },
  });
const textOf = (...nodes: NodeRecord[]) => nodesText(nodes, makePaper(80, false));

it("shows what each has free, its GPUs and its model servers, within 80 columns", () => {
  const kind = "NVIDIA H100 80GB HBM3";
  const gpu = { id: "GPU-5e1c2a77-0b5f-4f0c", kind, free: 0.5, memoryBytes: 80 * GIB, freeBytes: 40 * GIB };
  const engines = [
    engine({ model: "Qwen/Qwen3-8B", running: 3, waiting: 2, kvUsage: 0.12, tokensPerS: 1204.4 }),
    engine({ model: "big", state: "dead", why: "the device ran out of memory when it wanted 2.00 GiB more" }),
  ];
  const text = textOf(host("gpu1", { gpus: [gpu], engines }), recordOf("pc", { accepts: false }));
  expect(text.split("\n")).toEqual([
    "name  state   actors  free: cpus  memory       GPUs   since (UTC)",
    "gpu1  hosts        3  1.5/16      100/128 GiB  0.5/2  11-26 10:37",
    "pc    script       -  -           -            -      01-01 00:00",
    "",
    "name  GPU                    free  memory free   id",
    "gpu1  NVIDIA H100 80GB HBM3  50 %  40 of 80 GiB  GPU-5e1c2a7…",
    "",
    "name  model server   state  in hand  slots  cache  tokens/s",
    "gpu1  Qwen/Qwen3-8B  ready      3+2     64   12 %      1204",
    "gpu1  big            dead",
    "    the device ran out of memory when it wanted 2.00 GiB more",
    "",
    "name  id      version  hosts  labels",
    "gpu1  gpu1-1  0.0.0    agent",
    "pc    pc-1    0.0.0",
    "",
  ]);
});

it("stays within 80 columns but for what a node hosts, whatever names and reasons are", () => {
  const long = "x".repeat(200);
  const word = "why ".repeat(40);
  const text = textOf(
    host(long, {
      gpus: [{ id: long, kind: long, free: 1, memoryBytes: 80 * GIB, freeBytes: 80 * GIB }],
      engines: [engine({ model: long, state: "draining", running: 999, waiting: 999, slots: 9999, why: word })],
      faults: [`${long} fell off the bus`, word],
    }),
  );
  const parts = text.split("\n\n").slice(0, -1);
  const wide = parts.flatMap((part) => part.split("\n")).filter((line) => line.length > 80 && !line.includes(long));
  expect(wide).toEqual([]);
  expect(text).toContain("is faulty:");
});

it("says what did not fit into a report, and drives no terminal", () => {
  const text = textOf(
    host("a\u001b[31m", { cut: { engines: 2, urls: 3 }, engines: [engine({ model: "\u001b]0;m", why: "\u202eno" })] }),
  );
  expect(text).toContain("a has more than its report holds: 2 model servers.");
  expect(text).not.toContain("\u001b");
  expect(text).not.toContain("\u202e");
});
