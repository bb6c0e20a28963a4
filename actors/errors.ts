// The errors of actors/: what a caller of an agent, a model, a council or a collector is told.
// An agent's own end is not one of them: it is a value (agent/result.ts) whose `error.code` uses the names under "Ends".

import { errorsFrom } from "../runtime/index.ts";

export const fail = errorsFrom({
  // Models.
  ModelUnreachable: { retryable: true, remedy: "Start the model server, or correct its address." },
  ModelTimeout: { retryable: true, remedy: "Allow more time, or look at the model server's load." },
  ModelHttpError: { retryable: false, remedy: "Read what the model server said in the message." },
  ModelBusy: { retryable: true, remedy: "Wait, or use fewer agents for this model server." },
  ModelReplyInvalid: { retryable: false, remedy: "Check that the address is that of an OpenAI-compatible server." },
  ModelReplyCut: { retryable: true, remedy: "Ask again; look at the model server's log if it happens twice." },
  ModelNotFound: { retryable: false, remedy: "Use one of the models that the message lists." },
  NodeWithoutModel: {
    retryable: true,
    remedy: "Name a model that the message lists, or have the node serve this one.",
  },
  // Ends of an agent's work.
  EmptyPlan: { retryable: false, remedy: "Read the model's reasoning; word the task more exactly." },
  PlanInvalid: { retryable: false, remedy: "Use a larger model, or a server that obeys JSON schemas." },
  Stuck: { retryable: false, remedy: "Read the repeated step in the audit trail; word the task more exactly." },
  StepLimit: { retryable: false, remedy: "Split the task, or raise stepsMax." },
  RoundLimit: { retryable: false, remedy: "Split the task, or raise roundsMax." },
  TokenLimit: { retryable: false, remedy: "Split the task, or raise tokensMax." },
  DeadlineExceeded: { retryable: false, remedy: "Split the task, or allow more time." },
  Cancelled: { retryable: false, remedy: "Ask again." },
  CloneUnreadable: {
    retryable: false,
    remedy: "Read what git said in the message; let the agent start from a new clone.",
  },
  OriginMissing: { retryable: false, remedy: "Run the task again: what its nodes clone from was deleted." },
  AgentDefect: { retryable: false, remedy: "Report it with the message: this is a bug in flotilla." },
  // Councils.
  NoAgentsForRole: {
    retryable: false,
    remedy: "Use one of the roles that the message lists, or make a council for it as the message says.",
  },
  AgentCountInvalid: { retryable: false, remedy: "Ask for a number of agents within the bounds in the message." },
  // What several services say.
  FieldInvalid: { retryable: false, remedy: "Correct the field that the message names." },
  StoryUnknown: { retryable: false, remedy: "Use the id of a story that exists: flotilla story list." },
  StoryPlanInvalid: { retryable: false, remedy: "Correct what the message names in the plan or its tasks." },
  VersionStale: { retryable: false, remedy: "Read it again, look at what has changed, then repeat with its version." },
  RoleUnknown: { retryable: false, remedy: "Use one of the roles that the message lists." },
  PhaseUnknown: { retryable: false, remedy: "Use one of the phases that the message lists." },
  ServiceAbsent: { retryable: true, remedy: "Start it: flotilla services." },
  ApprovalExpired: { retryable: false, remedy: "Run the task again, and answer the question in time." },
  // Events and documents of the services.
  EventInvalid: { retryable: false, remedy: "Report it: a service made an event unlike its schema." },
  DocumentUnreadable: {
    retryable: false,
    remedy: "Let all services be of one version; look at the key in the fleet's store.",
  },
  // The collector.
  SubmissionInvalid: { retryable: false, remedy: "Correct what the message names." },
  TaskUnknown: {
    retryable: false,
    remedy: "Name a task that exists; a collector forgets finished ones after a while.",
  },
  TaskOpenedTwice: { retryable: false, remedy: "Give each task its own id." },
  CollectorLost: { retryable: true, remedy: "Run the task again." },
  CollectorFull: { retryable: true, remedy: "Wait until an open task ends, or start a second collector." },
});
