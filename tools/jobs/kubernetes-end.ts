// How a Job stands, by what the API server says of it and its Pods now: it goes on, it has ended and how, or it should be ended and why. Pure.
// It asks nothing and ends nothing: kubernetes-job.ts does.
//
// KE1  A job has ended only when none of its processes can run: its Pods have ended, or their node has not answered for so long that nobody waits.
// KE2  A Pod that is being deleted says nothing about the end until the Job has its condition: a deadline, a cancel, a drain and a person's delete
//      all begin with that deletion.
// KE3  A Pod that is gone is no riddle: the Job's condition names the exit code or the disruption (podFailurePolicy, KM3).

import type { JobEnd } from "./backend.ts";
import { type FailedEnd, failedEnd, isFinalForImages, keptEnd } from "./job-check.ts";
import { AGENT_CONTAINER, CLONE_CONTAINER, END_ANNOTATION } from "./kubernetes-manifest.ts";

interface Metadata {
  readonly name: string;
  readonly uid: string;
  readonly creationTimestamp: string;
  readonly deletionTimestamp?: string;
  readonly annotations?: Readonly<Record<string, string>>;
  readonly labels?: Readonly<Record<string, string>>;
}

interface Condition {
  readonly type: string;
  readonly status: string;
  readonly reason?: string;
  readonly message?: string;
}

export interface SeenJob {
  readonly metadata: Metadata;
  readonly spec?: { readonly activeDeadlineSeconds?: number };
  readonly status?: { readonly conditions?: readonly Condition[] };
}

interface ContainerState {
  readonly waiting?: { readonly reason?: string; readonly message?: string };
  readonly running?: object;
  readonly terminated?: { readonly exitCode: number; readonly reason?: string; readonly message?: string };
}

interface ContainerStatus {
  readonly name: string;
  readonly state?: ContainerState;
}

export interface SeenPod {
  readonly metadata: Metadata;
  readonly status?: {
    readonly phase?: string;
    readonly reason?: string;
    readonly message?: string;
    readonly conditions?: readonly Condition[];
    readonly initContainerStatuses?: readonly ContainerStatus[];
    readonly containerStatuses?: readonly ContainerStatus[];
  };
}

export interface Seen {
  /** Undefined: it is gone. */
  readonly job: SeenJob | undefined;
  readonly pods: readonly SeenPod[];
}

export interface Patience {
  readonly nowMs: number;
  /** For how long `troubleOf` has said the same. */
  readonly troubleForMs: number;
  /** How long that may last. */
  readonly troubleMaxMs: number;
  /** How long a job may wait for a node that takes it. */
  readonly startWithinMs: number;
}

export type JobStanding =
  | { readonly kind: "ended"; readonly end: JobEnd }
  | { readonly kind: "hopeless"; readonly end: FailedEnd }
  | { readonly kind: "goes on"; readonly lookInMs: number };

/** A node that has not ended a Pod so long after its time is not waited for (KE1). */
const NODE_SILENT_MS = 60_000;
const LOOK_EVERY_MS = 10_000;
const SIGNALLED: readonly number[] = [137, 143];

export function standingOf({ job, pods }: Seen, patience: Patience): JobStanding {
  const pod = newest(pods);
  const isLive = pods.some((each) => canRun(each, patience.nowMs));
  if (job === undefined || job.metadata.deletionTimestamp !== undefined) {
    return isLive || job !== undefined ? goesOn(LOOK_EVERY_MS) : ended(deletedJob);
  }
  if (hasCondition(job, "Complete") || pod?.status?.phase === "Succeeded") return ended({ kind: "exited", code: 0 });
  const failure = condition(job, "Failed") ?? condition(job, "FailureTarget");
  if (failure !== undefined) {
    if (isLive) return goesOn(LOOK_EVERY_MS);
    if (failure.reason === "DeadlineExceeded") return ended(keptOf(job) ?? { kind: "timed_out" });
    return ended(pod === undefined ? endByCondition(failure) : endOfPod(pod));
  }
  // KE2
  if (keptOf(job) !== undefined || pod?.metadata.deletionTimestamp !== undefined) return goesOn(LOOK_EVERY_MS);
  if (pod?.status?.phase === "Failed") return ended(endOfPod(pod));
  return hopeOf(job, pod, patience);
}

/** Newer than all others: there is one at a time. */
export const newest = (pods: readonly SeenPod[]): SeenPod | undefined =>
  [...pods].sort((a, b) => Date.parse(b.metadata.creationTimestamp) - Date.parse(a.metadata.creationTimestamp))[0];

/** Why a Pod that does not get on does not, in the kubelet's words; undefined while all is well. */
export function troubleOf(pod: SeenPod | undefined): { readonly reason: string; readonly message: string } | undefined {
  const { initContainerStatuses = [], containerStatuses = [] } = pod?.status ?? {};
  for (const { state } of [...initContainerStatuses, ...containerStatuses]) {
    const { reason = "", message = "" } = state?.waiting ?? {};
    if (IMAGE_TROUBLE.test(reason) || START_TROUBLE.test(reason)) return { reason, message };
  }
  return undefined;
}

const IMAGE_TROUBLE =
  /^(ErrImage|ImagePullBackOff|InvalidImageName|ImageInspectError|RegistryUnavailable|SignatureValidation)/;
const START_TROUBLE = /^(CreateContainer|RunContainer|PreCreateHook|PreStartHook|PostStartHook).*Error$/;
/** Waiting mends these only if somebody mends what was asked for. */
const NEVER_MENDED = /^(InvalidImageName|ErrImageNeverPull)$/;

function hopeOf(job: SeenJob, pod: SeenPod | undefined, patience: Patience): JobStanding {
  const { nowMs, troubleForMs, troubleMaxMs, startWithinMs } = patience;
  const trouble = troubleOf(pod);
  if (trouble !== undefined) {
    if (troubleForMs >= troubleMaxMs || NEVER_MENDED.test(trouble.reason)) return hopeless(endOfTrouble(trouble));
    return goesOn(troubleMaxMs - troubleForMs);
  }
  if (hasBegun(pod)) return goesOn(LOOK_EVERY_MS);
  const leftMs = Date.parse(job.metadata.creationTimestamp) + startWithinMs - nowMs;
  if (leftMs > 0) return goesOn(Math.min(leftMs, LOOK_EVERY_MS));
  const why = pod?.status?.conditions?.find(({ type, status }) => type === "PodScheduled" && status === "False");
  const message = `No node has begun it within ${Math.round(startWithinMs / 1_000)} s: ${why?.message ?? "no node has said why"}.`;
  return hopeless(failedEnd("StartFailed", message, true));
}

function endOfTrouble({ reason, message }: { readonly reason: string; readonly message: string }): FailedEnd {
  const why = message === "" ? reason : `${message} (${reason})`;
  if (IMAGE_TROUBLE.test(reason)) {
    const isFinal = NEVER_MENDED.test(reason) || isFinalForImages(message);
    return failedEnd("ImageUnavailable", `An image cannot be pulled: ${why}.`, !isFinal);
  }
  return failedEnd("StartFailed", `Its container cannot be made: ${why}.`, true);
}

/** Of a Pod whose phase is Failed, or that is silent for good. */
function endOfPod(pod: SeenPod): JobEnd {
  const { reason, message = "", containerStatuses = [], initContainerStatuses = [] } = pod.status ?? {};
  const disruption = pod.status?.conditions?.find(
    ({ type, status }) => type === "DisruptionTarget" && status === "True",
  );
  if (disruption !== undefined) return evicted(disruption.message ?? disruption.reason ?? "its node gave it up");
  if (reason !== undefined && EVICTIONS.test(reason)) return evicted(message || reason);
  if (reason === "DeadlineExceeded") return { kind: "timed_out" };
  const agent = terminationIn(containerStatuses, AGENT_CONTAINER);
  const clone = terminationIn(initContainerStatuses, CLONE_CONTAINER);
  for (const each of [agent, clone]) if (each?.reason === "OOMKilled") return outOfMemory(each.exitCode);
  if (pod.metadata.deletionTimestamp !== undefined) return deletedPod;
  for (const each of [agent, clone])
    if (each !== undefined && NEVER_RAN.test(each.reason ?? "")) return neverRan(each.message);
  if (clone !== undefined && clone.exitCode !== 0) return cloneFailed(clone.message ?? "", clone.exitCode);
  if (agent !== undefined) return { kind: "exited", code: agent.exitCode };
  return failedEnd("StartFailed", `Its Pod did not begin: ${message || reason || "its node does not say why"}.`, true);
}

const EVICTIONS = /^(Evicted|NodeLost|Preempt(ed|ing)|Shutdown|NodeShutdown|Terminated|NodeAffinity|Node.*Lost)$/;
const NEVER_RAN = /^(StartError|ContainerCannotRun)$/;

/** KE3. */
function endByCondition({ message = "" }: Condition): JobEnd {
  if (message.includes("DisruptionTarget")) return evicted(message);
  const found = /Container (\S+) for pod \S+ failed with exit code (\d+)/.exec(message);
  const code = Number(found?.[2]);
  if (found === null || SIGNALLED.includes(code)) return deletedPod;
  return found[1] === CLONE_CONTAINER ? cloneFailed("", code) : { kind: "exited", code };
}

function canRun({ metadata, status }: SeenPod, nowMs: number): boolean {
  if (status?.phase === "Succeeded" || status?.phase === "Failed") return false;
  const { deletionTimestamp } = metadata;
  // The moment by which its kubelet was to have ended it.
  return deletionTimestamp === undefined || nowMs < Date.parse(deletionTimestamp) + NODE_SILENT_MS;
}

const hasBegun = (pod: SeenPod | undefined): boolean =>
  [...(pod?.status?.initContainerStatuses ?? []), ...(pod?.status?.containerStatuses ?? [])].some(
    ({ state }) => state?.running !== undefined || state?.terminated !== undefined,
  );

const condition = ({ status }: SeenJob, type: string): Condition | undefined =>
  status?.conditions?.find((each) => each.type === type && each.status === "True");

const hasCondition = (job: SeenJob, type: string): boolean => condition(job, type) !== undefined;

const keptOf = ({ metadata }: SeenJob): JobEnd | undefined => keptEnd(metadata.annotations?.[END_ANNOTATION]);

const terminationIn = (statuses: readonly ContainerStatus[], name: string) =>
  statuses.find((each) => each.name === name)?.state?.terminated;

const ended = (end: JobEnd): JobStanding => ({ kind: "ended", end });
const hopeless = (end: FailedEnd): JobStanding => ({ kind: "hopeless", end });
const goesOn = (lookInMs: number): JobStanding => ({ kind: "goes on", lookInMs });

const evicted = (why: string): JobEnd => failedEnd("Evicted", `Its Pod was taken away: ${why}`, true);
const outOfMemory = (code: number): JobEnd =>
  failedEnd("OutOfMemory", `It needed more memory than it was given, and ended with ${code}.`, false);
const neverRan = (why = "its node does not say why"): JobEnd =>
  failedEnd("StartFailed", `Its program could not be started: ${why}.`, false);
const deletedJob: JobEnd = failedEnd("Deleted", "Somebody deleted its Job.", true);
const deletedPod: JobEnd = failedEnd("Deleted", "Somebody deleted its Pod.", true);

/** What is not there or not allowed stays so; a network may mend. */
const FINAL_FOR_GIT =
  /not found|does not exist|does not appear to be|denied|authentication failed|could not read username|not a git/i;

function cloneFailed(said: string, code: number): JobEnd {
  const lines = said.split("\n").map((line) => line.trim());
  // Addresses may hold credentials.
  const why = lines
    .filter((line) => line !== "" && !line.startsWith("Cloning into"))
    .join("; ")
    .replace(/\/\/[^/\s@]+@/g, "//");
  return failedEnd(
    "CloneFailed",
    `Its repository cannot be cloned: ${why || `git ended with ${code}`}.`,
    !FINAL_FOR_GIT.test(said),
  );
}
