// A door over fake services: each method answers at once (fake-answers.ts), what it was asked is kept, and a test may have it do something else.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import type { Interceptor, Transport } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport, createGrpcWebTransport } from "@connectrpc/connect-node";
import type { ScoredReport, ServiceCall } from "../../../actors/index.ts";
import type { DoorClients } from "../../../api/grpc/call.ts";
import { DOOR_SERVICES, type GrpcDoorOptions, openGrpcDoor } from "../../../api/grpc/door.ts";
import { connect } from "../../../runtime/index.ts";
import * as fake from "./fake-answers.ts";

export interface Asked {
  readonly method: string;
  readonly args: readonly unknown[];
  readonly call: Required<ServiceCall>;
}

type Answer = (args: readonly unknown[], call: Required<ServiceCall>) => unknown;

const report: ScoredReport = { gate: "warn", score: 71.5, reasons: ["coverage"] };
const council = async () => fake.COUNCIL;
const story = async () => fake.STORY;

/** By service and method; tests put their own in the place of these. */
const answers = (): Record<string, Answer> => ({
  "planning.createProject": async () => fake.PROJECT,
  "planning.projects": async () => [fake.PROJECT],
  "planning.createEpic": async () => fake.EPIC,
  "planning.epics": async () => [fake.EPIC],
  "planning.createStory": story,
  "planning.editStory": story,
  "planning.story": story,
  "planning.stories": async () => ({ stories: [fake.STORY], next: "s1" }),
  "planning.available": async () => [
    { event: "build_done", to: "TEST", human: null, blocked: [{ guard: "all_tasks_done", reason: "1 is not done" }] },
    { event: "reject_build", to: "DESIGN", human: ["architect"], blocked: [] },
  ],
  "planning.transition": async () => ({ kind: "moved", story: fake.STORY }),
  "planning.proposePlan": story,
  "planning.addTasks": story,
  "planning.recordReport": async () => report,
  "planning.approvals": async () => [fake.APPROVAL],
  "planning.approval": async () => fake.APPROVAL,
  "planning.decide": async () => fake.APPROVAL,
  "planning.ask": async () => fake.APPROVAL,
  "runner.jobs": async () => [fake.JOB],
  "runner.job": async () => fake.JOB,
  "runner.cancel": async () => fake.JOB,
  "context.getContext": async () => ({
    ...{
      context: "Know this",
      tokenCount: 3,
      scopes: ["CASE_HEADER"],
      omitted: ["2 decisions"],
      version: 7,
      hash: "h",
    },
    blocks: { system: "You are DEV", context: "Know this", tools: "git" },
  }),
  "context.updateContext": async () => ({ version: 8, hash: "h8" }),
  "context.rehydrateSession": async () => ({
    ...{ storyId: "s1", version: 7, stats: { tasks: 1, decisions: 1, edges: 2, events: 3 } },
    packs: [
      {
        ...{ role: "DEV", story: fake.NODE, tasks: [fake.NODE], decisions: [fake.NODE], milestones: [fake.NODE] },
        ...{ impacted: [{ decisionId: "d1", taskId: "t1" }], lastSummary: "so far", tokenBudget: 4096 },
      },
    ],
  }),
  "context.validateScope": async () => ({ allowed: false, missing: ["A"], extra: ["B"], reason: "B is not for DEV" }),
  "context.relationships": async () => fake.AROUND,
  "context.impact": async () => ({ decision: fake.NODE, tasks: [fake.NODE], decisions: [] }),
  "context.why": async () => fake.AROUND,
  "orchestrator.deliberate": async () => fake.DELIBERATION,
  "orchestrator.deliberateAsync": async () => ({ taskId: "d-1", status: "pending", agents: ["dev-1", "dev-2"] }),
  "orchestrator.deliberation": async () => fake.DELIBERATION,
  "orchestrator.orchestrate": async () => ({
    ...{ executionId: "x1", taskId: "d-1", winner: fake.ENTRY, candidates: [fake.ENTRY], durationMs: 1_234 },
    selection: { by: "architect", reason: "simplest" },
  }),
  "orchestrator.deriveSubtasks": async () => [fake.DRAFT],
  "orchestrator.createCouncil": council,
  "orchestrator.councils": async () => [fake.COUNCIL],
  "orchestrator.deleteCouncil": async () => undefined,
  "orchestrator.registerAgent": council,
  "orchestrator.unregisterAgent": council,
  "orchestrator.status": async () => ({
    ...{ startedAtMs: fake.AT_MS, deliberationsRunning: 1, storiesInFlight: 2, councils: [fake.COUNCIL] },
  }),
  "orchestrator.metrics": async () => ({
    ...{ deliberations: 5, failed: 1, durationMs: { p50: 1, p95: 2, p99: 3 }, inputTokens: 10, outputTokens: 20 },
    ...{ byRole: { DEV: { deliberations: 5, meanMs: 1.5 } }, tasks: { pending: 1, dispatched: 2, done: 3, failed: 4 } },
  }),
});

export const TOKEN = "a-token-of-the-tests";

export type Protocol = "grpc" | "grpc-web" | "connect";

const withToken =
  (token: string): Interceptor =>
  (next) =>
  (request) => {
    if (token !== "") request.header.set("authorization", `Bearer ${token}`);
    return next(request);
  };

/** A client's transport to `url`. */
export function transportTo(url: string, protocol: Protocol = "grpc", token = TOKEN): Transport {
  const options = { baseUrl: url, interceptors: [withToken(token)] };
  // Node's own client buffers 10 MB at most of what it sends, and then says so instead of what the server said.
  if (protocol === "grpc") return createGrpcTransport({ ...options, nodeOptions: { maxSessionMemory: 100 } });
  return protocol === "grpc-web"
    ? createGrpcWebTransport({ ...options, httpVersion: "1.1" })
    : createConnectTransport({ ...options, httpVersion: "1.1" });
}

/** Opens a door with all services on one free port of the loopback. */
export async function openFakeDoor(options: Partial<GrpcDoorOptions> = {}) {
  const asked: Asked[] = [];
  const behind = answers();
  const service = (name: string, call: Required<ServiceCall>) =>
    new Proxy(
      {},
      {
        get:
          (_, method) =>
          async (...args: unknown[]) => {
            const full = `${name}.${String(method)}`;
            asked.push({ method: full, args, call });
            return behind[full]?.(args, call);
          },
      },
    );
  const clients = (call: Required<ServiceCall>) =>
    Object.fromEntries(
      ["planning", "context", "orchestrator", "runner"].map((name) => [name, service(name, call)]),
    ) as unknown as DoorClients;
  const system = await connect();
  const logged: string[] = [];
  const door = await openGrpcDoor({
    clients,
    watch: async function* (taskId, call) {
      asked.push({ method: "watch", args: [taskId], call });
      yield* fake.UPDATES;
    },
    coach: {
      score: async () => fake.COACHED,
      refine: async ({ title, ...story }) => ({
        story: { ...story, title: `${title}!` },
        before: fake.STORY.readiness,
        after: fake.COACHED,
      }),
      suggest: (goal, count) =>
        Array.from({ length: count }, (_, index) => ({
          title: `${goal} ${index}`,
          description: "d",
          criteria: ["Given"],
        })),
    },
    scorer: () => report,
    system,
    addresses: [{ services: DOOR_SERVICES, host: "127.0.0.1", port: 0 }],
    token: TOKEN,
    log: ({ message }) => logged.push(message),
    ...options,
  });
  const [first] = door.addresses;
  if (first === undefined) throw new Error("a door without an address");
  return {
    door,
    url: first.url,
    system,
    asked,
    behind,
    logged,
    async [Symbol.asyncDispose]() {
      await door.close();
      await system.close();
    },
  };
}

/** What the services were asked by a call, and what the caller was told. */
export async function passedBy<T>(
  { asked }: { readonly asked: Asked[] },
  answer: Promise<T>,
): Promise<{ asked: unknown[]; told: T }> {
  // The call has not left yet: what came before it is of others.
  asked.length = 0;
  const told = await answer;
  return { asked: asked.map(({ method, args }) => [method, ...args]), told };
}

/** A folder that is gone afterwards. */
export async function temporaryFolder() {
  const path = await mkdtemp(join(tmpdir(), "flotilla-door-"));
  return { path, [Symbol.asyncDispose]: () => rm(path, { recursive: true, force: true }) };
}
