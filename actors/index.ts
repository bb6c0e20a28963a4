// The agents and their company, as the rest of the house sees them. Other folders import actors/ from here only.

export type { AgentProgress } from "./agent/progress.ts";
export type {
  AgentLimits,
  AgentResult,
  AgentTask,
  DiffStat,
  FinalState,
  Operation,
  ResultPlace,
  Verification,
} from "./agent/result.ts";
export { Agent, type AgentEvent, type AgentSetup, type ModelSpec, modelName } from "./agent-actor.ts";
export { type ExecutorOrder, executorName, loadExecutor } from "./agent-executor.ts";
export { BLOB_PREFIX } from "./agent-executor-text.ts";
export type { Missing, MissingReason, Submission, TaskOutcome, TaskStatus } from "./collected-task.ts";
export { Collector, type CollectorHandle, type CollectorLimits, type Opened, spawnCollector } from "./collector.ts";
export type { ChangeSet as ContextChangeSet } from "./context/change-set.ts";
export type {
  ContextApi,
  ContextChange,
  Edge,
  EntityType,
  GraphNode,
  Neighbourhood,
  RolePack,
} from "./context/context-api.ts";
export type { Ledger as ContextLedger } from "./context/ledger.ts";
export {
  type CouncilAgent,
  type CouncilProgress,
  type CouncilRequest,
  DEFAULT_AGENT_LIMITS,
  runCouncil,
} from "./council/council.ts";
export { type RankedResult, type Ranking, rank } from "./council/ranking.ts";
export { AGENTS_MAX, agentIds, authorOf, type Role, roleNamed, roleNames } from "./council/roles.ts";
export { type ScoreParts, WEIGHTS } from "./council/score-parts.ts";
export { agentResults, type DataOf, deadEvents, workspaceLogs } from "./events/channels.ts";
export { type By, bySchema } from "./events/envelope.ts";
export { parse as parseEvent } from "./events/feed.ts";
export { fleetActorTypes } from "./fleet-actor-types.ts";
export type {
  Council,
  CouncilMember,
  Deliberation,
  DeliberationEntry,
  DeliberationRequest,
  DeliberationStatus,
  DeliberationUpdate,
  OrchestrationRequest,
  OrchestratorApi,
  OrchestratorMetrics,
} from "./orchestrator/orchestrator-api.ts";
export type { Available, Blocked, Decision, PlanningApi } from "./planning/planning-api.ts";
export {
  type Approval,
  type Epic,
  type Finding,
  type Plan,
  type Project,
  planStepSchema,
  type RepositoryRef,
  type Rigor,
  rigorSchema,
  type ScoredReport,
  type Story,
  type Task,
  type TaskDraft,
  taskDraftSchema,
} from "./planning/story.ts";
export { type PolicyRules, policyRulesSchema } from "./policy-rules.ts";
export { contentKey, type TaskContent } from "./result-cache.ts";
export type { ServiceName } from "./service-handles.ts";
export {
  type Client,
  contextOf,
  orchestratorOf,
  planningOf,
  runnerOf,
  type ServiceCall,
} from "./service-handles.ts";
export type { ServiceSettings } from "./service-host.ts";
export type { AgentOrder, Origin, Workplace } from "./workplace.ts";
export type { Job, JobState, WorkspaceRunnerApi } from "./workspace-runner/workspace-runner-api.ts";
export { type JobReport, jobReportSchema } from "./workspace-score/job-report.ts";

/** The services of a fleet: loaded when they are wanted, because a node that only hosts agents shall not hold them. */
export const loadServices = () => import("./services.ts");
