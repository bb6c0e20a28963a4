// Health and reflection: the contracts of gRPC that tools know.

import { create, createFileRegistry, fromBinary, type MessageInitShape } from "@bufbuild/protobuf";
import { type FileDescriptorProto, FileDescriptorProtoSchema, FileDescriptorSetSchema } from "@bufbuild/protobuf/wkt";
import { Code, createClient, createHandlerContext } from "@connectrpc/connect";
import { describe, expect, it } from "vitest";
import type { DoorClients } from "../../../api/grpc/call.ts";
import { healthService } from "../../../api/grpc/health.ts";
import {
  Health,
  HealthCheckResponse_ServingStatus as Status,
} from "../../../api/proto/gen/grpc/health/v1/health_pb.js";
import {
  ServerReflection,
  type ServerReflectionRequestSchema,
  type ServerReflectionResponse,
} from "../../../api/proto/gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionV1Alpha } from "../../../api/proto/gen/grpc/reflection/v1alpha/reflection_pb.js";
import { FlotillaError } from "../../../runtime/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { openFakeDoor, transportTo } from "./fake-door.ts";

const PLANNING = "fleet.planning.v1.PlanningService";
const SERVICES = [
  ...["fleet.context.v1.ContextService", "fleet.orchestrator.v1.OrchestratorService", PLANNING],
  ...["fleet.storycoach.v1.StoryCoachService", "fleet.workspace.v1.WorkspaceService"],
];

describe("health", () => {
  it("says of each service whether its actor answers", async () => {
    await using at = await openFakeDoor();
    const health = createClient(Health, transportTo(at.url));
    const all = async () =>
      Promise.all(["", ...SERVICES].map(async (service) => (await health.check({ service })).status));
    expect(await all()).toEqual(Array.from({ length: 6 }, () => Status.SERVING));
    await expect(health.check({ service: "none" })).rejects.toMatchObject({ code: Code.NotFound });
    await using broken = await openFakeDoor();
    broken.behind["orchestrator.status"] = async () => {
      throw new FlotillaError("NoSuchActor", "it is not there");
    };
    // That is an answer, if none that anybody wanted.
    broken.behind["context.validateScope"] = async () => {
      throw new FlotillaError("RoleUnknown", "no such role");
    };
    const second = createClient(Health, transportTo(broken.url));
    const statuses = await Promise.all(
      ["", ...SERVICES].map(async (service) => (await second.check({ service })).status),
    );
    expect(statuses).toEqual(
      ["", ...SERVICES].map((_, index) => ([0, 2].includes(index) ? Status.NOT_SERVING : Status.SERVING)),
    );
  });

  it("asks once for all who ask at once, gives up in time, and tells those who watch of a change", async () => {
    const clock = new FakeClock();
    let probes = 0;
    let answer: () => Promise<unknown> = async () => [];
    const signals: AbortSignal[] = [];
    const health = healthService({
      clients: ({ signal }) => {
        signals.push(signal);
        return {} as DoorClients;
      },
      clock,
      probes: {
        a: () => {
          probes += 1;
          return answer();
        },
      },
    });
    const stop = new AbortController();
    const context = createHandlerContext({
      ...{
        service: Health,
        method: Health.method.watch,
        protocolName: "grpc",
        requestMethod: "POST",
        url: "http://x/",
      },
      requestSignal: stop.signal,
    });
    const seen: (Status | undefined)[] = [];
    const watching = [0, 1, 2].map(async () => {
      for await (const { status } of health.watch({ service: "a" } as never, context)) seen.push(status);
    });
    await waitUntil("all watch", () => seen.length === 3);
    expect({ probes, seen }).toEqual({ probes: 1, seen: Array.from({ length: 3 }, () => Status.SERVING) });
    answer = () =>
      new Promise((_, reject) =>
        signals.at(-1)?.addEventListener("abort", () => reject(new FlotillaError("Cancelled", "late"))),
      );
    await clock.advance(5_000);
    expect(seen.slice(3)).toEqual(Array.from({ length: 3 }, () => Status.NOT_SERVING));
    answer = async () => [];
    await clock.advance(4_000);
    expect(seen.slice(6)).toEqual(Array.from({ length: 3 }, () => Status.SERVING));
    stop.abort();
    await Promise.allSettled(watching);
    expect(clock.pending).toBe(0);
  });

  it("says of a service that it does not know only that", async () => {
    await using at = await openFakeDoor();
    for await (const { status } of createClient(Health, transportTo(at.url)).watch({ service: "none" })) {
      expect(status).toBe(Status.SERVICE_UNKNOWN);
      break;
    }
  });
});

type Question = MessageInitShape<typeof ServerReflectionRequestSchema>;

async function ask(url: string, questions: readonly Question[], service: typeof ServerReflection = ServerReflection) {
  async function* asked() {
    yield* questions;
  }
  const answers: ServerReflectionResponse["messageResponse"][] = [];
  for await (const { messageResponse } of createClient(service, transportTo(url)).serverReflectionInfo(asked()))
    answers.push(messageResponse);
  return answers;
}

const symbol = (value: string): Question => ({ messageRequest: { case: "fileContainingSymbol", value } });

describe("reflection", () => {
  // The two forms are one but for their names.
  const forms = [ServerReflection, ServerReflectionV1Alpha as unknown as typeof ServerReflection];

  it.each(forms)("tells strangers of every service, with all that its messages need", async (form) => {
    await using at = await openFakeDoor();
    const [list, ...files] = await ask(
      at.url,
      [{ messageRequest: { case: "listServices", value: "*" } }, ...SERVICES.map(symbol)],
      form,
    );
    const named = list?.case === "listServicesResponse" ? list.value.service.map(({ name }) => name) : [];
    expect(named).toEqual([
      ...SERVICES,
      ...["grpc.health.v1.Health", "grpc.reflection.v1.ServerReflection", "grpc.reflection.v1alpha.ServerReflection"],
    ]);
    const found = new Map<string, FileDescriptorProto>();
    for (const file of files) {
      if (file.case !== "fileDescriptorResponse") throw new Error(`no file: ${file.case}`);
      for (const bytes of file.value.fileDescriptorProto) {
        const proto = fromBinary(FileDescriptorProtoSchema, bytes);
        found.set(proto.name, proto);
      }
    }
    const registry = createFileRegistry(create(FileDescriptorSetSchema, { file: [...found.values()] }));
    const methods = SERVICES.map((name) => registry.getService(name)?.methods.length);
    expect(methods).toEqual([7, 13, 17, 3, 5]);
  });

  it("finds files by their names and by what is in them, and says what there is not", async () => {
    await using at = await openFakeDoor();
    const answers = await ask(at.url, [
      { messageRequest: { case: "fileByFilename", value: "fleet/rpc/v1/rpc.proto" } },
      ...["fleet.rpc.v1.Failure", "fleet.rpc.v1.Failure.reason", `${PLANNING}.Ask`].map(symbol),
      symbol("fleet.orchestrator.v1.DeliberationStatus"),
      symbol("grpc.health.v1.HealthCheckResponse.ServingStatus"),
      symbol("fleet.none"),
      { messageRequest: { case: "fileByFilename", value: "none.proto" } },
      { messageRequest: { case: "allExtensionNumbersOfType", value: "fleet.rpc.v1.Failure" } },
      {},
    ]);
    expect(answers.map((answer) => (answer.case === "errorResponse" ? answer.value.errorCode : answer.case))).toEqual([
      ...Array.from({ length: 6 }, () => "fileDescriptorResponse"),
      ...[Code.NotFound, Code.NotFound, Code.NotFound, Code.InvalidArgument],
    ]);
  });

  it("tells of the services of its own port only", async () => {
    await using at = await openFakeDoor({ addresses: [{ services: ["storycoach"], host: "127.0.0.1", port: 0 }] });
    const answers = await ask(at.url, [symbol(PLANNING), symbol("fleet.storycoach.v1.StoryCoachService")]);
    expect(answers.map((answer) => answer.case)).toEqual(["errorResponse", "fileDescriptorResponse"]);
  });
});
