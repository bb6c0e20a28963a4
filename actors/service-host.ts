// Starts the services of a fleet from a node that has their types: each is one named actor, wherever it is; whoever starts them again finds them.
// It is not what they do. What a node offers to others is in the types it connects with (serviceTypes).
//
// SV1  A service that runs with the same settings is left alone; one with others is stopped and started with these. What it was started with
//      is kept in the fleet's store, without secrets: those are the hosts' own (options.ts).
//      They are written after what ran before was stopped and before the service is started, and compared after it was looked up: so of
//      several hosts that start at once none stops what another has just started with the same settings.
//      Tables that cannot be used are found out before anything is stopped for them.
// SV2  A service whose node has died comes back by the runtime within the lease. Starting waits for that instead of making a second one.

import { z } from "zod";
import {
  type ActorSystem,
  type ActorType,
  type AnyHandle,
  isFlotillaError,
  type LogLevel,
  type SpawnOptions,
  sleep,
} from "../runtime/index.ts";
import type { ModelSpec } from "./agent-actor.ts";
import type { ContextSettings } from "./context/context.ts";
import { Documents } from "./events/documents.ts";
import type { DeliberationUpdate } from "./orchestrator/orchestrator-api.ts";
import { SERVICES, type ServiceCall, type ServiceName } from "./service-handles.ts";
import type { RunnerSettings } from "./workspace-runner/runner-settings.ts";

/** What the services of a fleet are started with: plain data without secrets. */
export interface ServiceSettings {
  /** Of agents, councils, the coach's opinion. Default: none; what needs one says ModelUnset. */
  readonly model?: ModelSpec;
  /** YAML texts in place of the built-in tables. */
  readonly storyTable?: string;
  readonly rigor?: string;
  readonly scopes?: string;
  readonly graph: ContextSettings["graph"];
  readonly workspaces: RunnerSettings;
  /** Of one attempt of one task. */
  readonly taskTimeoutMs: number;
}

interface Service {
  readonly type: ActorType;
  /** Arguments of its constructor. */
  readonly args: readonly unknown[];
}

interface Starting {
  readonly log: (level: LogLevel, message: string) => void;
  readonly signal: AbortSignal;
}

/** Calls in hand at once: each service has its own order within (a story's changes wait for one another), and most calls wait for others. */
const CONCURRENCY = 256;
const AGAIN_MS = 200;
const startedSchema = z.object({ settings: z.string() });

/** Loads the types of these services: what a node that hosts them connects with. */
export async function serviceTypes(names: readonly ServiceName[]): Promise<readonly ActorType[]> {
  return Promise.all(names.map((name) => TYPES[name]()));
}

const TYPES: Readonly<Record<ServiceName, () => Promise<ActorType>>> = {
  planning: async () => (await import("./planning/planning.ts")).Planning as unknown as ActorType,
  context: async () => (await import("./context/context.ts")).Context as unknown as ActorType,
  orchestrator: async () => (await import("./orchestrator/orchestrator.ts")).Orchestrator as unknown as ActorType,
  "workspace-runner": async () =>
    (await import("./workspace-runner/workspace-runner.ts")).WorkspaceRunner as unknown as ActorType,
};

/**
 * Starts these services, or finds them (SV1). `signal`: gives up waiting. Throws what spawning throws, StoryTableInvalid, RigorInvalid,
 * ScopesInvalid, and the signal's reason.
 */
export async function startServices(
  system: ActorSystem,
  names: readonly ServiceName[],
  settings: ServiceSettings,
  { log, signal }: Starting,
): Promise<void> {
  await checkTables(settings);
  const failed = new AbortController();
  const end = AbortSignal.any([signal, failed.signal]);
  const starting = names.map(async (name) => {
    try {
      await startPatiently(system, name, settings, { log, signal: end });
    } catch (error) {
      failed.abort(error);
    }
  });
  // Those that are just starting would be left half made by whoever ends the system because of the first that cannot.
  await Promise.all(starting);
  failed.signal.throwIfAborted();
}

async function startPatiently(
  system: ActorSystem,
  name: ServiceName,
  settings: ServiceSettings,
  { log, signal }: Starting,
): Promise<void> {
  const service = { type: await TYPES[name](), args: argsOf(name, settings) };
  for (let told = ""; ; ) {
    signal.throwIfAborted();
    try {
      return await startService(system, name, service, log);
    } catch (error) {
      if (!isFlotillaError(error) || !error.retryable || signal.aborted) throw error;
      // Its words change with each look, for the times in them.
      if (told !== error.code) log("info", `waiting for the service ${name}: ${error.message}`);
      told = error.code;
      await sleep(system.clock, AGAIN_MS, signal);
    }
  }
}

/** Throws StoryTableInvalid, RigorInvalid, ScopesInvalid. */
async function checkTables({ storyTable, rigor, scopes }: ServiceSettings): Promise<void> {
  if (storyTable !== undefined) await (await import("./planning/story-table.ts")).readStoryTable(storyTable);
  if (rigor !== undefined) await (await import("./workspace-score/rigor-table.ts")).loadRigor(rigor);
  if (scopes !== undefined) await (await import("./context/scopes.ts")).ScopePolicy.parse(scopes);
}

function argsOf(name: ServiceName, settings: ServiceSettings): readonly unknown[] {
  const { model, storyTable, rigor, scopes, graph, workspaces, taskTimeoutMs } = settings;
  switch (name) {
    case "planning":
      return [{ ...(storyTable !== undefined && { table: storyTable }), ...(rigor !== undefined && { rigor }) }];
    case "context":
      return [{ graph, ...(scopes !== undefined && { scopes }) }];
    case "orchestrator":
      return [{ ...(model !== undefined && { model }), flow: { taskTimeoutMs } }];
    case "workspace-runner":
      return [workspaces];
  }
}

async function startService(
  system: ActorSystem,
  name: ServiceName,
  { type, args }: Service,
  log: Starting["log"],
): Promise<void> {
  const documents = new Documents(system, "services.started", startedSchema);
  const wanted = { settings: JSON.stringify([type.version, args]) };
  const running = await serviceNow(system, name);
  const started = await documents.get(name);
  if (started?.value.settings !== wanted.settings) {
    if (running !== undefined) {
      log("info", `the service ${name} is stopped where it runs, and started again with other settings`);
      await stopService(system, running);
    }
    // Who is quicker with other settings at this moment wins; the next start mends it.
    await (started === undefined ? documents.create(name, wanted) : documents.replace(started, wanted));
  }
  const options = { name, namespace: SERVICES, detached: true, getIfExists: true, concurrency: CONCURRENCY, args };
  await system.spawn(type, options as SpawnOptions<never[]> & { readonly args: never[] });
}

async function serviceNow(system: ActorSystem, name: ServiceName): Promise<AnyHandle | undefined> {
  try {
    return await system.get(name, undefined, SERVICES);
  } catch (error) {
    if (isFlotillaError(error, "NoSuchActor")) return undefined;
    throw error;
  }
}

async function stopService(system: ActorSystem, service: AnyHandle): Promise<void> {
  try {
    await system.stop(service);
  } catch (error) {
    if (!isFlotillaError(error, "NoSuchActor") && !isFlotillaError(error, "ActorEnded")) throw error;
  }
}

/** The updates of a deliberation, from its beginning to its end. Throws DeliberationUnknown, and what calling a service throws. */
export async function* watchDeliberation(
  system: ActorSystem,
  taskId: string,
  call: ServiceCall = {},
): AsyncGenerator<DeliberationUpdate, void> {
  const { Orchestrator } = await import("./orchestrator/orchestrator.ts");
  const handle = await system.get("orchestrator", Orchestrator, SERVICES);
  yield* handle.with(call).watch(taskId);
}
