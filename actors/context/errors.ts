// The errors of the context service, beside those that several services share (../errors.ts).

import { errorsFrom } from "../../runtime/index.ts";

export const failContext = errorsFrom({
  GraphUnavailable: {
    retryable: true,
    remedy: "Wait, or mend what the message names: the graph's server, its password, or who else has the folder open.",
  },
  GraphRefused: {
    retryable: false,
    remedy: "Read what the graph said in the message; a folder it cannot read may be deleted, it is rebuilt.",
  },
  ChangeInvalid: { retryable: false, remedy: "Correct the change that the message names; none of them was applied." },
  BudgetTooSmall: { retryable: false, remedy: "Allow at least the tokens that the message names." },
  NodeUnknown: { retryable: false, remedy: "Use the id of a node as the graph answers it: task:STORY/TASK, say." },
  DepthInvalid: { retryable: false, remedy: "Ask for a depth of 1, 2 or 3." },
  ScopesInvalid: { retryable: false, remedy: "Correct the table of scopes where the message says." },
});
