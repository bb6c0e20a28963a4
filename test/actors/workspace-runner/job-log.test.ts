// A job's lines on their way to the fleet, over lives of the runner that are further apart than the log's own memory of repetitions.

import { expect, it } from "vitest";
import { workspaceLogs } from "../../../actors/events/channels.ts";
import { feed } from "../../../actors/events/feed.ts";
import { JobLog, secretTexts } from "../../../actors/workspace-runner/job-log.ts";
import type { JobRecord } from "../../../actors/workspace-runner/job-record.ts";
import { DEDUPE_WINDOW_MS } from "../../../runtime/event-log.ts";
import { connect } from "../../../runtime/index.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { ScriptedPlace } from "./scripted-backend.ts";

it("JL1: what the topic has is not told again, and what is new is", async () => {
  const clock = new FakeClock();
  await using system = await connect({ clock });
  const { signal } = new AbortController();
  const record = { jobId: "j", tries: 1, sequence: 0, request: { storyId: "s" } } as JobRecord;
  const labels = {};
  const source = { kind: "folder", path: "/w" } as const;
  const place = new ScriptedPlace();
  const spec = { jobId: "j-1", labels, source, command: ["x"], env: {}, secretEnv: {}, timeoutMs: 1_000 };
  await place.open().start(spec, signal);
  const job = place.at("j-1");
  job.print("one");
  job.print("oops", "stderr");
  const tell = async () => {
    const log = new JobLog({ system, clock, secrets: [] }, record);
    await log.stream(job, signal);
    return log.lastWords;
  };
  job.end({ kind: "exited", code: 0 });
  await tell();
  clock.jump(2 * DEDUPE_WINDOW_MS);
  job.print("two");
  expect(await tell()).toBe("oops");
  const lines: string[] = [];
  for await (const fed of feed(system, workspaceLogs, { from: 1, topic: ["j"] })) {
    if (fed.kind === "event") lines.push(fed.event.data.line);
    if (lines.includes("two")) break;
  }
  expect(lines).toEqual(["one", "oops", "two"]);
});

it("tells nothing of secrets, and no more than that is left out", () => {
  const creds = "-----BEGIN NATS USER JWT-----\neyJ0\n------END NATS USER JWT------\n\nSUAXY\n";
  const secretEnv = { FLOTILLA_USER: "flotilla", FLOTILLA_PASS: "pass-1", FLOTILLA_CREDS_TEXT: creds };
  expect(secretTexts(secretEnv)).toEqual(["pass-1", "eyJ0", "SUAXY"]);
});
