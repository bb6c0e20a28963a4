// What a job printed, read from the fleet's log. For the command line and the RPC door alike.
//
// JL1  A job that has ended has printed everything: its state is asked for before the lines are read, so none is missed at the end.

import { type Client, type DataOf, parseEvent, type WorkspaceRunnerApi, workspaceLogs } from "../actors/index.ts";
import { type ActorSystem, type LoggedEvent, READ_MAX, sleep, topicFilter } from "../runtime/index.ts";
import { hasEnded } from "./job-states.ts";

export interface JobLine extends DataOf<typeof workspaceLogs, "workspace.logged"> {
  readonly atMs: number;
}

export interface JobLogsOptions {
  readonly system: Pick<ActorSystem, "ports" | "clock">;
  readonly runner: Pick<Client<WorkspaceRunnerApi>, "job">;
  readonly jobId: string;
  /** Go on until the job has ended; otherwise end with what is there. */
  readonly follow: boolean;
  readonly signal: AbortSignal;
}

const POLL_MS = 300;

/** From the job's first line that is kept. Rejects with JobUnknown, Unavailable, and with the signal's reason. */
export async function* jobLogs({
  system,
  runner,
  jobId,
  follow,
  signal,
}: JobLogsOptions): AsyncGenerator<JobLine, void> {
  let from = 1;
  for (;;) {
    // JL1: before the lines.
    const isLast = hasEnded(await runner.job(jobId)) || !follow;
    for await (const event of linesFrom(system, jobId, from)) {
      from = event.sequence + 1;
      const line = lineOf(event);
      if (line !== undefined) yield line;
    }
    if (isLast) return;
    await sleep(system.clock, POLL_MS, signal);
  }
}

async function* linesFrom(
  { ports }: JobLogsOptions["system"],
  jobId: string,
  from: number,
): AsyncGenerator<LoggedEvent, void> {
  const filter = topicFilter(workspaceLogs.address.replace("{jobId}", jobId));
  for (let next = from; ; ) {
    const page = await ports.eventLog.read(filter, next, READ_MAX);
    yield* page;
    const last = page.at(-1);
    if (last === undefined || page.length < READ_MAX) return;
    next = last.sequence + 1;
  }
}

/** What is no line of ours is passed over: somebody else wrote under this name. */
function lineOf(event: LoggedEvent): JobLine | undefined {
  const parsed = parseEvent(workspaceLogs, event);
  return parsed.kind === "event" ? { ...parsed.event.data, atMs: event.atMs } : undefined;
}
