// What an agent may do to the world, as the rest of the house sees it. Other folders import tools/ from here only.

export { type Audit, type AuditEntry, type AuditFilter, type AuditRecord, MemoryAudit } from "./audit.ts";
export {
  type BackendJob,
  type JobEnd,
  type JobLine,
  type JobSpec,
  WORKSPACE_ARGUMENT,
  type WorkspaceBackend,
  type WorkspaceSource,
} from "./jobs/backend.ts";
export type { ContainerBackendOptions } from "./jobs/container-backend.ts";
export type { KubernetesBackendOptions } from "./jobs/kubernetes-backend.ts";
export type { ProcessBackendOptions } from "./jobs/process-backend.ts";
export { type LintFinding, lintChanged } from "./lint.ts";
export { type ToolsOptions, toolsOptions } from "./options.ts";
export {
  decide,
  type Effect,
  type Policy,
  type PolicyCall,
  type PolicyRule,
  standardPolicy,
  type Verdict,
} from "./policy.ts";
export { redact, redactText } from "./redact.ts";
export { standardTools, ToolRegistry } from "./registry.ts";
export {
  type ApprovalAnswer,
  type ApprovalQuestion,
  type AskPerson,
  runTool,
  type ToolEnvironment,
} from "./run-tool.ts";
export {
  detectRunners,
  type RunnerName,
  summaryOf,
  type TestCounts,
  type TestFailure,
  type TestReport,
} from "./tests/index.ts";
export {
  type Caller,
  defineTool,
  type Outcome,
  type Risk,
  type SideEffects,
  type Tool,
  type ToolCall,
  type ToolContext,
  ToolFailure,
  type ToolOutput,
  type ToolResult,
} from "./tool.ts";
export { describeTools, type ToolSchema, toolSchemas } from "./tool-schema.ts";
export {
  bundleStart,
  bundleWork,
  type CloneBundleRequest,
  cloneBundle,
  publishBundle,
  type StartBundle,
  type StartRequest,
} from "./workspace/bundle.ts";
export {
  applies,
  applyBranch,
  type Changes,
  changesSince,
  cloneForAgent,
  cloneRemote,
  publishBranch,
} from "./workspace/checkout.ts";
export { lendDependencies } from "./workspace/dependencies.ts";
export {
  Depot,
  type DepotClone,
  type DepotMerge,
  type DepotStory,
  type DepotWork,
  type StoryMemory,
  type StoryTip,
  storyBranch,
} from "./workspace/depot.ts";
export type { DepotOrigin } from "./workspace/depot-origin.ts";
export { type PathPurpose, type ResolvedPath, resolveInside } from "./workspace/paths.ts";
export { type PreparedClone, prepareClone } from "./workspace/prepared-clone.ts";
export { openProcessWorkspace, type ProcessWorkspaceOptions } from "./workspace/process-workspace.ts";
export { inspectRepository, type Repository } from "./workspace/repository.ts";
export { openWorkFolder, removeLeftFolders, type WorkFolder } from "./workspace/work-folder.ts";
export type { ExecOptions, ExecResult, Sandbox, Workspace } from "./workspace/workspace.ts";

/** Where jobs run: loaded when they are wanted, because every daemon holds this file, and a connection to Kubernetes is 2 MB of Node's own. */
export const loadBackends = () => import("./jobs/backends.ts");
