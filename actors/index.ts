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
export { agentResults } from "./events/channels.ts";
export { fleetActorTypes } from "./fleet-actor-types.ts";
export { contentKey, type TaskContent } from "./result-cache.ts";
export type { AgentOrder, Origin, Workplace } from "./workplace.ts";
export type { RunnerSettings } from "./workspace-runner/runner-settings.ts";
export { WorkspaceRunner } from "./workspace-runner/workspace-runner.ts";
