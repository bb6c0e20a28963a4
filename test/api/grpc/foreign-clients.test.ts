// Clients of others, which have none of our files: grpcurl (Go) and grpcio (Python) learn the services by reflection and call every method.
// They are found on PATH, or as FLOTILLA_GRPCURL and FLOTILLA_PYTHON (a Python with grpcio and grpcio-reflection).

import { execFile, execFileSync, spawn } from "node:child_process";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { promisify } from "node:util";
import type { DescService } from "@bufbuild/protobuf";
import { describe, expect, it } from "vitest";
import { ContextService } from "../../../api/proto/gen/fleet/context/v1/context_pb.js";
import { OrchestratorService } from "../../../api/proto/gen/fleet/orchestrator/v1/orchestrator_pb.js";
import { PlanningService } from "../../../api/proto/gen/fleet/planning/v1/planning_pb.js";
import { StoryCoachService } from "../../../api/proto/gen/fleet/storycoach/v1/storycoach_pb.js";
import { WorkspaceService } from "../../../api/proto/gen/fleet/workspace/v1/workspace_pb.js";
import { Health } from "../../../api/proto/gen/grpc/health/v1/health_pb.js";
import { FlotillaError } from "../../../runtime/index.ts";
import { ROOT } from "../../tidy/source.ts";
import { openFakeDoor, TOKEN } from "./fake-door.ts";

const GRPCURL = process.env.FLOTILLA_GRPCURL ?? "grpcurl";
const PYTHON = process.env.FLOTILLA_PYTHON ?? "python3";

function works(program: string, ...args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}
const hasGrpcurl = works(GRPCURL, "-version");
const hasPython = works(PYTHON, "-c", "import grpc, grpc_reflection.v1alpha");
const without = (name: string, has: boolean) => (has ? name : `${name} (skipped: it is not installed)`);

/** What some methods want to be told, and what every other one takes: nothing. */
const REQUESTS: Readonly<Record<string, object>> = {
  Decide: { decision: "approve" },
  RecordReport: { report: { build: { ok: true } } },
  ScoreWorkspace: { report: { unit: { passed: 5 } } },
  SuggestStory: { goal: "Count" },
  StreamLogs: { jobId: "s1-t1-2" },
  AddTasks: {
    tasks: [{ taskId: "t1", title: "x", description: "x", role: "DEV", phase: "BUILD", priority: 1, size: "S" }],
  },
};

interface Call {
  readonly service: string;
  readonly method: string;
  readonly request: object;
}

const SERVICES: readonly DescService[] = [
  PlanningService,
  StoryCoachService,
  WorkspaceService,
  ContextService,
  OrchestratorService,
];
const CALLS: readonly Call[] = [
  ...SERVICES.flatMap(({ typeName, methods }) => methods.map(({ name }) => [typeName, name] as const)),
  [Health.typeName, "Check"] as const,
].map(([service, method]) => ({ service, method, request: REQUESTS[method] ?? {} }));

interface Answer {
  readonly code: string;
  readonly message?: string;
  readonly details?: number;
  readonly replies: readonly Record<string, unknown>[];
}

/** Makes the calls with grpcio, in one process. */
async function byPython(url: string, token: string, calls: readonly Call[]): Promise<Answer[]> {
  const program = join(ROOT, "test/api/grpc/foreign_client.py");
  const client = spawn(PYTHON, [program, new URL(url).host, token], { stdio: ["pipe", "pipe", "pipe"] });
  let said = "";
  client.stderr.on("data", (chunk) => (said += chunk));
  client.stdin.on("error", () => {});
  client.stdin.end(calls.map((call) => `${JSON.stringify(call)}\n`).join(""));
  const answers: Answer[] = [];
  for await (const line of createInterface(client.stdout)) answers.push(JSON.parse(line) as Answer);
  if (answers.length < calls.length) throw new Error(`the client ended early: ${said}`);
  return answers;
}

/** One run of grpcurl; rejects with what it wrote. */
const grpcurl = async (url: string, token: string, ...args: string[]): Promise<string> => {
  const header = token === "" ? [] : ["-H", `authorization: Bearer ${token}`];
  // Options come before the address, what is asked after it.
  const options = args.filter((arg, index) => arg.startsWith("-") || args[index - 1] === "-d");
  const asked = args.filter((arg) => !options.includes(arg));
  const line = ["-plaintext", ...header, ...options, new URL(url).host, ...asked];
  return (await promisify(execFile)(GRPCURL, line, { maxBuffer: 2 ** 24 })).stdout;
};

const unknown = async () => {
  throw new FlotillaError("StoryUnknown", 'there is no story "s9"', { data: { storyId: "s9" } });
};

describe.skipIf(!hasPython)(without("grpcio (Python)", hasPython), () => {
  it("calls every method", { timeout: 20_000 }, async () => {
    await using at = await openFakeDoor();
    const answers = await byPython(at.url, TOKEN, CALLS);
    expect(answers.map(({ code, message }) => [code, message])).toEqual(CALLS.map(() => ["OK", undefined]));
    const story = answers[CALLS.findIndex(({ method }) => method === "GetStory")]?.replies[0];
    expect(story).toMatchObject({ story: { storyId: "s1", dorScore: 85 }, tasks: [{ draft: { taskId: "t1" } }] });
    expect(answers[CALLS.findIndex(({ method }) => method === "StreamDeliberation")]?.replies).toHaveLength(2);
  });

  it("is told of errors, deadlines, bounds and the token as gRPC has them", { timeout: 20_000 }, async () => {
    await using at = await openFakeDoor();
    at.behind["planning.story"] = unknown;
    at.behind["planning.approval"] = () => new Promise(() => {});
    const service = PlanningService.typeName;
    const answers = await byPython(at.url, TOKEN, [
      { service, method: "GetStory", request: {} },
      { service, method: "GetApproval", request: {}, ...{ timeout: 0.1 } },
      { service, method: "CreateStory", request: { brief: "x".repeat(10 * 2 ** 20) } },
      { service, method: "ListProjects", request: {} },
    ]);
    expect(answers.map(({ code }) => code)).toEqual(["NOT_FOUND", "DEADLINE_EXCEEDED", "RESOURCE_EXHAUSTED", "OK"]);
    expect(answers[0]).toMatchObject({ message: 'there is no story "s9"' });
    expect(answers[0]?.details).toBeGreaterThan(50);
    await expect(byPython(at.url, "wrong", CALLS)).rejects.toThrow(/UNAUTHENTICATED/);
  });
});

describe.skipIf(!hasGrpcurl)(without("grpcurl (Go)", hasGrpcurl), () => {
  it("lists and describes the services", async () => {
    await using at = await openFakeDoor();
    const [list, described] = await Promise.all([
      grpcurl(at.url, TOKEN, "list"),
      grpcurl(at.url, TOKEN, "describe", "fleet.planning.v1.TransitionRequest"),
    ]);
    for (const { typeName } of SERVICES) expect(list).toContain(`${typeName}\n`);
    expect(described).toMatch(/int32 expected_version = 16;/);
  });

  it("calls every method", { timeout: 20_000 }, async () => {
    await using at = await openFakeDoor();
    const answers = new Map<string, string>();
    const waiting = [...CALLS];
    const callAll = async () => {
      for (let next = waiting.pop(); next !== undefined; next = waiting.pop()) {
        const { service, method, request } = next;
        answers.set(method, await grpcurl(at.url, TOKEN, "-d", JSON.stringify(request), `${service}/${method}`));
      }
    };
    await Promise.all(Array.from({ length: 4 }, callAll));
    expect(answers.size).toBe(CALLS.length);
    for (const [method, answer] of answers) {
      if (!/DeleteCouncil|StreamLogs/.test(method)) expect(`${method} ${answer}`).toMatch(/^\w+ \{\s+"/);
    }
  });

  it("is told of errors with their details, and of the token", async () => {
    await using at = await openFakeDoor();
    at.behind["planning.story"] = unknown;
    const asked = grpcurl(at.url, TOKEN, "-d", "{}", "fleet.planning.v1.PlanningService/GetStory");
    const said = await asked.then(String, (error: { stderr: string }) => error.stderr);
    expect(said).toMatch(/Code: NotFound\s+Message: there is no story "s9"/);
    expect(said).toMatch(/"reason": "StoryUnknown"/);
    const refused = await grpcurl(at.url, "", "list").then(String, (error: { stderr: string }) => error.stderr);
    expect(refused).toMatch(/Unauthenticated.+authorization: Bearer TOKEN/);
  });
});
