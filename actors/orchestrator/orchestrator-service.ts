// What the orchestrator answers, put together from its parts: councils, deliberations, the architect, the deriver of tasks, the story flow.
// It decides nothing itself, and is no actor (orchestrator.ts): a test makes one from memory ports and scripted models.

import { z } from "zod";
import type { ActorSystem, LogLevel, Random } from "../../runtime/index.ts";
import type { Model } from "../agent/model.ts";
import type { ModelSpec } from "../agent-actor.ts";
import type { ContextApi } from "../context/context-api.ts";
import { roleNamed, roleNames } from "../council/roles.ts";
import { fail } from "../errors.ts";
import { modelOf } from "../model-of.ts";
import type { PlanningApi } from "../planning/planning-api.ts";
import { idSchema, type Plan, planSchema, type TaskDraft } from "../planning/story.ts";
import type { Client, ServiceCall } from "../service-handles.ts";
import { type Choice, chooseProposal, ranking } from "./architect.ts";
import { type CouncilSeat, type KeptModel, keptModel } from "./council-record.ts";
import { Councils, type NewAgent } from "./councils.ts";
import { DeliberationMetrics } from "./deliberation-metrics.ts";
import type { DeliberationOrder } from "./deliberation-record.ts";
import { briefOf, type CheckedRequest, checkedRequest } from "./deliberation-request.ts";
import { type Caller, Deliberations } from "./deliberations.ts";
import { refuse } from "./errors.ts";
import { behaviourOf, mockProposals } from "./mock-proposals.ts";
import type {
  CouncilDraft,
  Deliberation,
  DeliberationRequest,
  DeliberationUpdate,
  Orchestration,
  OrchestrationRequest,
  OrchestratorApi,
  OrchestratorMetrics,
} from "./orchestrator-api.ts";
import type { FlowSettings } from "./story-flow.ts";

/** What the orchestrator is started with: plain data, without keys. */
export interface OrchestratorSettings {
  /** The model of councils and agents that were given none. Default: none, and who asks is told ModelUnset. */
  readonly model?: ModelSpec;
  /** Of the story flow. */
  readonly flow?: Partial<FlowSettings>;
}

type DeriveRequest = Parameters<OrchestratorApi["deriveSubtasks"]>[0];

/** Makes tasks of a plan: by the model where there is one, by rules where there is none. Throws StoryPlanInvalid, ModelReplyInvalid. */
export type Derive = (
  request: { readonly plan: Pick<Plan, "id" | "title" | "text" | "steps">; readonly roles: readonly string[] },
  by: { readonly model: Model | undefined } & Caller,
) => Promise<readonly TaskDraft[]>;

/** What goes on by itself with the events of stories. */
export interface FlowPart {
  start(): void | Promise<void>;
  stop(): Promise<void>;
  stats(): { readonly storiesInFlight: number; readonly tasks: OrchestratorMetrics["tasks"] };
}

export interface OrchestratorParts {
  readonly system: ActorSystem;
  readonly random: Pick<Random, "id">;
  readonly settings: OrchestratorSettings;
  /** Of model servers. */
  readonly apiKey: string | undefined;
  /** Other services, for a call within these bounds. */
  readonly services: (call: ServiceCall) => {
    readonly planning: Pick<Client<PlanningApi>, "story">;
    readonly context: Pick<Client<ContextApi>, "getContext">;
  };
  readonly derive: Derive;
  readonly flow: FlowPart;
  readonly log: (level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>) => void;
}

/** Of a caller's time, what the deliberation may take where an architect is asked after it. */
const DELIBERATION_SHARE = 0.8;
const ARCHITECT_MS = 60_000;
/** The mock that chooses is a good one. */
const ARCHITECT_NUMBER = 2;

const orchestrationSchema = z.object({
  storyId: idSchema.exactOptional(),
  planId: idSchema.exactOptional(),
  phase: z.string().min(1).max(40).exactOptional(),
  options: z
    .object({ peerReview: z.boolean().default(true), architectSelection: z.boolean().default(false) })
    .prefault({}),
});

export class OrchestratorService {
  readonly #parts: OrchestratorParts;
  readonly #model: KeptModel | undefined;
  readonly #councils: Councils;
  readonly #metrics = new DeliberationMetrics();
  readonly #deliberations: Deliberations;
  readonly #startedAtMs: number;

  /** Throws RequestInvalid for settings that name no model, or one with a key. */
  constructor(parts: OrchestratorParts) {
    const { system, random, settings, log } = parts;
    this.#parts = parts;
    this.#model = settings.model === undefined ? undefined : keptModel(settings.model);
    this.#councils = new Councils(system, this.#model);
    const model = (seat: CouncilSeat, taskId: string) => this.#modelOf(seat, taskId);
    this.#deliberations = new Deliberations({ system, random, model, metrics: this.#metrics, log });
    this.#startedAtMs = system.clock.now();
  }

  /** Goes on with what an earlier life left. Throws DocumentUnreadable, Unavailable. */
  async start(): Promise<void> {
    await this.#councils.load();
    await this.#deliberations.start();
    await this.#parts.flow.start();
  }

  async stop(): Promise<void> {
    await this.#parts.flow.stop();
    await this.#deliberations.stop();
  }

  async deliberate(request: DeliberationRequest, caller: Caller): Promise<Deliberation> {
    const checked = checkedRequest(request);
    const taskId = this.#taskId(checked);
    return this.#deliberations.answer(taskId, caller, () => this.#order(taskId, checked));
  }

  async deliberateAsync(request: DeliberationRequest): ReturnType<OrchestratorApi["deliberateAsync"]> {
    const checked = checkedRequest(request);
    const taskId = this.#taskId(checked);
    return this.#deliberations.begin(taskId, () => this.#order(taskId, checked));
  }

  deliberation(taskId: string): Deliberation {
    return this.#deliberations.get(taskId);
  }

  watch(taskId: string, signal: AbortSignal): AsyncGenerator<DeliberationUpdate, void> {
    return this.#deliberations.watch(taskId, signal);
  }

  async orchestrate(request: OrchestrationRequest, caller: Caller): Promise<Orchestration> {
    const { random } = this.#parts;
    const { clock } = this.#parts.system;
    const startedMs = clock.monotonic();
    const checked = checkedRequest(request);
    const orchestration = orchestrationSchema.safeParse(request);
    if (!orchestration.success) throw invalid(orchestration.error);
    const { options, ...about } = orchestration.data;
    if (!options.peerReview && (checked.rounds ?? 1) > 1)
      throw refuse(
        "RequestInvalid",
        "The request asks for several rounds and for no peer review: later rounds are reviews.",
      );
    const taskId = this.#taskId(checked);
    const full = this.#deliberations.knows(taskId) ? checked : await this.#withContext(checked, about, caller);
    const leftMs = caller.deadlineMs - clock.now();
    const untilMs = options.architectSelection ? clock.now() + leftMs * DELIBERATION_SHARE : caller.deadlineMs;
    const deliberation = await this.#deliberations.answer(taskId, { ...caller, deadlineMs: untilMs }, () => {
      const order = this.#order(taskId, full);
      return { ...order, rounds: options.peerReview ? Math.max(2, order.rounds) : 1 };
    });
    const choice = await this.#choose(full, deliberation, options.architectSelection, caller);
    const durationMs = clock.monotonic() - startedMs;
    return { executionId: `execution-${random.id()}`, taskId, ...choice, candidates: deliberation.results, durationMs };
  }

  async deriveSubtasks({ plan, roles }: DeriveRequest, caller: Caller): Promise<readonly TaskDraft[]> {
    const parsed = planSchema.pick({ id: true, title: true, text: true, steps: true }).safeParse(plan);
    if (!parsed.success) {
      const [issue] = parsed.error.issues;
      throw fail("StoryPlanInvalid", `The plan is not valid: ${issue?.path.join(".")}: ${issue?.message}.`);
    }
    // A mock has no ideas about plans: then rules derive the tasks, as without a model.
    const spec = this.#model?.kind === "mock" ? undefined : this.#model;
    const model = spec && this.#modelOf({ agentId: "deriver", number: 1, model: spec }, parsed.data.id);
    return this.#parts.derive({ plan: parsed.data, roles: roles ?? roleNames() }, { model, ...caller });
  }

  createCouncil = (draft: CouncilDraft) => this.#councils.create(draft);

  councils = () => this.#councils.list(this.#isBusy);

  deleteCouncil = (role: string) => this.#councils.delete(role);

  registerAgent = async (agent: NewAgent) => this.#councils.view(await this.#councils.register(agent), this.#isBusy);

  unregisterAgent = async (role: string, agentId: string) =>
    this.#councils.view(await this.#councils.unregister(role, agentId), this.#isBusy);

  status(): Awaited<ReturnType<OrchestratorApi["status"]>> {
    const { storiesInFlight } = this.#parts.flow.stats();
    const deliberationsRunning = this.#deliberations.running;
    return { startedAtMs: this.#startedAtMs, deliberationsRunning, storiesInFlight, councils: this.councils() };
  }

  metrics(): OrchestratorMetrics {
    return { ...this.#metrics.read(), tasks: this.#parts.flow.stats().tasks };
  }

  readonly #isBusy = (role: string, agentId: string) => this.#deliberations.isBusy(role, agentId);

  #taskId({ taskId }: CheckedRequest): string {
    return taskId ?? `deliberation-${this.#parts.random.id()}`;
  }

  /** Throws NoAgentsForRole, RequestInvalid, ModelUnset. */
  #order(taskId: string, request: CheckedRequest): DeliberationOrder {
    const { seats, rounds } = this.#councils.seats(roleNamed(request.role), request.agents);
    const startedAtMs = this.#parts.system.clock.now();
    return { taskId, request, seats: [...seats], rounds: request.rounds ?? rounds, startedAtMs };
  }

  /** The request with what the context service says of its story, before what the request says itself. */
  async #withContext(
    request: CheckedRequest,
    { storyId, planId, phase }: Omit<z.output<typeof orchestrationSchema>, "options">,
    { signal, deadlineMs }: Caller,
  ): Promise<CheckedRequest> {
    const metadata = {
      ...request.constraints.metadata,
      ...(storyId !== undefined && { storyId }),
      ...(planId !== undefined && { planId }),
    };
    const named = { ...request, constraints: { ...request.constraints, metadata } };
    if (storyId === undefined) return named;
    const leftMs = deadlineMs - this.#parts.system.clock.now();
    const { planning, context } = this.#parts.services({
      signal,
      ...(leftMs < Number.POSITIVE_INFINITY && { timeoutMs: Math.max(1, leftMs) }),
    });
    const state = phase ?? (await planning.story(storyId)).state;
    const given = await context.getContext({ storyId, role: roleNamed(request.role).name, phase: state });
    return { ...named, context: [given.context, request.context].filter((text) => text !== "").join("\n\n") };
  }

  async #choose(
    request: CheckedRequest,
    { taskId, status, results, error }: Deliberation,
    byArchitect: boolean,
    { signal, deadlineMs }: Caller,
  ): Promise<Choice> {
    const proposed = results.filter(({ revisions }) => revisions.length > 0);
    const [winner] = proposed;
    if (winner === undefined) throw withoutProposal(status, error);
    if (!byArchitect) {
      const reason = [ranking(proposed), error?.message].filter((text) => text !== undefined).join(" ");
      return { winner, selection: { by: "ranking", reason } };
    }
    const { random } = this.#parts;
    const { clock } = this.#parts.system;
    const seat = this.#councils.first(roleNamed("ARCHITECT")) ?? this.#services();
    const model = seat && this.#modelOf(seat, taskId);
    const untilMs = Math.min(deadlineMs, clock.now() + ARCHITECT_MS);
    return chooseProposal(briefOf(request, roleNamed(request.role)), proposed, {
      ...{ model, clock, random, signal, deadlineMs: untilMs },
    });
  }

  /** The services' model as if it sat in a council. */
  #services(): CouncilSeat | undefined {
    return this.#model && { agentId: "architect", number: ARCHITECT_NUMBER, model: this.#model };
  }

  #modelOf({ agentId, number, model }: CouncilSeat, taskId: string): Model {
    const { system, apiKey } = this.#parts;
    return modelOf(model, {
      ...{ taskId, agentId, system, ...(apiKey !== undefined && { apiKey }) },
      mock: ({ behaviour = behaviourOf(number) }) => mockProposals(behaviour, system.clock),
    });
  }
}

function invalid({ issues }: z.ZodError) {
  const [issue] = issues;
  return refuse("RequestInvalid", `The request is not valid: ${issue?.path.join(".")}: ${issue?.message}.`);
}

/** Why nobody could be chosen. */
function withoutProposal(status: Deliberation["status"], error: Deliberation["error"]) {
  const message = error?.message ?? "No agent had a proposal.";
  if (status === "timeout") return fail("DeadlineExceeded", message);
  return error?.code === "Cancelled" ? fail("Cancelled", message) : refuse("AllAgentsFailed", message);
}
