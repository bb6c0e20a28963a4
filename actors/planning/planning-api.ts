// What planning can be asked, as the other services and the doors see it. The actor that answers is planning.ts.
//
// PA1  Every change takes a `key`: the same key again answers with the story as the first change left it or as it is now, and changes nothing.
// PA2  A change with `expectedVersion` is refused with VersionStale unless the story is still at that version.

import type { By } from "../events/envelope.ts";
import type { JobReport } from "../workspace-score/job-report.ts";
import type {
  Approval,
  Epic,
  Plan,
  Project,
  RepositoryRef,
  Rigor,
  ScoredReport,
  Story,
  TaskDraft,
  TaskStatus,
} from "./story.ts";

/** What every change carries. */
export interface Change {
  readonly by: By;
  /** Idempotency key (PA1). Default: none, each call is a change of its own. */
  readonly key?: string;
}

export interface StoryDraft extends Change {
  /** Default: one is made. */
  readonly id?: string;
  readonly epicId?: string;
  readonly title: string;
  readonly description: string;
  readonly criteria: readonly string[];
  /** Default L1. */
  readonly rigor?: Rigor;
  readonly repository?: RepositoryRef;
}

export interface StoryEdit extends Change {
  readonly storyId: string;
  readonly expectedVersion?: number;
  readonly title?: string;
  readonly description?: string;
  readonly criteria?: readonly string[];
  readonly rigor?: Rigor;
}

/** A guard that stands against a transition, and why, in one sentence each. */
export interface Blocked {
  readonly guard: string;
  readonly reason: string;
}

/** An event that the story's state has, and what stands against it. */
export interface Available {
  readonly event: string;
  readonly to: string;
  /** Only a person may make it, of one of these roles. */
  readonly human: readonly string[] | null;
  readonly blocked: readonly Blocked[];
}

export type Moved =
  | { readonly kind: "moved"; readonly story: Story }
  | { readonly kind: "blocked"; readonly story: Story; readonly blocked: readonly Blocked[] };

export interface TaskChange extends Change {
  readonly storyId: string;
  readonly taskId: string;
  readonly status: TaskStatus;
  readonly attempt: number;
  readonly commit?: string;
  readonly agentId?: string;
  readonly error?: { readonly code: string; readonly message: string };
}

export interface Ask extends Change {
  readonly storyId?: string;
  readonly taskId?: string;
  readonly subject: string;
  readonly question: string;
  readonly roles?: readonly string[];
  /** Milliseconds until it expires. Default: it waits for ever. */
  readonly timeoutMs?: number;
}

export interface Decision extends Change {
  readonly approvalId: string;
  readonly decision: "approve" | "reject";
  readonly feedback?: string;
}

/** Every method also throws Unavailable. */
export interface PlanningApi {
  /** Throws FieldInvalid, IdTaken. */
  createProject(draft: Change & Pick<Project, "title" | "description"> & { readonly id?: string }): Promise<Project>;
  /** Throws FieldInvalid, ProjectUnknown, IdTaken. */
  createEpic(
    draft: Change & Pick<Epic, "title" | "description" | "projectId"> & { readonly id?: string },
  ): Promise<Epic>;
  projects(): Promise<readonly Project[]>;
  epics(projectId?: string): Promise<readonly Epic[]>;
  /** The new story, scored, in the state that follows `create_story`. Throws FieldInvalid, EpicUnknown, IdTaken. */
  createStory(draft: StoryDraft): Promise<Story>;
  /** Only while the table allows edits (before BUILD); scores it anew. Throws StoryUnknown, VersionStale, FieldInvalid, StoryFixed. */
  editStory(edit: StoryEdit): Promise<Story>;
  /** Throws StoryUnknown. */
  story(id: string): Promise<Story>;
  /** In the order of their ids. `after`: the last id of the page before. At most 500 a page. */
  stories(filter?: {
    readonly state?: string;
    readonly epicId?: string;
    readonly after?: string;
    readonly max?: number;
  }): Promise<{ readonly stories: readonly Story[]; readonly next?: string }>;
  /** What may happen next, and what stands against it. Throws StoryUnknown. */
  available(storyId: string): Promise<readonly Available[]>;
  /** A guard that blocks is an answer, not an error. Throws StoryUnknown, VersionStale, EventUnknown. */
  transition(
    change: Change & {
      readonly storyId: string;
      readonly event: string;
      readonly expectedVersion?: number;
      readonly feedback?: string;
    },
  ): Promise<Moved>;
  /** Replaces a plan that is not approved yet. Throws StoryUnknown, VersionStale, StoryPlanInvalid, StoryFixed. */
  proposePlan(
    change: Change & {
      readonly storyId: string;
      readonly plan: Pick<Plan, "title" | "text"> & Partial<Pick<Plan, "id" | "steps" | "rationale">>;
      readonly expectedVersion?: number;
    },
  ): Promise<Story>;
  /** The tasks of the approved plan, once. Throws StoryUnknown, PlanUnknown, StoryPlanInvalid (a cycle, an unknown role or dependency, a size). */
  addTasks(
    change: Change & { readonly storyId: string; readonly planId: string; readonly tasks: readonly TaskDraft[] },
  ): Promise<Story>;
  /** Throws StoryUnknown, TaskUnknown. A task that is done stays done: a later change answers with the story as it is. */
  taskChanged(change: TaskChange): Promise<Story>;
  /** Scores the report against the story's rigor and keeps it for the guards. Throws StoryUnknown, FieldInvalid. */
  recordReport(
    change: Change & { readonly storyId: string; readonly phase: string; readonly report: JobReport },
  ): Promise<ScoredReport>;
  /** What waits for a person, the longest first, at most 500; `role`: what this role may decide. */
  approvals(filter?: { readonly role?: string; readonly storyId?: string }): Promise<readonly Approval[]>;
  /** Throws ApprovalUnknown. */
  approval(id: string): Promise<Approval>;
  /** Throws ApprovalUnknown, ApprovalDecided (with what was decided), RoleMissing, and for a gate what `transition` says as TransitionBlocked. */
  decide(decision: Decision): Promise<Approval>;
  /** Puts a question before a person; the answer is in `approval(id)` and in approval.decided. Throws FieldInvalid. */
  ask(question: Ask): Promise<Approval>;
}
