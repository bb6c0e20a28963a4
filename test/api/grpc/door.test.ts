// The door as its callers meet it: three protocols on one port, the token, deadlines, cancelling, bounds, and its end.

import { execFileSync } from "node:child_process";
import { connect as connectSocket } from "node:net";
import { join } from "node:path";
import { Code, ConnectError, createClient } from "@connectrpc/connect";
import { createConnectTransport, createGrpcTransport } from "@connectrpc/connect-node";
import { describe, expect, it } from "vitest";
import { OrchestratorService } from "../../../api/proto/gen/fleet/orchestrator/v1/orchestrator_pb.js";
import { PlanningService } from "../../../api/proto/gen/fleet/planning/v1/planning_pb.js";
import { FailureSchema } from "../../../api/proto/gen/fleet/rpc/v1/rpc_pb.js";
import { StoryCoachService } from "../../../api/proto/gen/fleet/storycoach/v1/storycoach_pb.js";
import { Health } from "../../../api/proto/gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../../../api/proto/gen/grpc/reflection/v1/reflection_pb.js";
import { FlotillaError } from "../../../runtime/index.ts";
import { settle } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { openFakeDoor, type Protocol, TOKEN, temporaryFolder, transportTo } from "./fake-door.ts";

const PROTOCOLS: readonly Protocol[] = ["grpc", "grpc-web", "connect"];

/** What the call says when it fails. */
async function refused(answer: Promise<unknown>): Promise<ConnectError> {
  const error = await answer.then(
    () => undefined,
    (reason: unknown) => ConnectError.from(reason),
  );
  if (error === undefined) throw new Error("it was answered");
  return error;
}

const reasonOf = (error: ConnectError) => error.findDetails(FailureSchema)[0];
const hangs = () => new Promise<never>(() => {});

const post = (url: string, method: string, body: string, headers: Record<string, string> = {}) =>
  fetch(`${url}/${method}`, {
    method: "POST",
    headers: { "content-type": "application/json", authorization: `Bearer ${TOKEN}`, ...headers },
    body,
  });
const GET_STORY = "fleet.planning.v1.PlanningService/GetStory";

describe("one port", () => {
  it.each(PROTOCOLS)("speaks %s: calls, streams, errors with their details", async (protocol) => {
    await using at = await openFakeDoor();
    const transport = transportTo(at.url, protocol);
    const planning = createClient(PlanningService, transport);
    expect((await planning.getStory({ storyId: "s1" })).story).toMatchObject({ storyId: "s1", dorScore: 85 });
    const updates: string[] = [];
    for await (const { status } of createClient(OrchestratorService, transport).streamDeliberation({ taskId: "d-1" }))
      updates.push(status);
    expect(updates).toEqual(["proposing", "done"]);
    at.behind["planning.story"] = async () => {
      throw new FlotillaError("StoryUnknown", 'there is no story "s1"', { data: { storyId: "s1" } });
    };
    const error = await refused(planning.getStory({ storyId: "s1" }));
    expect({ code: error.code, message: error.rawMessage }).toEqual({
      code: Code.NotFound,
      message: 'there is no story "s1"',
    });
    expect(reasonOf(error)).toMatchObject({ reason: "StoryUnknown", metadata: { storyId: "s1" }, retryable: false });
  });

  it("speaks plain JSON", async () => {
    await using at = await openFakeDoor();
    const answer = await post(at.url, GET_STORY, '{"storyId":"s1"}');
    expect(answer.status).toBe(200);
    expect(await answer.json()).toMatchObject({
      story: { storyId: "s1", state: "BUILD", createdAtMs: "1700000000000" },
    });
    expect((await post(at.url, "fleet.planning.v1.PlanningService/None", "{}")).status).toBe(404);
    expect(await (await post(at.url, GET_STORY, '{"storyId":')).json()).toMatchObject({ code: "invalid_argument" });
  });

  it("waits for the first bytes until it can tell the protocols apart", async () => {
    await using at = await openFakeDoor();
    const socket = connectSocket(Number(new URL(at.url).port), "127.0.0.1");
    let text = "";
    socket.on("data", (chunk) => (text += chunk));
    for (const piece of ["P", "O", `ST /${GET_STORY} HTTP/1.1\r\nhost: x\r\ncontent-length: 0\r\n\r\n`]) {
      socket.write(piece);
      // The door lives in this process: after some turns it has read the piece by itself.
      for (let turn = 0; turn < 20; turn++) await settle();
    }
    await waitUntil("an answer came", () => text.startsWith("HTTP/1.1 415"));
    socket.destroy();
  });

  it("has the services that were asked for, on as many ports", async () => {
    const host = "127.0.0.1";
    const addresses = [
      { services: ["planning"], host, port: 0 },
      { services: ["storycoach", "context"], host, port: 0 },
    ] as const;
    await using at = await openFakeDoor({ addresses });
    const [, second] = at.door.addresses;
    const transport = transportTo(second?.url ?? "");
    expect(await createClient(StoryCoachService, transport).scoreStory({ title: "x" })).toMatchObject({ total: 72 });
    expect((await refused(createClient(PlanningService, transport).getStory({}))).code).toBe(Code.Unimplemented);
    await expect(openFakeDoor({ addresses: [{ ...addresses[0], port: second?.port ?? 0 }] })).rejects.toMatchObject({
      code: "PortTaken",
    });
  });

  it("speaks all of it over TLS", async () => {
    await using folder = await temporaryFolder();
    const [keyFile, certFile] = [join(folder.path, "key.pem"), join(folder.path, "cert.pem")];
    const subject = ["-subj", "/CN=localhost", "-addext", "subjectAltName=IP:127.0.0.1", "-days", "2"];
    const curve = ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"];
    execFileSync("openssl", ["req", "-x509", ...curve, "-keyout", keyFile, "-out", certFile, ...subject], {
      stdio: "ignore",
    });
    await using at = await openFakeDoor({ tls: { keyFile, certFile } });
    expect(at.url).toMatch(/^https:/);
    const nodeOptions = { rejectUnauthorized: false };
    const headers = { authorization: `Bearer ${TOKEN}` };
    for (const transport of [
      createGrpcTransport({ baseUrl: at.url, nodeOptions }),
      createConnectTransport({ baseUrl: at.url, httpVersion: "1.1", nodeOptions }),
    ]) {
      const { story } = await createClient(PlanningService, transport).getStory({ storyId: "s1" }, { headers });
      expect(story?.storyId).toBe("s1");
    }
    const opened = (files: object) => openFakeDoor({ tls: { keyFile, certFile, ...files } });
    await expect(opened({ keyFile: "/none" })).rejects.toThrow(/TLS key "\/none" cannot be read \(ENOENT\)/);
    await expect(opened({ keyFile: certFile })).rejects.toThrow(/TLS key and certificate are refused/);
  });
});

describe("the token", () => {
  it.each(PROTOCOLS)("is asked for on every call of %s, before anything is done", async (protocol) => {
    await using at = await openFakeDoor();
    for (const token of ["", "wrong", `${TOKEN}x`, TOKEN.slice(1)]) {
      const transport = transportTo(at.url, protocol, token);
      const calls = [
        createClient(PlanningService, transport).getStory({ storyId: "s1" }),
        createClient(Health, transport).check({}),
      ];
      for (const call of calls) {
        const error = await refused(call);
        expect(error.code).toBe(Code.Unauthenticated);
        expect(error.rawMessage).toMatch(/authorization: Bearer TOKEN/);
        expect(error.rawMessage).not.toContain(TOKEN);
      }
    }
    expect(at.asked).toEqual([]);
  });

  it("is asked for by reflection too", async () => {
    await using at = await openFakeDoor();
    const reflection = createClient(ServerReflection, transportTo(at.url, "grpc", ""));
    async function* questions() {
      yield { messageRequest: { case: "listServices", value: "" } } as const;
    }
    const answers = reflection.serverReflectionInfo(questions())[Symbol.asyncIterator]();
    expect((await refused(answers.next())).code).toBe(Code.Unauthenticated);
  });
});

describe("time", () => {
  it.each(PROTOCOLS)("a deadline of %s reaches the service and is answered on time", async (protocol) => {
    await using at = await openFakeDoor();
    at.behind["planning.story"] = hangs;
    const planning = createClient(PlanningService, transportTo(at.url, protocol));
    // The connection takes of a first call's time.
    await planning.listProjects({});
    const error = await refused(planning.getStory({ storyId: "s1" }, { timeoutMs: 200 }));
    expect(error.code).toBe(Code.DeadlineExceeded);
    const [, asked] = at.asked;
    expect(asked?.call.timeoutMs).toBeGreaterThan(1);
    expect(asked?.call.timeoutMs).toBeLessThanOrEqual(200);
    await waitUntil("the service was told", () => asked?.call.signal.aborted);
  });

  it("the server itself ends a call at its deadline", async () => {
    await using at = await openFakeDoor();
    at.behind["planning.story"] = hangs;
    const answer = await post(at.url, GET_STORY, "{}", { "connect-timeout-ms": "50" });
    expect(await answer.json()).toMatchObject({ code: "deadline_exceeded" });
  });

  it.each([
    ["is stuck", () => hangs()],
    [
      "ends as a call that was cancelled",
      (signal: AbortSignal) =>
        new Promise<never>((_, reject) => {
          signal.addEventListener("abort", () => reject(new FlotillaError("Cancelled", "the caller left")));
        }),
    ],
  ])("a stream that %s at its deadline is told as one", async (_, wait) => {
    await using at = await openFakeDoor({
      async *watch(taskId, { signal }) {
        yield { taskId, stage: "proposing", round: 1, percent: 1 };
        await wait(signal);
      },
    });
    const message = Buffer.from('{"taskId":"d-1"}');
    const envelope = Buffer.concat([Buffer.from([0, 0, 0, 0, message.length]), message]);
    const answer = await fetch(`${at.url}/fleet.orchestrator.v1.OrchestratorService/StreamDeliberation`, {
      method: "POST",
      headers: {
        ...{ "content-type": "application/connect+json", "connect-timeout-ms": "50" },
        authorization: `Bearer ${TOKEN}`,
      },
      body: envelope,
    });
    expect(await answer.text()).toMatch(/"proposing".+"deadline_exceeded"/s);
  });

  it("a caller who says none gets one", async () => {
    await using at = await openFakeDoor();
    const transport = transportTo(at.url);
    await createClient(PlanningService, transport).getStory({ storyId: "s1" });
    await createClient(OrchestratorService, transport).deliberate({ constraints: { timeoutSeconds: 300 } });
    expect(at.asked.map(({ call }) => call.timeoutMs)).toEqual([30_000, 310_000]);
  });

  it.each(PROTOCOLS)("a caller of %s who leaves stops the service", async (protocol) => {
    await using at = await openFakeDoor();
    at.behind["planning.story"] = hangs;
    const leave = new AbortController();
    const planning = createClient(PlanningService, transportTo(at.url, protocol));
    const answer = refused(planning.getStory({ storyId: "s1" }, { signal: leave.signal }));
    const asked = await waitUntil("the service was asked", () => at.asked[0]);
    expect(asked.call.signal.aborted).toBe(false);
    leave.abort();
    expect((await answer).code).toBe(Code.Canceled);
    await waitUntil("the service was told", () => asked.call.signal.aborted);
    await settle();
    expect(at.logged).toEqual([]);
  });

  it("a reader of a stream who leaves ends what feeds it", async () => {
    let ended = false;
    await using at = await openFakeDoor({
      async *watch(taskId) {
        try {
          for (let percent = 0; ; percent++) {
            yield { taskId, stage: "proposing", round: 1, percent: percent % 100 };
            await settle();
          }
        } finally {
          ended = true;
        }
      },
    });
    for await (const { taskId } of createClient(OrchestratorService, transportTo(at.url)).streamDeliberation({
      taskId: "d-1",
    })) {
      expect(taskId).toBe("d-1");
      break;
    }
    await waitUntil("the stream ended behind the door", () => ended);
  });
});

describe("bounds", () => {
  it.each([
    [10, "grpc"],
    [5, "grpc-web"],
    [5, "connect"],
  ] as const)("a text of %i MB is refused by %s, and the door goes on", async (megabytes, protocol) => {
    await using at = await openFakeDoor();
    const planning = createClient(PlanningService, transportTo(at.url, protocol));
    const error = await refused(planning.createStory({ title: "x", brief: "x".repeat(megabytes * 2 ** 20) }));
    expect(error.code).toBe(Code.ResourceExhausted);
    expect(at.asked).toEqual([]);
    expect((await planning.getStory({ storyId: "s1" })).story?.storyId).toBe("s1");
  });

  it("10 MB that travel as a few kilobytes are refused too", async () => {
    await using at = await openFakeDoor();
    const { compressionGzip } = await import("@connectrpc/connect-node");
    const headers = { authorization: `Bearer ${TOKEN}` };
    const transport = createGrpcTransport({ baseUrl: at.url, sendCompression: compressionGzip });
    const planning = createClient(PlanningService, transport);
    const error = await refused(planning.createStory({ brief: "x".repeat(10 * 2 ** 20) }, { headers }));
    expect(error.code).toBe(Code.ResourceExhausted);
  });
});

describe("what a service says", () => {
  it("a guard that blocks is FAILED_PRECONDITION with every guard", async () => {
    await using at = await openFakeDoor();
    const blocked = [
      { guard: "all_tasks_done", reason: "t1 is not done" },
      { guard: "report_passes", reason: "no report" },
    ];
    const { "planning.story": story } = at.behind;
    at.behind["planning.transition"] = async () => ({
      kind: "blocked",
      story: await story?.([], {} as never),
      blocked,
    });
    const planning = createClient(PlanningService, transportTo(at.url));
    const error = await refused(planning.transition({ storyId: "s1", event: "build_done" }));
    expect(error.code).toBe(Code.FailedPrecondition);
    expect(error.rawMessage).toBe(
      "build_done of s1 is blocked: all_tasks_done: t1 is not done; report_passes: no report",
    );
    expect(reasonOf(error)).toMatchObject({ reason: "TransitionBlocked", blocked, metadata: { state: "BUILD" } });
  });

  it("a defect says a number and nothing of our insides", async () => {
    await using at = await openFakeDoor();
    at.behind["planning.story"] = async () => {
      throw new TypeError("cannot read /etc/secret of undefined");
    };
    const error = await refused(createClient(PlanningService, transportTo(at.url)).getStory({ storyId: "s1" }));
    expect(error.code).toBe(Code.Internal);
    const incident = reasonOf(error)?.metadata.incident ?? "none";
    expect(error.rawMessage).toBe(`the fleet has a defect; incident ${incident}`);
    expect(at.logged.join("\n")).toMatch(
      new RegExp(`^/${GET_STORY} failed by a defect \\(incident ${incident}\\): TypeError: cannot read`),
    );
  });

  it("what is no field of ours is INVALID_ARGUMENT with its name, and reaches no service", async () => {
    await using at = await openFakeDoor();
    const planning = createClient(PlanningService, transportTo(at.url));
    const wrong: [string, Promise<unknown>][] = [
      ["rigor", planning.createStory({ title: "x", rigor: "L9" })],
      ["by.kind", planning.transition({ storyId: "s1", event: "x", by: { kind: "god", id: "ann" } })],
      ["by.id", planning.transition({ storyId: "s1", event: "x", by: { kind: "human" } })],
      ["tasks.0.phase", planning.addTasks({ tasks: [{ taskId: "t1", title: "x", description: "x", role: "DEV" }] })],
      ["steps.1.size", planning.proposePlan({ steps: [{ title: "a" }, { title: "b", size: "XL" }] })],
      ["report.coverage.lines", planning.recordReport({ report: { coverage: { lines: 80 } } })],
      ["report", planning.recordReport({})],
      ["decision", planning.decide({ decision: "perhaps" })],
    ];
    for (const [field, call] of wrong) {
      const error = await refused(call);
      expect({ code: error.code, field: reasonOf(error)?.metadata.field }).toEqual({
        code: Code.InvalidArgument,
        field,
      });
    }
    expect(at.asked).toEqual([]);
  });
});

it("closing ends what is under way with UNAVAILABLE, and every connection", async () => {
  await using at = await openFakeDoor();
  at.behind["planning.story"] = hangs;
  const waiting = PROTOCOLS.map((protocol) =>
    refused(createClient(PlanningService, transportTo(at.url, protocol)).getStory({ storyId: "s1" })),
  );
  await waitUntil("all were asked", () => at.asked.length === PROTOCOLS.length);
  const began = performance.now();
  await Promise.all([at.door.close(), at.door.close()]);
  expect((await Promise.all(waiting)).map(({ code }) => code)).toEqual(PROTOCOLS.map(() => Code.Unavailable));
  expect(performance.now() - began).toBeLessThan(1_900);
  await expect(fetch(at.url)).rejects.toThrow();
});
