// Which status an error becomes at the door, and what is said with it.
// Codes and messages are the services' (docs/errors.md); the remedies here speak to whoever calls over RPC.
//
// DS1  Programs decide by Failure.reason, our stable code; a status covers several of them.
// DS2  A defect says nothing of our insides: the caller gets a number that the log has too.
// DS3  What is said is bounded: it travels in a header, and clients refuse large ones.

import { Code, ConnectError } from "@connectrpc/connect";
import { type ErrorData, isFlotillaError, type LogLine, type Random } from "../../runtime/index.ts";
import { FailureSchema } from "../proto/gen/fleet/rpc/v1/rpc_pb.js";
import { texts } from "./values.ts";

type Status = readonly [code: Code, remedy: string];

const GONE: Status = [Code.Unavailable, "Try again in a moment: the service is starting, moving or overloaded."];
const UNREADABLE = "Correct the field that the message names.";
const ids = (method: string): Status => [Code.NotFound, `Use an id that exists: ${method}.`];
const taken: Status = [Code.AlreadyExists, "Choose another id, or leave it out."];
const repository: Status = [Code.FailedPrecondition, "Look at the repository that the message names."];

/** By the code of the error. */
export const STATUSES: Readonly<Record<string, Status>> = {
  // What several services say.
  FieldInvalid: [Code.InvalidArgument, UNREADABLE],
  RequestInvalid: [Code.InvalidArgument, UNREADABLE],
  StoryUnknown: ids("ListStories has those of stories"),
  TaskUnknown: ids("GetStory has those of a story's tasks"),
  RoleUnknown: [Code.InvalidArgument, "Use one of the roles that the message lists."],
  PhaseUnknown: [Code.InvalidArgument, "Use one of the phases that the message lists."],
  VersionStale: [Code.Aborted, "Read it again, look at what has changed, then repeat with its version."],
  // Planning.
  IdTaken: taken,
  ProjectUnknown: ids("ListProjects has those of projects"),
  EpicUnknown: ids("ListEpics has those of epics"),
  PlanUnknown: ids("GetPlan has that of a story's plan"),
  ApprovalUnknown: ids("ListApprovals has those that wait"),
  ApprovalDecided: [Code.FailedPrecondition, "Nothing is left to decide: GetApproval says what was."],
  RoleMissing: [Code.PermissionDenied, "Let a person decide who has one of the roles in the message."],
  EventUnknown: [Code.InvalidArgument, "Use one of the events that GetPlan lists."],
  StoryFixed: [Code.FailedPrecondition, "Move the story back first: GetPlan lists what its state allows."],
  StoryPlanInvalid: [Code.InvalidArgument, "Correct what the message names in the plan or its tasks."],
  TransitionBlocked: [Code.FailedPrecondition, "Do what the guards in `blocked` ask for."],
  StoryContested: [Code.Aborted, "Try again: something else was changing the same story."],
  ApprovalsFull: [Code.ResourceExhausted, "Decide some of the questions that wait for a person: ListApprovals."],
  // Orchestrator.
  NoAgentsForRole: [Code.FailedPrecondition, "Make a council of this role: CreateCouncil."],
  ModelUnset: [Code.FailedPrecondition, "Name a model in the request, or start the fleet's services with one."],
  DeliberationUnknown: [Code.NotFound, "Begin it with DeliberateAsync; results are forgotten after an hour."],
  DeliberationsFull: [Code.ResourceExhausted, "Wait until a deliberation ends."],
  AllAgentsFailed: [Code.FailedPrecondition, "Mend what each agent's model said, as the message has it."],
  CouncilExists: [Code.AlreadyExists, "Use it as it is, or delete it first: DeleteCouncil."],
  CouncilUnknown: [Code.NotFound, "Use the role of one that exists: ListCouncils."],
  AgentExists: taken,
  AgentUnknown: [Code.NotFound, "Use the id of one of its agents: ListCouncils with include_agents."],
  AgentCountInvalid: [Code.InvalidArgument, "Ask for a number of agents within the bounds in the message."],
  ModelReplyInvalid: [Code.FailedPrecondition, "Use a larger model, or a server that obeys JSON schemas."],
  // Workspace runner.
  JobUnknown: ids("ListJobs has those of jobs"),
  OriginMissing: repository,
  BundleInvalid: repository,
  GitFailed: repository,
  CloneFailed: [Code.Unavailable, "Check the repository's address, and whether the fleet reaches it."],
  StoryBranchLost: repository,
  StoryBranchBusy: [Code.Aborted, "Try again: another piece of work is being put into the story's branch."],
  BranchExists: [Code.FailedPrecondition, "Delete or rename the branch that the message names."],
  // Context.
  BudgetTooSmall: [Code.InvalidArgument, "Allow at least the tokens that the message names."],
  ChangeInvalid: [Code.InvalidArgument, "Correct the change that the message names; none was applied."],
  NodeUnknown: ids("GetGraphRelationships of a story has those around it"),
  DepthInvalid: [Code.InvalidArgument, "Ask for a depth from 1 to 3."],
  GraphUnavailable: [Code.Unavailable, "Start the graph's server, or wait until it answers; nothing was changed."],
  GraphRefused: [Code.FailedPrecondition, "Read what the graph said in the message."],
  // Of every call.
  InvalidOption: [Code.InvalidArgument, UNREADABLE],
  Unavailable: GONE,
  NoSuchActor: [Code.Unavailable, "Start the fleet's services, or wait until they have moved to another node."],
  ActorEnded: GONE,
  ActorRestarted: GONE,
  ActorStartFailed: [Code.Unavailable, "Look at the log of the service: it cannot start."],
  NodeLost: GONE,
  LeaseLost: GONE,
  StreamBroken: GONE,
  Closed: GONE,
  MailboxFull: [Code.ResourceExhausted, "Try again after retryAfterMs, or send fewer at once."],
  PayloadTooLarge: [Code.ResourceExhausted, "Send less in one message."],
  ValueTooLarge: [Code.ResourceExhausted, "Send less in one message."],
  StorageFull: [Code.ResourceExhausted, "Delete what is no longer needed, or raise the bound that the message names."],
  ReaderLagged: [Code.Aborted, "Ask again: it begins at the oldest that is kept."],
  DeadlineExceeded: [Code.DeadlineExceeded, "Allow more time; with a key it is safe to repeat a change."],
  Cancelled: [Code.Canceled, "Ask again."],
  Unknown: [Code.Unknown, "It may have run or not: repeat it with its key, or look."],
  VersionSkew: [Code.FailedPrecondition, "Run one version of the fleet on all nodes."],
  NoSuchMethod: [Code.Unimplemented, "Run one version of the fleet on all nodes."],
};

/** Ours, and yet nothing that a caller could act on (DS2). */
const DEFECTS: ReadonlySet<string> = new Set(["ActorThrew", "AgentDefect", "Deadlock", "EventInvalid", "NotSendable"]);

/** Bounds of DS3, in characters. */
const MESSAGE_MAX = 1_000;
const VALUE_MAX = 300;
const ENTRIES_MAX = 12;
const BLOCKED_MAX = 10;

export interface StatusOptions {
  readonly log: (line: Pick<LogLine, "level" | "message" | "data">) => void;
  readonly random: Pick<Random, "id">;
  /** "/fleet.planning.v1.PlanningService/GetStory". */
  readonly procedure: string;
}

/** What the caller is told of an error. Never throws. */
export function statusOf(error: unknown, options: StatusOptions): ConnectError {
  if (error instanceof ConnectError) return error;
  if (!isFlotillaError(error) || DEFECTS.has(error.code)) return defect(error, options);
  const { code, message, retryable, data } = error;
  const [status, remedy] = STATUSES[code] ?? [
    retryable ? Code.Unavailable : Code.FailedPrecondition,
    retryable ? "Try again in a moment." : "Read what the message says.",
  ];
  const value = { reason: code, remedy, retryable, metadata: metadataOf(data), blocked: blockedOf(data) };
  return new ConnectError(clip(message, MESSAGE_MAX), status, undefined, [{ desc: FailureSchema, value }], error);
}

function defect(error: unknown, { log, random, procedure }: StatusOptions): ConnectError {
  const incident = random.id();
  const said = error instanceof Error ? (error.stack ?? error.message) : String(error);
  log({ level: "error", message: `${procedure} failed by a defect (incident ${incident}): ${said}` });
  const remedy = "Report it with this number: the log of the door has the rest.";
  const value = { reason: "Defect", remedy, metadata: { incident } };
  const message = `the fleet has a defect; incident ${incident}`;
  return new ConnectError(message, Code.Internal, undefined, [{ desc: FailureSchema, value }]);
}

const clip = (words: string, max: number): string => (words.length <= max ? words : `${words.slice(0, max - 1)}…`);

function metadataOf(data: ErrorData): Record<string, string> {
  const named = Object.entries(data).filter(([name]) => name !== "blocked");
  const written = Object.entries(texts(Object.fromEntries(named.slice(0, ENTRIES_MAX))));
  return Object.fromEntries(written.map(([name, value]) => [clip(name, VALUE_MAX), clip(value, VALUE_MAX)]));
}

/** The guards of a TransitionBlocked. */
function blockedOf({ blocked }: ErrorData): { guard: string; reason: string }[] {
  if (!Array.isArray(blocked)) return [];
  return blocked.slice(0, BLOCKED_MAX).map((each: { readonly guard?: unknown; readonly reason?: unknown } | null) => ({
    guard: clip(String(each?.guard ?? ""), VALUE_MAX),
    reason: clip(String(each?.reason ?? ""), VALUE_MAX),
  }));
}
