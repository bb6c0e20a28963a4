// The program `flotilla services` beside this process, as an operator starts it, in a fleet of its own on the benchmark's server; and a story
// that is ready, with a plan of so many tasks that wait for nothing.

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type Client, type PlanningApi, planningOf } from "../actors/index.ts";
import { type ActorSystem, type ActorType, connect, systemRandom } from "../runtime/index.ts";
import { FlotillaProcess } from "./flotilla-process.ts";

export interface BenchServices extends AsyncDisposable {
  /** A node of this process in the same fleet. */
  readonly system: ActorSystem;
  readonly planning: Client<PlanningApi>;
  /** Address and token of the RPC door; "" where none was asked for. */
  readonly rpc: { readonly url: string; readonly tokenFile: string };
}

const CALL_MS = 120_000;
export const OWNER = { kind: "human", id: "ada", role: "po" } as const;
const ALL = ["--rpc", "off"];
/** For an InstantRunner in the place of the runner. */
export const WITHOUT_RUNNER = ["--rpc", "off", "--only", "planning,context,orchestrator"];

/** What this process adds to the fleet before the services begin. */
export interface BenchGuest {
  readonly type: ActorType;
  readonly enter: (system: ActorSystem) => Promise<void>;
}

export interface ServicesPlan {
  /** Of the command. Default: all services, and no door. */
  readonly flags?: readonly string[];
  readonly guest?: BenchGuest;
  /** The host's files; the caller's to remove. Default: one of its own. */
  readonly folder?: string;
}

/** Starts services with the mock as their model. */
export async function startServices(servers: string, plan: ServicesPlan = {}): Promise<BenchServices> {
  const { flags = ALL, guest } = plan;
  const [, user = "", pass = ""] = /\/\/([^:@]*):([^@]*)@/.exec(servers) ?? [];
  const prefix = `bench-${systemRandom.id().slice(0, 8)}`;
  await using started = new AsyncDisposableStack();
  const own = plan.folder === undefined ? await mkdtemp(join(tmpdir(), "flotilla-bench-services-")) : undefined;
  if (own !== undefined) started.defer(() => rm(own, { recursive: true, force: true }));
  const system = started.use(await connect({ servers, prefix, ...(guest && { actors: [guest.type], accepts: true }) }));
  await guest?.enter(system);
  const env = {
    ...{ FLOTILLA_SERVERS: servers.replace(/\/\/[^@]*@/, "//"), FLOTILLA_USER: user, FLOTILLA_PASS: pass },
    ...{ FLOTILLA_PREFIX: prefix, FLOTILLA_SERVICES: own ?? plan.folder ?? "" },
  };
  const args = ["services", "--model", "mock", "--json", ...flags];
  const host = started.use(await FlotillaProcess.start(args, (line) => line.startsWith("{"), env));
  const ready = JSON.parse(host.line) as { rpc: readonly { url: string }[]; tokenFile?: string };
  const kept = started.move();
  return {
    ...{ system, planning: planningOf(system, { timeoutMs: CALL_MS }) },
    rpc: { url: ready.rpc[0]?.url ?? "", tokenFile: ready.tokenFile ?? "" },
    [Symbol.asyncDispose]: () => kept.disposeAsync(),
  };
}

export const draftOf = (id: string, url: string) => ({
  ...({ id, title: "Greet visitors by name", rigor: "L0", repository: { url }, by: OWNER } as const),
  description: "As a visitor I want to be greeted so that I feel welcome.",
  criteria: [
    "Given a visitor, when the page opens, then a greeting is shown",
    "Given no visitor, when the page opens, then nothing is shown",
  ],
});

/** A story in DESIGN whose plan has so many tasks; nothing waits but for a person's word. Resolves to its id. */
export async function storyToApprove(planning: Client<PlanningApi>, tasks: number): Promise<string> {
  const { id } = await planning.createStory(draftOf(systemRandom.id(), "/repository"));
  const steps = Array.from({ length: tasks }, (_, index) => ({
    ...{
      id: `t${index}`,
      dependsOn: [] as string[],
      title: `Step ${index}`,
      text: `Add step${index}() function to src/utils.js`,
    },
    ...({ role: "DEV", phase: "BUILD", priority: 5, size: "S" } as const),
  }));
  await planning.proposePlan({ storyId: id, plan: { title: "Greetings", text: "Some functions.", steps }, by: OWNER });
  await planning.transition({ storyId: id, event: "approve_scope", by: OWNER });
  return id;
}

export async function approvePlan(planning: Client<PlanningApi>, storyId: string): Promise<void> {
  const moved = await planning.transition({ storyId, event: "approve_design", by: OWNER });
  if (moved.kind === "blocked") throw new Error(`the plan of ${storyId} was blocked: ${JSON.stringify(moved.blocked)}`);
}
