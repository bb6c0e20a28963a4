// The RPC door of the fleet's services: gRPC, gRPC-Web and Connect (JSON) on the same ports, each port with some of the services, with
// health and reflection. What each service does with a call is in its own file; what a port is: listener.ts.
//
// DD1  Nothing is answered without the token (token.ts). It listens where it is told, and nowhere by itself.
// DD2  A message is at most MESSAGE_MAX_BYTES, unpacked, in both directions; a larger one is RESOURCE_EXHAUSTED and is not read.
// DD3  Closing ends every call under way with UNAVAILABLE, and then its connection.
// DD4  A field of a JSON request that its message has not is refused: passed over, it would be lost without a word.

import type { DescService } from "@bufbuild/protobuf";
import { Code, ConnectError, type ConnectRouter } from "@connectrpc/connect";
import { connectNodeAdapter } from "@connectrpc/connect-node";
import { type ActorSystem, type LogLine, type Random, systemRandom } from "../../runtime/index.ts";
import { fail } from "../errors.ts";
import { ContextService } from "../proto/gen/fleet/context/v1/context_pb.js";
import { OrchestratorService } from "../proto/gen/fleet/orchestrator/v1/orchestrator_pb.js";
import { PlanningService } from "../proto/gen/fleet/planning/v1/planning_pb.js";
import { StoryCoachService } from "../proto/gen/fleet/storycoach/v1/storycoach_pb.js";
import { WorkspaceService } from "../proto/gen/fleet/workspace/v1/workspace_pb.js";
import { Health } from "../proto/gen/grpc/health/v1/health_pb.js";
import { ServerReflection } from "../proto/gen/grpc/reflection/v1/reflection_pb.js";
import { ServerReflection as ServerReflectionV1Alpha } from "../proto/gen/grpc/reflection/v1alpha/reflection_pb.js";
import type { ClientsFor } from "./call.ts";
import { type Coach, coachService } from "./coach-service.ts";
import { contextService } from "./context-service.ts";
import { healthService, type Probe } from "./health.ts";
import { type Listener, listen, type TlsFiles } from "./listener.ts";
import { type OrchestratorParts, orchestratorService } from "./orchestrator-service.ts";
import { outcomes } from "./outcome.ts";
import { planningService } from "./planning-service.ts";
import { REFLECTION_SERVICES, reflectionServices } from "./reflection.ts";
import { tokenGate } from "./token.ts";
import { type ReportScorer, workspaceService } from "./workspace-service.ts";

/** In the order of the ports that the original gives them: 50051 to 50055. */
export const DOOR_SERVICES = ["planning", "storycoach", "workspace", "context", "orchestrator"] as const;
export type DoorService = (typeof DOOR_SERVICES)[number];

export interface DoorAddress {
  readonly services: readonly DoorService[];
  readonly host: string;
  /** 0: any free one. */
  readonly port: number;
}

export interface GrpcDoorOptions {
  /** Makes the clients of one call. */
  readonly clients: ClientsFor;
  readonly watch: OrchestratorParts["watch"];
  readonly coach: Coach;
  readonly scorer: ReportScorer;
  readonly system: Pick<ActorSystem, "ports" | "clock">;
  readonly addresses: readonly DoorAddress[];
  /** Of `keepToken`. */
  readonly token: string;
  /** Default: none, the token then travels as it is. */
  readonly tls?: TlsFiles;
  readonly log: (line: Pick<LogLine, "level" | "message" | "data">) => void;
  readonly random?: Random;
}

export interface GrpcDoor {
  /** Where it listens, with the ports that it got. */
  readonly addresses: readonly (DoorAddress & { readonly url: string })[];
  /** May be called twice (DD3). */
  close(): Promise<void>;
}

const MESSAGE_MAX_BYTES = 4 * 2 ** 20;
const GRACE_MS = 2_000;
const LOOPBACK: ReadonlySet<string> = new Set(["127.0.0.1", "::1", "localhost"]);

/** Opens the door. Throws PortTaken, OptionInvalid. */
export async function openGrpcDoor(options: GrpcDoorOptions): Promise<GrpcDoor> {
  const { addresses, tls, system, log } = options;
  const shutdown = new AbortController();
  const listeners: Listener[] = [];
  const close = async () => {
    shutdown.abort(new ConnectError("the door closes", Code.Unavailable));
    await Promise.all(listeners.map((listener) => listener.close(GRACE_MS)));
  };
  try {
    const opened: GrpcDoor["addresses"][number][] = [];
    for (const { services, host, port } of addresses) {
      const handler = handlerOf(services, options, shutdown.signal);
      const listener = await listen({ host, port, handler, clock: system.clock, ...(tls !== undefined && { tls }) });
      listeners.push(listener);
      const url = `${tls === undefined ? "http" : "https"}://${host.includes(":") ? `[${host}]` : host}:${listener.port}`;
      opened.push({ services, host, port: listener.port, url });
      if (tls === undefined && !LOOPBACK.has(host))
        log({
          level: "warn",
          message: `${url} is open to other machines without TLS: the token can be read on the way`,
        });
    }
    return { addresses: opened, close };
  } catch (error) {
    await close();
    throw error;
  }
}

function handlerOf(names: readonly DoorService[], options: GrpcDoorOptions, shutdownSignal: AbortSignal) {
  const { token, log, random = systemRandom } = options;
  const unknown = names.find((name) => !DOOR_SERVICES.includes(name));
  if (unknown !== undefined || names.length === 0)
    throw fail(
      "OptionInvalid",
      `services of an address: expected some of ${DOOR_SERVICES.join(", ")}, got ${unknown ?? "none"}.`,
    );
  return connectNodeAdapter({
    routes: (router) => routes(router, names, options),
    readMaxBytes: MESSAGE_MAX_BYTES,
    writeMaxBytes: MESSAGE_MAX_BYTES,
    jsonOptions: { ignoreUnknownFields: false },
    shutdownSignal,
    requestGate: tokenGate(token),
    interceptors: [outcomes({ log, random })],
  });
}

const DESCRIBED = {
  planning: PlanningService,
  storycoach: StoryCoachService,
  workspace: WorkspaceService,
  context: ContextService,
  orchestrator: OrchestratorService,
} as const satisfies Record<DoorService, DescService>;

/** Small questions: a story, no scopes, a job. */
const PROBES: Readonly<Record<DoorService, Probe | undefined>> = {
  planning: ({ planning }) => planning.stories({ max: 1 }),
  storycoach: undefined,
  workspace: ({ runner }) => runner.jobs({ max: 1 }),
  context: ({ context }) => context.validateScope({ role: "DEV", phase: "BUILD", scopes: [] }),
  orchestrator: ({ orchestrator }) => orchestrator.status(),
};

function routes(router: ConnectRouter, names: readonly DoorService[], options: GrpcDoorOptions): void {
  const { clients, watch, coach, scorer, system } = options;
  const { clock } = system;
  const add: Record<DoorService, () => unknown> = {
    planning: () => router.service(PlanningService, planningService(clients)),
    storycoach: () => router.service(StoryCoachService, coachService(coach)),
    workspace: () => router.service(WorkspaceService, workspaceService({ clients, scorer, system })),
    context: () => router.service(ContextService, contextService(clients)),
    orchestrator: () => router.service(OrchestratorService, orchestratorService({ clients, watch, clock })),
  };
  for (const name of names) add[name]();
  const probes = Object.fromEntries(names.map((name) => [DESCRIBED[name].typeName, PROBES[name]]));
  router.service(Health, healthService({ clients, clock, probes }));
  const reflected = reflectionServices([...names.map((name) => DESCRIBED[name]), Health, ...REFLECTION_SERVICES]);
  router.service(ServerReflection, reflected.v1);
  router.service(ServerReflectionV1Alpha, reflected.v1alpha);
}
