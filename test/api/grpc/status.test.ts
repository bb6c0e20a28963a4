// Errors at the door: every code that the services and the runtime can throw has a status of its own, and what is said is bounded.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { Code, ConnectError } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import { STATUSES, statusOf } from "../../../api/grpc/status.ts";
import { type Failure, FailureSchema } from "../../../api/proto/gen/fleet/rpc/v1/rpc_pb.js";
import { runtimeErrors } from "../../../runtime/errors.ts";
import { FlotillaError, seededRandom } from "../../../runtime/index.ts";
import { errorCodes } from "../../tidy/error-codes.ts";
import { parseSource, ROOT } from "../../tidy/source.ts";

const APIS = [
  "actors/planning/planning-api.ts",
  "actors/orchestrator/orchestrator-api.ts",
  "actors/workspace-runner/workspace-runner-api.ts",
  "actors/context/context-api.ts",
];

/** The codes that an Api's comments name: after "Throws" and "throws", until the comment ends. */
const thrownIn = (path: string): string[] =>
  parseSource(path, readFileSync(join(ROOT, path), "utf8")).comments.flatMap(({ text }) =>
    [...text.matchAll(/[Tt]hrows (.*)/gs)].flatMap(
      ([, codes = ""]) => codes.match(/\b([A-Z][a-z]+){2,}\b|\bUnavailable\b/g) ?? [],
    ),
  );

/** Of tables and settings, when a service starts, and ends of jobs: no call of a service ends with these. */
const NOT_THROWN = new Set([
  ...["StoryTableInvalid", "ScopesInvalid", "RigorInvalid", "RunnerSettingInvalid"],
  ...["JobIdTaken", "RunnerFull", "ExecutorFailed", "RunnerDefect", "ResultMissing"],
]);

/** Of spawns, options and names: no call of a service ends with these. */
const NOT_OF_CALLS = new Set([
  ...["EntryUnreadable", "NameTaken", "NodeNameTaken", "ResourcesTaken", "Unplaceable"],
  ...["UnknownActorType", "WrongKind"],
]);
const HIDDEN = ["ActorThrew", "Deadlock", "NotSendable"];

const said: string[] = [];
const told = (error: unknown) =>
  statusOf(error, { log: ({ message }) => said.push(message), random: seededRandom(1), procedure: "/a/B" });
const detailOf = (error: ConnectError) => (error.details[0] as { readonly value: Failure } | undefined)?.value;

describe("every code has a status", () => {
  it.each(APIS)("of %s", (path) => {
    const codes = thrownIn(path);
    expect(codes.length).toBeGreaterThan(4);
    expect(codes.filter((code) => !Object.hasOwn(STATUSES, code))).toEqual([]);
  });

  it("of the services' own tables", () => {
    const tables = ["planning", "orchestrator", "context", "workspace-runner"].map((service) => {
      const path = `actors/${service}/errors.ts`;
      return parseSource(path, readFileSync(join(ROOT, path), "utf8"));
    });
    const codes = errorCodes(tables).map(({ code }) => code);
    expect(codes.length).toBeGreaterThan(15);
    expect(codes.filter((code) => !NOT_THROWN.has(code) && !Object.hasOwn(STATUSES, code))).toEqual([]);
  });

  it("of the runtime's calls", () => {
    const codes = Object.keys(runtimeErrors).filter((code) => !NOT_OF_CALLS.has(code) && !HIDDEN.includes(code));
    expect(codes.filter((code) => !Object.hasOwn(STATUSES, code))).toEqual([]);
  });

  it("and says what to do, in one sentence", () => {
    for (const [, remedy] of Object.values(STATUSES)) expect(remedy).toMatch(/^[A-Z].{8,100}\.$/);
  });
});

describe("what a caller is told", () => {
  it.each([
    ["StoryUnknown", Code.NotFound],
    ["VersionStale", Code.Aborted],
    ["TransitionBlocked", Code.FailedPrecondition],
    ["FieldInvalid", Code.InvalidArgument],
    ["NoAgentsForRole", Code.FailedPrecondition],
    ["GraphUnavailable", Code.Unavailable],
    ["DeadlineExceeded", Code.DeadlineExceeded],
    ["Cancelled", Code.Canceled],
    ["MailboxFull", Code.ResourceExhausted],
    ["IdTaken", Code.AlreadyExists],
    ["RoleMissing", Code.PermissionDenied],
  ] as const)("%s", (reason, code) => {
    const error = told(new FlotillaError(reason, "so it is", { retryable: true, data: { id: "s1", count: 3 } }));
    expect({ code: error.code, message: error.rawMessage }).toEqual({ code, message: "so it is" });
    expect(detailOf(error)).toMatchObject({ reason, retryable: true, metadata: { id: "s1", count: "3" } });
  });

  it("an error of ours without a line of its own keeps its code and message", () => {
    const error = told(new FlotillaError("SomethingNew", "so it is"));
    expect([error.code, error.rawMessage, detailOf(error)?.reason]).toEqual([
      Code.FailedPrecondition,
      "so it is",
      "SomethingNew",
    ]);
    expect(told(new FlotillaError("SomethingNew", "x", { retryable: true })).code).toBe(Code.Unavailable);
  });

  it.each([
    ...HIDDEN.map((code) => new FlotillaError(code, "at /secret/path")),
    new Error("at /secret/path"),
    "at /secret",
  ])("nothing of our insides: %s", (error) => {
    said.length = 0;
    const status = told(error);
    expect(status.code).toBe(Code.Internal);
    expect(status.rawMessage + JSON.stringify(detailOf(status))).not.toContain("secret");
    expect(said.join()).toMatch(/^\/a\/B failed by a defect \(incident \w+\): .*secret/s);
  });

  it("fits into a header whatever the error holds", () => {
    const long = "x".repeat(100_000);
    const data = Object.fromEntries(Array.from({ length: 100 }, (_, index) => [`${index}${long}`, long]));
    const blocked = Array.from({ length: 100 }, () => ({ guard: long, reason: long }));
    const error = told(new FlotillaError("TransitionBlocked", long, { data: { ...data, blocked } }));
    expect(error.rawMessage.length + JSON.stringify(detailOf(error)).length).toBeLessThan(16_000);
    for (const odd of [null, 3, "x", [null], [3], [{}]])
      expect(told(new FlotillaError("TransitionBlocked", "x", { data: { blocked: odd } })).code).toBe(
        Code.FailedPrecondition,
      );
  });

  it("what was a status already stays one", () => {
    const error = new ConnectError("so", Code.DataLoss);
    expect(told(error)).toBe(error);
    expect(FailureSchema.typeName).toBe("fleet.rpc.v1.Failure");
  });
});
