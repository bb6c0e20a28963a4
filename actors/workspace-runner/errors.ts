// The errors of the workspace runner. How a job ended is not thrown: it is the job's `error`, whose codes are these, those of backends
// (tools/) and Cancelled, DeadlineExceeded.

import { errorsFrom } from "../../runtime/index.ts";

export const fail = errorsFrom({
  JobUnknown: { retryable: false, remedy: "Use the id of a job that there is; ended ones are forgotten after a day." },
  JobIdTaken: { retryable: false, remedy: "Give stories and tasks ids that do not run together." },
  RunnerFull: { retryable: true, remedy: "Wait until jobs end, or let the runner run more at once (runningMax)." },
  RunnerSettingInvalid: { retryable: false, remedy: "Correct the setting that the message names." },
  StoryBranchLost: { retryable: false, remedy: "Bring its host back, or let the story's tasks run again." },
  StoryBranchBusy: { retryable: true, remedy: "Look whether two runners serve one fleet." },
  // Ends of jobs.
  ExecutorFailed: { retryable: false, remedy: "Read the job's last lines: flotilla job logs." },
  RunnerDefect: { retryable: false, remedy: "Report it with the message: this is a bug in flotilla." },
  ResultMissing: { retryable: false, remedy: "Report it with the job's log: its executor ended as if it had posted." },
});
