// What the context service can be asked, as the other services and the doors see it. The actor that answers is context.ts.
//
// CA1  The graph's version is a whole number that grows by one with each change set; a change set is applied whole or not at all.
// CA2  The same `key` again answers with the first outcome and changes nothing.

import type { By } from "../events/envelope.ts";

export type EntityType =
  | "Project"
  | "Epic"
  | "Story"
  | "Plan"
  | "Task"
  | "Decision"
  | "Milestone"
  | "Commit"
  | "ToolExecution";

export interface ContextChange {
  readonly operation: "create" | "update" | "delete";
  readonly entityType: EntityType;
  readonly entityId: string;
  /** Fields of the entity, by the schema of its type; also its edges: `affects: [taskId]`, `dependsOn: [decisionId]`. */
  readonly payload: Readonly<Record<string, unknown>>;
  /** Why; kept on the edges that the change makes. */
  readonly reason: string;
}

export interface ContextBlocks {
  readonly system: string;
  readonly context: string;
  readonly tools: string;
}

export interface Edge {
  readonly from: string;
  readonly to: string;
  readonly type: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface GraphNode {
  readonly id: string;
  readonly type: string;
  readonly title: string;
  readonly properties: Readonly<Record<string, unknown>>;
}

export interface Neighbourhood {
  readonly node: GraphNode;
  readonly nodes: readonly GraphNode[];
  readonly edges: readonly Edge[];
  /** There was more than a page takes. */
  readonly isCut: boolean;
}

/** One part of a session pack. */
export interface RolePack {
  readonly role: string;
  readonly story: GraphNode;
  readonly tasks: readonly GraphNode[];
  readonly decisions: readonly GraphNode[];
  readonly impacted: readonly { readonly decisionId: string; readonly taskId: string }[];
  readonly milestones: readonly GraphNode[];
  readonly lastSummary: string;
  readonly tokenBudget: number;
}

/** Every method also throws GraphUnavailable. */
export interface ContextApi {
  /**
   * What a role needs to know in a phase, within `tokenBudget` tokens as the tokenizer counts them, without secrets.
   * Throws StoryUnknown, TaskUnknown, RoleUnknown, PhaseUnknown, BudgetTooSmall.
   */
  getContext(request: {
    readonly storyId: string;
    readonly role: string;
    readonly phase: string;
    readonly taskId?: string;
    /** Default: the role's. */
    readonly tokenBudget?: number;
    /** How long the task may not be in the graph yet, at most 1,000: planning's events may be on their way. Default 0. */
    readonly waitMs?: number;
  }): Promise<{
    readonly context: string;
    readonly tokenCount: number;
    readonly scopes: readonly string[];
    /** What did not fit, in words. */
    readonly omitted: readonly string[];
    readonly version: number;
    /** Of the text. */
    readonly hash: string;
    readonly blocks: ContextBlocks;
  }>;
  /** Throws StoryUnknown, ChangeInvalid (which change, and why), VersionStale. */
  updateContext(request: {
    readonly storyId: string;
    readonly taskId?: string;
    readonly role?: string;
    readonly changes: readonly ContextChange[];
    readonly by: By;
    readonly key?: string;
    readonly expectedVersion?: number;
  }): Promise<{ readonly version: number; readonly hash: string }>;
  /** Throws StoryUnknown, RoleUnknown. */
  rehydrateSession(request: {
    readonly storyId: string;
    readonly roles: readonly string[];
    /** Milestones of each role. Default 50. */
    readonly timelineEvents?: number;
    readonly includeSummaries?: boolean;
  }): Promise<{
    readonly storyId: string;
    readonly version: number;
    readonly packs: readonly RolePack[];
    readonly stats: {
      readonly tasks: number;
      readonly decisions: number;
      readonly edges: number;
      readonly events: number;
    };
  }>;
  /** Throws RoleUnknown, PhaseUnknown. */
  validateScope(request: {
    readonly role: string;
    readonly phase: string;
    readonly scopes: readonly string[];
  }): Promise<{
    readonly allowed: boolean;
    readonly missing: readonly string[];
    readonly extra: readonly string[];
    readonly reason: string;
  }>;
  /** `depth` 1 to 3. Throws NodeUnknown, DepthInvalid. */
  relationships(request: { readonly nodeId: string; readonly depth?: number }): Promise<Neighbourhood>;
  /** What a decision bears on, directly and through others. Throws NodeUnknown. */
  impact(decisionId: string): Promise<{
    readonly decision: GraphNode;
    readonly tasks: readonly GraphNode[];
    readonly decisions: readonly GraphNode[];
  }>;
  /** Why a commit exists: the chain from it to its task, plan, decisions, story, epic and project. Throws NodeUnknown. */
  why(commit: string): Promise<Neighbourhood>;
}
