// The Kubernetes Job of one job, and the Secret that goes with it, as plain data: what is asked for, written once, in one pure function each.
// They pass the Pod Security Standard `restricted`. What becomes of them is kubernetes-end.ts.
//
// KM1  Texts are data: arguments, never a shell's line, and every $ is written so that Kubernetes does not take $(NAME) for a variable. A task's
//      text that says $(API_KEY) would otherwise have the key in its command line.
// KM2  What people wrote stands whole in annotations; labels hold what Kubernetes allows of it, for queries.
// KM3  One Pod, once: no retries, no restart, no second Pod while the first one ends. The Job itself says why its Pod ended, for those who come
//      when the Pod is gone: that is what podFailurePolicy is here for.

import { createHash } from "node:crypto";
import type { V1Container, V1EnvVar, V1Job, V1PodSpec, V1Secret } from "@kubernetes/client-node";
import { isBranchName } from "../git/index.ts";
import { isAddress } from "../workspace/repository.ts";
import type { JobSpec } from "./backend.ts";
import { commandAt, jobRefused } from "./job-check.ts";

export interface KubernetesShape {
  readonly namespace: string;
  readonly fleet: string;
  readonly image: string;
  readonly cloneImage: string;
  readonly imagePullSecrets: readonly string[];
  readonly secrets: readonly string[];
  readonly gitSecret?: string | undefined;
  readonly serviceAccount?: string | undefined;
  readonly nodeSelector: Readonly<Record<string, string>>;
  readonly tolerations: readonly object[];
  readonly cpus: number;
  readonly memoryBytes: number;
  readonly workspaceBytes: number;
  readonly startWithinMs: number;
  readonly keepEndedS: number;
}

/** Where the volume is. The work tree is a folder in it: git takes a folder that belongs to root, as the volume itself does, for somebody else's. */
const VOLUME = "/workspace";
export const WORKSPACE_PATH = `${VOLUME}/repository`;
const GIT_FOLDER = "/etc/flotilla-git";

export const AGENT_CONTAINER = "agent";
export const CLONE_CONTAINER = "clone";
const MANAGED_BY = "app.kubernetes.io/managed-by";
export const FLEET_LABEL = "flotilla/fleet";
/** The Job's own name, on its Pod and its Secret. */
export const JOB_LABEL = "flotilla/job";
export const JOB_ID_ANNOTATION = "flotilla/job-id";
/** Why it was ended, as JSON; kept before it is ended. */
export const END_ANNOTATION = "flotilla/end";

const NAME_MAX = 63;
const HASH_LENGTH = 10;
const ANNOTATION_MAX = 4_000;
const STOP_GRACE_S = 10;
const USER = 1_000;
/** Asked for at least, whatever the bound: a machine is shared by jobs that mostly wait for a model. */
const CPUS_ASKED = 0.25;
const MEMORY_ASKED = 512 * 2 ** 20;
const TEMPORARY_BYTES = 2 ** 30;
/** Between the Pod's own deadline and that of the Job, which ends what no kubelet ends. */
const FUSE_S = 60;

/** A name for the Job, its Pod and its Secret: what can be read of the id, and a hash of fleet and id. */
export function jobName(fleet: string, jobId: string): string {
  const hash = createHash("sha256").update(`${fleet}/${jobId}`).digest("hex").slice(0, HASH_LENGTH);
  const room = NAME_MAX - "agent--".length - HASH_LENGTH;
  const readable = jobId
    .toLowerCase()
    .replace(/[^a-z0-9]+/g, "-")
    .slice(0, room)
    .replace(/^-+|-+$/g, "");
  return readable === "" ? `agent-${hash}` : `agent-${readable}-${hash}`;
}

/** What Kubernetes allows of a text as a label's value; "" when nothing is left. */
export const labelValue = (text: string): string =>
  text
    .replace(/[^A-Za-z0-9._-]+/g, "-")
    .slice(0, NAME_MAX)
    .replace(/^[._-]+|[._-]+$/g, "");

/** KM1: Kubernetes makes $$ a $, and takes $( for the beginning of a name. */
const literal = (text: string): string => text.replaceAll("$", "$$$$");

/** Throws JobRefused for a source that cannot be cloned in a Pod. */
export function jobManifest(spec: JobSpec, shape: KubernetesShape): V1Job {
  const name = jobName(shape.fleet, spec.jobId);
  const labels = labelsOf(spec, shape.fleet, name);
  const annotations = annotationsOf(spec);
  const timeoutS = Math.max(1, Math.ceil(spec.timeoutMs / 1_000));
  return {
    apiVersion: "batch/v1",
    kind: "Job",
    metadata: { name, namespace: shape.namespace, labels, annotations },
    spec: {
      backoffLimit: 0,
      completions: 1,
      parallelism: 1,
      podReplacementPolicy: "Failed",
      activeDeadlineSeconds: timeoutS + Math.ceil(shape.startWithinMs / 1_000) + FUSE_S,
      ttlSecondsAfterFinished: shape.keepEndedS,
      podFailurePolicy: {
        rules: [
          { action: "FailJob", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
          { action: "FailJob", onExitCodes: { operator: "NotIn", values: [0] } },
        ],
      },
      template: { metadata: { labels, annotations }, spec: podSpec(spec, shape, name, timeoutS) },
    },
  };
}

function podSpec(spec: JobSpec, shape: KubernetesShape, name: string, timeoutS: number): V1PodSpec {
  const { imagePullSecrets, nodeSelector, tolerations, serviceAccount, gitSecret } = shape;
  return {
    restartPolicy: "Never",
    activeDeadlineSeconds: timeoutS,
    terminationGracePeriodSeconds: STOP_GRACE_S,
    automountServiceAccountToken: false,
    enableServiceLinks: false,
    ...(serviceAccount !== undefined && { serviceAccountName: serviceAccount }),
    ...(imagePullSecrets.length > 0 && { imagePullSecrets: imagePullSecrets.map((secret) => ({ name: secret })) }),
    ...(Object.keys(nodeSelector).length > 0 && { nodeSelector: { ...nodeSelector } }),
    ...(tolerations.length > 0 && { tolerations: [...tolerations] }),
    securityContext: {
      runAsNonRoot: true,
      runAsUser: USER,
      runAsGroup: USER,
      fsGroup: USER,
      seccompProfile: { type: "RuntimeDefault" },
    },
    initContainers: [cloneContainer(spec, shape)],
    containers: [agentContainer(spec, shape, name)],
    volumes: [
      { name: "workspace", emptyDir: { sizeLimit: String(shape.workspaceBytes) } },
      { name: "temporary", emptyDir: { sizeLimit: String(TEMPORARY_BYTES) } },
      // 0440 in octal: readable by the Pod's group alone.
      ...(gitSecret === undefined ? [] : [{ name: "git", secret: { secretName: gitSecret, defaultMode: 288 } }]),
    ],
  };
}

/** The whole history: the agent's commits are bundled and merged elsewhere. */
function cloneContainer({ source, jobId }: JobSpec, shape: KubernetesShape): V1Container {
  if (source.kind !== "clone")
    throw jobRefused(jobId, "a cluster sees no folders of this host: name an address to clone");
  const { url, branch } = source;
  if (!isAddress(url))
    throw jobRefused(jobId, `${JSON.stringify(url.slice(0, 200))} is not an address that git may clone`);
  if (branch !== undefined && !isBranchName(branch)) throw jobRefused(jobId, `${JSON.stringify(branch)} is no branch`);
  const flags = [
    "--quiet",
    "--template=",
    "--no-recurse-submodules",
    ...(branch === undefined ? [] : [`--branch=${branch}`]),
  ];
  const { gitSecret } = shape;
  return {
    name: CLONE_CONTAINER,
    image: shape.cloneImage,
    command: ["git", "clone", ...flags, "--", url, WORKSPACE_PATH].map(literal),
    env: variables({
      HOME: "/tmp",
      LC_ALL: "C.UTF-8",
      GIT_TERMINAL_PROMPT: "0",
      GIT_CONFIG_NOSYSTEM: "1",
      ...(gitSecret !== undefined && { GIT_CONFIG_GLOBAL: `${GIT_FOLDER}/gitconfig` }),
    }),
    ...confined(shape, {}),
    // What git says last is what is wrong: it becomes the end's message.
    terminationMessagePolicy: "FallbackToLogsOnError",
    volumeMounts: [
      ...MOUNTS,
      ...(gitSecret === undefined ? [] : [{ name: "git", mountPath: GIT_FOLDER, readOnly: true }]),
    ],
  };
}

function agentContainer(spec: JobSpec, shape: KubernetesShape, name: string): V1Container {
  const own = Object.keys(spec.secretEnv).length > 0 ? [name] : [];
  const secrets = [...shape.secrets, ...own];
  return {
    name: AGENT_CONTAINER,
    image: shape.image,
    command: commandAt(spec, WORKSPACE_PATH).map(literal),
    workingDir: WORKSPACE_PATH,
    env: variables({ HOME: "/tmp", ...spec.env }),
    ...(secrets.length > 0 && { envFrom: secrets.map((secret) => ({ secretRef: { name: secret } })) }),
    ...confined(shape, spec.resources ?? {}),
    volumeMounts: [...MOUNTS],
  };
}

const MOUNTS = [
  { name: "workspace", mountPath: VOLUME },
  { name: "temporary", mountPath: "/tmp" },
] as const;

const variables = (env: Readonly<Record<string, string>>): V1EnvVar[] =>
  Object.entries(env).map(([name, value]) => ({ name, value: literal(value) }));

function confined(shape: KubernetesShape, given: NonNullable<JobSpec["resources"]>) {
  const cpus = given.cpus ?? shape.cpus;
  const memoryBytes = given.memoryBytes ?? shape.memoryBytes;
  const amounts = (cpu: number, memory: number) => ({
    cpu: `${Math.ceil(cpu * 1_000)}m`,
    memory: String(Math.ceil(memory)),
  });
  return {
    resources: {
      requests: amounts(Math.min(CPUS_ASKED, cpus), Math.min(MEMORY_ASKED, memoryBytes)),
      limits: amounts(cpus, memoryBytes),
    },
    securityContext: {
      allowPrivilegeEscalation: false,
      readOnlyRootFilesystem: true,
      capabilities: { drop: ["ALL"] },
    },
  };
}

function labelsOf(spec: JobSpec, fleet: string, name: string): Record<string, string> {
  const described = Object.entries(spec.labels)
    .map(([key, value]) => [labelValue(key), labelValue(value)] as const)
    .filter(([key, value]) => key !== "" && value !== "")
    .map(([key, value]) => [`flotilla/${key}`, value]);
  const own = { [MANAGED_BY]: "flotilla", [FLEET_LABEL]: fleet, [JOB_LABEL]: name };
  return { ...Object.fromEntries(described), "app.kubernetes.io/name": "flotilla-agent", ...own };
}

function annotationsOf({ jobId, labels }: JobSpec): Record<string, string> {
  const described = Object.entries(labels)
    .filter(([key]) => labelValue(key) !== "")
    .map(([key, value]) => [`flotilla/${labelValue(`text.${key}`)}`, value.slice(0, ANNOTATION_MAX)]);
  return { ...Object.fromEntries(described), [JOB_ID_ANNOTATION]: jobId };
}

/** Its Secret, which goes when the Job goes; undefined when it has none. */
export function secretManifest(spec: JobSpec, shape: KubernetesShape, jobUid: string): V1Secret | undefined {
  if (Object.keys(spec.secretEnv).length === 0) return undefined;
  const name = jobName(shape.fleet, spec.jobId);
  const owner = { apiVersion: "batch/v1", kind: "Job", name, uid: jobUid };
  return {
    apiVersion: "v1",
    kind: "Secret",
    metadata: {
      name,
      namespace: shape.namespace,
      labels: { [MANAGED_BY]: "flotilla", [FLEET_LABEL]: shape.fleet, [JOB_LABEL]: name },
      ownerReferences: [owner],
    },
    type: "Opaque",
    immutable: true,
    stringData: { ...spec.secretEnv },
  };
}
