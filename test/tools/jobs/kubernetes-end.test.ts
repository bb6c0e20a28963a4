// How a Job stands by what the API server says: a table, with the words of Kubernetes 1.35.

import { expect, it } from "vitest";
import { type Patience, type SeenJob, type SeenPod, standingOf } from "../../../tools/jobs/kubernetes-end.ts";

const NOW = Date.parse("2026-01-01T00:10:00Z");
const PATIENCE: Patience = { nowMs: NOW, troubleForMs: 0, troubleMaxMs: 60_000, startWithinMs: 900_000 };
const BEGUN = "2026-01-01T00:00:00Z";

const metadata = { name: "agent-x", uid: "1", creationTimestamp: BEGUN };

function job(condition?: readonly [type: string, reason?: string, message?: string], more: object = {}): SeenJob {
  const [type = "", reason = "", message = ""] = condition ?? [];
  const conditions = condition === undefined ? [] : [{ type, status: "True", reason, message }];
  return { metadata: { ...metadata, ...more }, status: { conditions } };
}

function pod(phase: string, status: object = {}, more: object = {}): SeenPod {
  return { metadata: { ...metadata, ...more }, status: { phase, ...status } };
}

const agent = (state: object) => ({ containerStatuses: [{ name: "agent", state }] });
const clone = (state: object) => ({ initContainerStatuses: [{ name: "clone", state }] });
const terminated = (exitCode: number, reason = "Error", message = "") => ({
  terminated: { exitCode, reason, message },
});
const waiting = (reason: string, message = "") => ({ waiting: { reason, message } });
const disruption = (reason: string) => ({ conditions: [{ type: "DisruptionTarget", status: "True", reason }] });
const going = { deletionTimestamp: "2026-01-01T00:09:55Z" };
const longGone = { deletionTimestamp: "2026-01-01T00:08:00Z" };
const kept = (end: object) => ({ annotations: { "flotilla/end": JSON.stringify(end) } });
const deadline = ["Failed", "DeadlineExceeded"] as const;
const policy = (message: string) => ["Failed", "PodFailurePolicy", message] as const;

const exited = (code: number) => ({ kind: "ended", end: { kind: "exited", code } });
const failed = (code: string, more: object = {}) => ({ kind: "ended", end: { kind: "failed", code, ...more } });
const GOES_ON = { kind: "goes on" };

type Row = [
  what: string,
  job: SeenJob | undefined,
  pods: readonly SeenPod[],
  standing: object,
  more?: Partial<Patience>,
];

const rows: readonly Row[] = [
  ["no Pod yet", job(), [], GOES_ON],
  ["runs", job(), [pod("Running", agent({ running: {} }))], GOES_ON],
  ["complete", job(["Complete"]), [], exited(0)],
  ["its Pod has succeeded, the Job does not know yet", job(), [pod("Succeeded")], exited(0)],
  ["an exit code", job(), [pod("Failed", agent(terminated(3)))], exited(3)],
  ["memory", job(), [pod("Failed", agent(terminated(137, "OOMKilled")))], failed("OutOfMemory", { retryable: false })],
  ["its deadline", job(), [pod("Failed", { reason: "DeadlineExceeded" })], { end: { kind: "timed_out" } }],
  ["the Job's deadline, while its Pod is ended", job(deadline), [pod("Running", {}, going)], GOES_ON],
  ["the Job's deadline", job(deadline), [], { end: { kind: "timed_out" } }],
  ["cancelled", job(deadline, kept({ kind: "cancelled" })), [], { end: { kind: "cancelled" } }],
  [
    "to be cancelled, its Pod has ended meanwhile",
    job(undefined, kept({ kind: "cancelled" })),
    [pod("Failed")],
    GOES_ON,
  ],
  ["cancelled after it had ended", job(["Complete"], kept({ kind: "cancelled" })), [], exited(0)],
  ["an end that is none", job(deadline, { annotations: { "flotilla/end": "{" } }), [], { end: { kind: "timed_out" } }],
  [
    "clone, not found",
    job(),
    [pod("Failed", clone(terminated(128, "Error", "fatal: repository 'x' not found\n")))],
    failed("CloneFailed", { retryable: false }),
  ],
  [
    "clone, network",
    job(),
    [pod("Failed", clone(terminated(128, "Error", "fatal: unable to access: Could not resolve host")))],
    failed("CloneFailed", { retryable: true }),
  ],
  [
    "clone, credentials",
    job(),
    [pod("Failed", clone(terminated(128, "Error", "fatal: could not read from https://me:pw@h/x")))],
    failed("CloneFailed", { message: expect.not.stringContaining("pw") }),
  ],
  [
    "no program",
    job(),
    [pod("Failed", agent(terminated(128, "StartError", "exec: not found")))],
    failed("StartFailed", { retryable: false }),
  ],
  [
    "refused by its node",
    job(),
    [pod("Failed", { reason: "OutOfcpu", message: "no cpu" })],
    failed("StartFailed", { retryable: true }),
  ],
  [
    "evicted by its node",
    job(),
    [pod("Failed", { reason: "Evicted", message: "low on memory" })],
    failed("Evicted", { retryable: true }),
  ],
  ["preempted", job(), [pod("Failed", disruption("PreemptionByScheduler"))], failed("Evicted", { retryable: true })],
  ["node lost", job(), [pod("Failed", { reason: "NodeLost" })], failed("Evicted")],
  ["being drained", job(), [pod("Running", disruption("EvictionByEvictionAPI"), going)], GOES_ON],
  [
    "drained from a node that is silent",
    job(["Failed", "PodFailurePolicy"]),
    [pod("Running", disruption("DeletionByTaintManager"), longGone)],
    failed("Evicted"),
  ],
  [
    "drained, its Pod is gone",
    job(policy("Pod w/x has condition DisruptionTarget matching FailJob rule at index 0")),
    [],
    failed("Evicted"),
  ],
  [
    "its Pod is gone, with a code",
    job(policy("Container agent for pod w/x failed with exit code 5 matching FailJob rule at index 1")),
    [],
    exited(5),
  ],
  [
    "its Pod is gone, the clone's code",
    job(policy("Container clone for pod w/x failed with exit code 128 matching FailJob rule at index 1")),
    [],
    failed("CloneFailed"),
  ],
  [
    "its Pod is gone, killed",
    job(policy("Container agent for pod w/x failed with exit code 143 matching FailJob rule at index 1")),
    [],
    failed("Deleted"),
  ],
  ["its Pod is gone, no word", job(["Failed", "BackoffLimitExceeded"]), [], failed("Deleted")],
  [
    "its Pod is being deleted, the Job has no condition",
    job(),
    [pod("Failed", agent(terminated(143)), going)],
    GOES_ON,
  ],
  [
    "its Pod was deleted",
    job(["Failed", "PodFailurePolicy"]),
    [pod("Failed", agent(terminated(143)), going)],
    failed("Deleted"),
  ],
  ["the Job is gone, its Pod runs", undefined, [pod("Running", {}, going)], GOES_ON],
  ["the Job is gone, its Pod is on a silent node", undefined, [pod("Running", {}, longGone)], failed("Deleted")],
  ["the Job is gone", undefined, [], failed("Deleted", { retryable: true })],
  ["the Job waits for its Pods to go", job(undefined, going), [], GOES_ON],
  [
    "the image does not come, at first",
    job(),
    [pod("Pending", agent(waiting("ErrImagePull", "manifest unknown")))],
    GOES_ON,
  ],
  [
    "the image does not come, and is not there",
    job(),
    [pod("Pending", agent(waiting("ImagePullBackOff", "manifest unknown")))],
    { kind: "hopeless", end: { code: "ImageUnavailable", retryable: false } },
    { troubleForMs: 60_000 },
  ],
  [
    "the image does not come, for the network",
    job(),
    [pod("Pending", clone(waiting("ErrImagePull", "i/o timeout")))],
    { kind: "hopeless", end: { code: "ImageUnavailable", retryable: true } },
    { troubleForMs: 60_000 },
  ],
  [
    "no image has that name",
    job(),
    [pod("Pending", agent(waiting("InvalidImageName")))],
    { kind: "hopeless", end: { code: "ImageUnavailable", retryable: false } },
  ],
  [
    "no container can be made",
    job(),
    [pod("Pending", agent(waiting("CreateContainerConfigError", "secret")))],
    { kind: "hopeless", end: { code: "StartFailed", retryable: true } },
    { troubleForMs: 60_000 },
  ],
  [
    "no room",
    job(),
    [pod("Pending", { conditions: [{ type: "PodScheduled", status: "False", message: "0/3 nodes" }] })],
    { kind: "hopeless", end: { code: "StartFailed", retryable: true, message: expect.stringContaining("0/3 nodes") } },
    { startWithinMs: 600_000 },
  ],
  ["the clone takes long", job(), [pod("Pending", clone({ running: {} }))], GOES_ON, { startWithinMs: 600_000 }],
];

it.each(rows)("%s", (_, seenJob, pods, standing, more = {}) => {
  expect(standingOf({ job: seenJob, pods }, { ...PATIENCE, ...more })).toMatchObject(standing);
});

it("looks again when there may be something to decide", () => {
  const trouble = [pod("Pending", agent(waiting("ErrImagePull")))];
  const patience = { ...PATIENCE, troubleForMs: 59_000 };
  expect(standingOf({ job: job(), pods: trouble }, patience)).toEqual({ kind: "goes on", lookInMs: 1_000 });
  const nearly = { ...PATIENCE, startWithinMs: 602_000 };
  expect(standingOf({ job: job(), pods: [] }, nearly)).toEqual({ kind: "goes on", lookInMs: 2_000 });
});
