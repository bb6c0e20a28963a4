// What the story flow says of an attempt that came to nothing: kept on the task, where people read it.

import { errorsFrom } from "../../runtime/index.ts";

export const fail = errorsFrom({
  ContextMissing: {
    retryable: true,
    remedy: "Look whether the context service runs; the agent worked without its words.",
  },
  MergeConflict: {
    retryable: true,
    remedy:
      "Nothing at first: the next attempt begins on the new state. If all attempts meet it, let one task depend on the other.",
  },
  RepositoryUnset: { retryable: false, remedy: "Make the story with a repository; agents have nothing to work in." },
  ResultIncomplete: { retryable: true, remedy: "Look at the agent's audit trail; it claims success without a commit." },
  ResultLost: { retryable: true, remedy: "Look at the job's log; its end was never told." },
  TaskAmbiguous: { retryable: false, remedy: "Cancel one of the two tasks that the message names, and plan it anew." },
});
