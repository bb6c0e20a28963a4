// The errors of the orchestrator: what somebody who asks for a deliberation or a council is told.
// What a member's model says is not one of them: it is in that member's entry, with the model's own code.

import { errorsFrom } from "../../runtime/index.ts";

export const refuse = errorsFrom({
  RequestInvalid: { retryable: false, remedy: "Correct what the message names in the request." },
  ModelUnset: {
    retryable: false,
    remedy:
      "Start the services with a model, or give the council one; the mock only proposes when it is asked for by name.",
  },
  AllAgentsFailed: { retryable: false, remedy: "Read what each agent's model said in the message." },
  DeliberationUnknown: {
    retryable: false,
    remedy: "Begin it first; a deliberation is forgotten an hour after its end.",
  },
  DeliberationsFull: { retryable: true, remedy: "Wait until a deliberation ends." },
  CouncilExists: { retryable: false, remedy: "Use the council that is there, or delete it first." },
  CouncilUnknown: { retryable: false, remedy: "Use one of the councils that the message lists, or make one." },
  AgentExists: { retryable: false, remedy: "Give the agent an id that the council has not had." },
  AgentUnknown: { retryable: false, remedy: "Use one of the agents that the message lists." },
});
