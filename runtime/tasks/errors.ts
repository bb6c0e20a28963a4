// The errors of tasks: what `submit`, `result`, `cancel` and the dead-letter list throw.
// What a task's own code throws is not here: it is in the history that TaskFailed carries.

import { errorsFrom } from "../errors.ts";

export const taskError = errorsFrom({
  TaskCancelled: { retryable: false, remedy: "Somebody cancelled the task; submit it again under another id." },
  TaskDataLost: {
    retryable: false,
    remedy: "Its large arguments or result are no longer kept in blobs; submit it again under another id.",
  },
  TaskExpired: { retryable: false, remedy: "Its deadline passed before it was done; submit it again with more time." },
  TaskFailed: {
    retryable: false,
    remedy: "Read data.history, mend the cause, then replay it: flotilla dead-letters replay ID.",
  },
  TaskIdTaken: { retryable: false, remedy: "Give each task its own id; the same id means the same task again." },
  TaskNotDead: { retryable: false, remedy: "List the dead letters; only one that is there can be shown or replayed." },
  TaskUnknown: { retryable: false, remedy: "Submit it first; results are forgotten after a while." },
});
