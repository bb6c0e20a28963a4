// What planning tells its callers, beside the errors that all services share (actors/errors.ts).

import { errorsFrom } from "../../runtime/index.ts";

export const planningError = errorsFrom({
  StoryTableInvalid: { retryable: false, remedy: "Correct the story table at the line that the message names." },
  EventUnknown: { retryable: false, remedy: "Use one of the events that the message lists." },
  IdTaken: { retryable: false, remedy: "Choose another id, or leave it out." },
  ProjectUnknown: { retryable: false, remedy: "Use the id of a project that exists, or create it first." },
  EpicUnknown: { retryable: false, remedy: "Use the id of an epic that exists, or create it first." },
  PlanUnknown: { retryable: false, remedy: "Name the story's approved plan: flotilla story show." },
  StoryFixed: {
    retryable: false,
    remedy: "Reject the story back to a state that allows it, or write a new story for what is new.",
  },
  StoryContested: { retryable: true, remedy: "Try again: something else was changing the same document." },
  ApprovalUnknown: { retryable: false, remedy: "List what waits for a person: flotilla approvals." },
  ApprovalDecided: { retryable: false, remedy: "Nothing is left to decide; the message says what became of it." },
  ApprovalsFull: { retryable: true, remedy: "Decide some of the questions that wait for a person." },
  RoleMissing: { retryable: false, remedy: "Have a person decide who has one of the roles in the message." },
  TransitionBlocked: { retryable: false, remedy: "Do what the guards in the message ask for, then decide again." },
});
