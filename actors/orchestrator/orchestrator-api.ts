// What the orchestrator can be asked, as the doors see it. The actor that answers is orchestrator.ts; what it does by itself with the
// events of stories is in story-flow.ts.

import type { ModelSpec } from "../agent-actor.ts";
import type { By } from "../events/envelope.ts";
import type { Plan, RepositoryRef, TaskDraft } from "../planning/story.ts";

export interface CouncilMember {
  readonly agentId: string;
  /** What pages call its model. */
  readonly model: string;
  readonly status: "idle" | "busy";
}

export interface Council {
  readonly role: string;
  readonly rounds: number;
  readonly members: readonly CouncilMember[];
  readonly createdAtMs: number;
}

export interface CouncilDraft {
  /** Name of a role, in any case. */
  readonly role: string;
  /** Members to make. Default 3. */
  readonly agents?: number;
  /** Rounds of its deliberations where a request says none. Default 1: proposals only. */
  readonly rounds?: number;
  /** Default: the model that the services were started with. */
  readonly model?: ModelSpec;
}

export interface DeliberationRequest {
  /** Default: one is made. The same id again answers with what is known of it. */
  readonly taskId?: string;
  /** The task in words, at most TEXT_MAX characters of planning. */
  readonly task: string;
  readonly role: string;
  /** 1: proposals; each further round: reviews by neighbours, then revisions by the authors. At most 10. Default: the council's. */
  readonly rounds?: number;
  /** How many of the council's members take part. Default: all. */
  readonly agents?: number;
  readonly constraints?: {
    /** What proposals are judged by, with weights. */
    readonly rubric?: readonly { readonly name: string; readonly weight?: number }[];
    /** What a proposal must speak of. */
    readonly requirements?: readonly string[];
    readonly metadata?: Readonly<Record<string, string>>;
    /** Default 120,000. */
    readonly timeoutMs?: number;
  };
  /** Said before the task; from the context service, say. */
  readonly context?: string;
}

/** One agent's judgement of another's proposal. */
export interface ProposalReview {
  readonly round: number;
  readonly reviewer: string;
  readonly author: string;
  readonly text: string;
  /** 0 to 1; undefined where the reviewer gave none that could be read. */
  readonly score?: number;
}

export interface ProposalRevision {
  readonly round: number;
  readonly text: string;
}

/** One member's part in a deliberation, ranked. */
export interface DeliberationEntry {
  readonly agentId: string;
  /** From 1; members without a proposal come last. */
  readonly rank: number;
  /** 0 to 1. */
  readonly score: number;
  /** The score's parts, each 0 to 1, and why. */
  readonly parts: Readonly<Record<string, number>>;
  readonly reasons: readonly string[];
  /** The last revision's text; "" when it made none. */
  readonly proposal: string;
  /** Every version of the author's own, the first proposal first. */
  readonly revisions: readonly ProposalRevision[];
  /** Reviews that the author was given. */
  readonly reviews: readonly ProposalReview[];
  readonly usage: { readonly inputTokens: number; readonly outputTokens: number };
  readonly error?: { readonly code: string; readonly message: string };
}

export type DeliberationStatus = "pending" | "in_progress" | "completed" | "failed" | "timeout";

export interface Deliberation {
  readonly taskId: string;
  readonly role: string;
  readonly status: DeliberationStatus;
  /** Ranked, the winner first; partial while it is in progress. */
  readonly results: readonly DeliberationEntry[];
  readonly winnerId: string | null;
  readonly startedAtMs: number;
  readonly durationMs: number;
  readonly error?: { readonly code: string; readonly message: string };
  readonly metadata: Readonly<Record<string, string>>;
}

/** What a deliberation streams while it goes on. */
export interface DeliberationUpdate {
  readonly taskId: string;
  readonly stage: "proposing" | "reviewing" | "revising" | "ranking" | "done";
  readonly round: number;
  /** 0 to 100. */
  readonly percent: number;
  /** Whose step ended, and with what. */
  readonly agentId?: string;
  readonly text?: string;
  /** With stage `done`. */
  readonly deliberation?: Deliberation;
}

export interface OrchestrationRequest extends DeliberationRequest {
  readonly storyId?: string;
  readonly planId?: string;
  /** State of the story whose context is wanted. Default: the story's own. */
  readonly phase?: string;
  readonly options?: {
    /** Default true: two rounds at least. */
    readonly peerReview?: boolean;
    /** An architect's choice among the best three, with its reason. Default false. */
    readonly architectSelection?: boolean;
  };
}

export interface Orchestration {
  readonly executionId: string;
  readonly taskId: string;
  readonly winner: DeliberationEntry;
  readonly candidates: readonly DeliberationEntry[];
  /** Why the winner: of the ranking, or of the architect. */
  readonly selection: { readonly by: "ranking" | "architect"; readonly reason: string };
  readonly durationMs: number;
}

export interface OrchestratorMetrics {
  readonly deliberations: number;
  readonly failed: number;
  readonly durationMs: { readonly p50: number; readonly p95: number; readonly p99: number };
  readonly byRole: Readonly<Record<string, { readonly deliberations: number; readonly meanMs: number }>>;
  readonly inputTokens: number;
  readonly outputTokens: number;
  /** Of the story flow: tasks by what is known of them. */
  readonly tasks: {
    readonly pending: number;
    readonly dispatched: number;
    readonly done: number;
    readonly failed: number;
  };
}

/** Every method also throws Unavailable. */
export interface OrchestratorApi {
  /**
   * The deliberation at its end, which comes a little before the call's own at the latest: then with what is there, and status `timeout`. It
   * ends when its last caller gives up. Throws NoAgentsForRole (no council of this role: it says how to make one), RequestInvalid,
   * ModelUnset, DeliberationsFull, Cancelled.
   */
  deliberate(request: DeliberationRequest): Promise<Deliberation>;
  /** Records it, begins it and answers: it goes on whatever becomes of its caller or the orchestrator's process. Throws as `deliberate` does. */
  deliberateAsync(request: DeliberationRequest): Promise<{
    readonly taskId: string;
    readonly status: DeliberationStatus;
    readonly agents: readonly string[];
  }>;
  /** Throws DeliberationUnknown: never begun, or forgotten after an hour. */
  deliberation(taskId: string): Promise<Deliberation>;
  /** What happens in it, from its beginning, to its end. Throws DeliberationUnknown. */
  watch(taskId: string): AsyncIterable<DeliberationUpdate>;
  /**
   * A deliberation, with the story's context, and a choice of what came of it. Throws as `deliberate` does, AllAgentsFailed, DeadlineExceeded
   * (nobody had a proposal in time), and for a story what planning and the context service throw.
   */
  orchestrate(request: OrchestrationRequest): Promise<Orchestration>;
  /** Tasks for a plan, checked, and kept nowhere. Throws StoryPlanInvalid, ModelReplyInvalid. */
  deriveSubtasks(request: {
    readonly storyId?: string;
    readonly plan: Pick<Plan, "id" | "title" | "text" | "steps">;
    readonly roles?: readonly string[];
  }): Promise<readonly TaskDraft[]>;
  /** Throws CouncilExists, NoAgentsForRole (an unknown role), AgentCountInvalid, RequestInvalid, ModelUnset. */
  createCouncil(draft: CouncilDraft): Promise<Council>;
  councils(): Promise<readonly Council[]>;
  /** Throws CouncilUnknown. */
  deleteCouncil(role: string): Promise<void>;
  /** Throws CouncilUnknown, AgentExists, AgentCountInvalid, RequestInvalid, ModelUnset. */
  registerAgent(agent: {
    readonly role: string;
    readonly agentId?: string;
    readonly model?: ModelSpec;
  }): Promise<Council>;
  /** Throws CouncilUnknown, AgentUnknown. */
  unregisterAgent(role: string, agentId: string): Promise<Council>;
  status(): Promise<{
    readonly startedAtMs: number;
    readonly deliberationsRunning: number;
    readonly storiesInFlight: number;
    readonly councils: readonly Council[];
  }>;
  metrics(): Promise<OrchestratorMetrics>;
}

/** What an agent is asked to do in a workspace: the data of `agent.requested`. */
export interface AgentRequest {
  readonly storyId: string;
  readonly taskId: string;
  /** From 1; a task that failed is asked for again under the next. */
  readonly attempt: number;
  readonly agentId: string;
  readonly role: string;
  readonly title: string;
  readonly text: string;
  readonly priority: number;
  readonly repository: RepositoryRef;
  /** Context for the agent, within its budget. */
  readonly context: string;
  readonly model: ModelSpec;
  readonly timeoutMs: number;
  readonly by: By;
}
