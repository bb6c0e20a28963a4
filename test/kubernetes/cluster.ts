// A namespace of a real control plane for one test, as an operator prepares it: Pod Security `restricted`, and the rights of
// nodes/deploy/workspaces-rbac.yaml. The backend under test has the token of that ServiceAccount, and the test everybody's rights.

import { readFileSync } from "node:fs";
import { join } from "node:path";
import { parseAllDocuments } from "yaml";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { type JobSpec, type KubernetesBackendOptions, WORKSPACE_ARGUMENT } from "../../tools/index.ts";
import { KubernetesBackend } from "../../tools/jobs/backends.ts";
import type { KubernetesConnection } from "../../tools/jobs/kubernetes-connection.ts";
import { jobName } from "../../tools/jobs/kubernetes-manifest.ts";
import type { BackendForm } from "../contracts/workspace-backend.ts";
import { commandLines, countCarrying } from "../support/command-lines.ts";
import type { ControlPlane } from "../support/control-plane.ts";
import type { TestRepository } from "../support/git-repository.ts";
import type { Kubelet, PodObject } from "../support/kubelet.ts";
import { waitUntil } from "../support/wait-until.ts";
import { ROOT } from "../tidy/source.ts";

const CLONE_MS = 3_000;

interface Named {
  readonly kind?: string;
  readonly metadata: { readonly name: string };
}

export interface Cluster {
  readonly plane: ControlPlane;
  readonly kubelet: Kubelet;
  readonly repository: TestRepository;
}

export interface KubernetesForm extends BackendForm, AsyncDisposable {
  readonly backend: KubernetesBackend;
  readonly namespace: string;
  readonly admin: KubernetesConnection;
  open(options?: Partial<KubernetesBackendOptions>): KubernetesBackend;
  /** The Pod of a job, once there is one. */
  podOf(jobId: string): Promise<PodObject>;
  objects<T = Named>(kind: "jobs" | "pods" | "secrets", jobId: string): Promise<readonly T[]>;
  /** The kubeconfig of the backend under test. */
  readonly kubeconfig: string;
}

const pathOf = (kind: "jobs" | "pods" | "secrets", namespace: string): string =>
  `${kind === "jobs" ? "/apis/batch/v1" : "/api/v1"}/namespaces/${namespace}/${kind}`;

export async function openForm(
  cluster: Cluster,
  more: Partial<KubernetesBackendOptions> = {},
): Promise<KubernetesForm> {
  const { plane, kubelet, repository } = cluster;
  const admin = kubelet.api;
  const namespace = `t-${systemRandom.id()}`;
  const kubeconfig = await prepare(plane, admin, namespace);
  const opened: KubernetesBackend[] = [];
  const open = (options: Partial<KubernetesBackendOptions> = {}) => {
    const backend = new KubernetesBackend({ clock: systemClock, kubeconfig, ...more, ...options });
    opened.push(backend);
    return backend;
  };
  const objects = async <T = Named>(kind: "jobs" | "pods" | "secrets", jobId: string): Promise<readonly T[]> => {
    const query = { labelSelector: `flotilla/job=${jobName("flotilla", jobId)}` };
    const path = pathOf(kind, namespace);
    return (await admin.ask<{ items: readonly T[] }>({ method: "GET", path, query })).items;
  };
  const close = async () => {
    await Promise.all(opened.map((backend) => backend[Symbol.asyncDispose]()));
    await admin.find({ method: "DELETE", path: `/api/v1/namespaces/${namespace}` });
  };
  return {
    admin,
    namespace,
    kubeconfig,
    open,
    objects,
    backend: open(),
    reopen: async () => open(),
    podOf: (jobId) => waitUntil(`${jobId} has a Pod`, async () => (await objects<PodObject>("pods", jobId))[0]),
    spec: (jobId, script, changes = {}): JobSpec => ({
      jobId,
      labels: { story: "S 1", task: "t" },
      source: { kind: "clone", url: `file://${repository.path}` },
      command: ["sh", "-c", script, "script", WORKSPACE_ARGUMENT],
      env: {},
      secretEnv: {},
      ...changes,
      // A Pod's time begins with its clone.
      timeoutMs: (changes.timeoutMs ?? 60_000) + CLONE_MS,
    }),
    countProcesses: async (word) => countCarrying(word),
    async visible(jobId) {
      return JSON.stringify([commandLines(), await objects("jobs", jobId), await objects("pods", jobId)]);
    },
    async remains(jobId) {
      const kinds = await Promise.all((["jobs", "pods", "secrets"] as const).map((kind) => objects(kind, jobId)));
      return kinds.flat().map(({ metadata }) => metadata.name);
    },
    async takeAway(jobId) {
      const path = `${pathOf("jobs", namespace)}/${jobName("flotilla", jobId)}`;
      await admin.find({ method: "DELETE", path, body: { propagationPolicy: "Background" } });
    },
    close,
    [Symbol.asyncDispose]: close,
  };
}

/** The namespace and what is in it; the path of the runner's kubeconfig. */
async function prepare(plane: ControlPlane, admin: KubernetesConnection, namespace: string): Promise<string> {
  const labels = { "pod-security.kubernetes.io/enforce": "restricted" };
  await admin.ask({ method: "POST", path: "/api/v1/namespaces", body: { metadata: { name: namespace, labels } } });
  for (const body of rights()) {
    const group = body.kind === "ServiceAccount" ? "/api/v1" : "/apis/rbac.authorization.k8s.io/v1";
    const path = `${group}/namespaces/${namespace}/${body.kind?.toLowerCase()}s`;
    await admin.ask({ method: "POST", path, body });
  }
  const accounts = `/api/v1/namespaces/${namespace}/serviceaccounts`;
  const isThere = () => admin.find({ method: "GET", path: `${accounts}/default` });
  await waitUntil("the namespace has its own ServiceAccount", isThere);
  const asking = { apiVersion: "authentication.k8s.io/v1", kind: "TokenRequest", spec: { expirationSeconds: 3_600 } };
  const path = `${accounts}/flotilla-workspaces/token`;
  const { status } = await admin.ask<{ status: { token: string } }>({ method: "POST", path, body: asking });
  return await plane.configFor(namespace, status.token, namespace);
}

const rights = (): readonly Named[] =>
  parseAllDocuments(readFileSync(join(ROOT, "nodes/deploy/workspaces-rbac.yaml"), "utf8")).map(
    (document) => document.toJS() as Named,
  );
