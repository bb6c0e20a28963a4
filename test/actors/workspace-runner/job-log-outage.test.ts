// A job's output while the fleet's log comes and goes: every line is posted, once and in order.

import { afterEach, expect, test } from "vitest";
import { workspaceLogs } from "../../../actors/events/channels.ts";
import { parse } from "../../../actors/events/feed.ts";
import { JobLog } from "../../../actors/workspace-runner/job-log.ts";
import type { JobRecord } from "../../../actors/workspace-runner/job-record.ts";
import { type ActorSystem, connect, FlotillaError, topicFilter } from "../../../runtime/index.ts";
import type { BackendJob, JobLine } from "../../../tools/index.ts";

let system: ActorSystem | undefined;
afterEach(() => system?.close());

const RECORD = {
  ...{ jobId: "s-t-1", request: { storyId: "s", taskId: "t" }, backend: "process", state: "running", sequence: 0 },
  ...{ tries: 1, freeTries: 0, isCancelled: false, queuedAtMs: 0 },
} as unknown as JobRecord;

const away = () => new FlotillaError("Unavailable", "it is away", { retryable: true });

/** A system whose log fails at these calls, counted from 0. */
function failingAt(whole: ActorSystem, calls: ReadonlySet<number>) {
  const { eventLog } = whole.ports;
  let call = 0;
  const failing = new Proxy(eventLog, {
    get: (target, name) => {
      if (name !== "append" && name !== "read") return Reflect.get(target, name, target);
      return async (...args: unknown[]) => {
        if (calls.has(call++)) throw away();
        return (target[name] as (...given: unknown[]) => Promise<unknown>).apply(target, args);
      };
    },
  });
  return { clock: whole.clock, node: whole.node, ports: { ...whole.ports, eventLog: failing } };
}

test("lines wait while the log is away, and are posted once and in order", async () => {
  system = await connect();
  const lines: readonly JobLine[] = ["one", "two", "three"].map((line) => ({ stream: "stdout", line }));
  const job = {
    async *logs() {
      yield* lines;
    },
  } as unknown as BackendJob;
  // The look at what is known, the second line twice, the third.
  const log = new JobLog(
    { system: failingAt(system, new Set([0, 3, 4, 6])), clock: system.clock, secrets: [] },
    RECORD,
  );
  await log.stream(job, new AbortController().signal);
  const logged = await system.ports.eventLog.read(topicFilter("workspace.logs.*"), 1, 100);
  const told = logged.map((each) => parse(workspaceLogs, each));
  expect(
    told.map((fed) => (fed.kind === "event" && fed.event.type === "workspace.logged" ? fed.event.data.line : fed)),
  ).toEqual(["one", "two", "three"]);
});
