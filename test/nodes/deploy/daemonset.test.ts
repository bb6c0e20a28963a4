// The Kubernetes manifests: what a cluster would refuse, and what it would accept and we would regret.

import { describe, expect, it } from "vitest";
import { parseAllDocuments } from "yaml";
import { deployFile, graceOf, knownOptions, knownVariables, variablesIn } from "./command-line.ts";

interface Probe {
  readonly exec?: { readonly command: readonly string[] };
}

interface Container {
  readonly name: string;
  readonly image: string;
  readonly args: readonly unknown[];
  readonly env?: readonly { readonly name: string; readonly value?: string }[];
  readonly restartPolicy?: string;
  readonly resources: { readonly requests: object; readonly limits: Readonly<Record<string, unknown>> };
  readonly securityContext: Readonly<Record<string, unknown>>;
  readonly readinessProbe?: Probe;
  readonly livenessProbe?: Probe;
  readonly startupProbe?: Probe;
  readonly volumeMounts: readonly { readonly name: string; readonly mountPath: string; readonly readOnly?: boolean }[];
}

interface Manifest {
  readonly apiVersion: string;
  readonly kind: string;
  readonly metadata: { readonly name: string };
  readonly automountServiceAccountToken?: boolean;
  readonly spec: {
    readonly selector: { readonly matchLabels: object };
    readonly template: {
      readonly metadata: { readonly labels: object };
      readonly spec: {
        readonly serviceAccountName: string;
        readonly automountServiceAccountToken: boolean;
        readonly nodeSelector: object;
        readonly terminationGracePeriodSeconds: number;
        readonly securityContext: object;
        readonly hostNetwork?: boolean;
        readonly hostPID?: boolean;
        readonly initContainers: readonly Container[];
        readonly containers: readonly Container[];
        readonly volumes: readonly { readonly name: string; readonly hostPath?: object; readonly secret?: object }[];
      };
    };
  };
}

const text = deployFile("daemonset.yaml");
const documents = parseAllDocuments(text, { strict: true, uniqueKeys: true });
const [account, daemonSet] = documents.map((document) => document.toJS() as Manifest) as [Manifest, Manifest];
const pod = daemonSet.spec.template.spec;
const [node] = pod.containers as [Container];
const [vllm] = pod.initContainers as [Container];
const both = [node, vllm];

it("is YAML of two objects that a cluster knows", () => {
  expect(documents.flatMap(({ errors, warnings }) => [...errors, ...warnings])).toEqual([]);
  expect(documents).toHaveLength(2);
  expect([account, daemonSet].map(({ apiVersion, kind }) => `${apiVersion} ${kind}`)).toEqual([
    "v1 ServiceAccount",
    "apps/v1 DaemonSet",
  ]);
});

it("selects its own Pods, on GPU machines", () => {
  expect(daemonSet.spec.template.metadata.labels).toEqual(daemonSet.spec.selector.matchLabels);
  expect(pod.nodeSelector).toEqual({ "nvidia.com/gpu.present": "true" });
  expect(vllm.resources.limits["nvidia.com/gpu"]).toBeGreaterThanOrEqual(1);
});

it("asks nothing of the cluster: no token, no part of the machine", () => {
  expect(pod.serviceAccountName).toBe(account.metadata.name);
  expect([account.automountServiceAccountToken, pod.automountServiceAccountToken]).toEqual([false, false]);
  expect([pod.hostNetwork, pod.hostPID]).toEqual([undefined, undefined]);
  expect(pod.volumes.filter(({ hostPath }) => hostPath !== undefined)).toEqual([]);
});

it("lets its containers do little", () => {
  expect(pod.securityContext).toMatchObject({ fsGroup: 1000, seccompProfile: { type: "RuntimeDefault" } });
  for (const { securityContext } of both) {
    expect(securityContext).toMatchObject({ allowPrivilegeEscalation: false, capabilities: { drop: ["ALL"] } });
    expect(securityContext).not.toHaveProperty("privileged");
  }
  expect(node.securityContext).toMatchObject({ runAsNonRoot: true, runAsUser: 1000, readOnlyRootFilesystem: true });
});

it("names images by version, and bounds what they take", () => {
  for (const { image, resources } of both) {
    expect(image).toMatch(/:v?\d+\.\d+\.\d+$/);
    expect(resources.requests).toMatchObject({ cpu: expect.anything(), memory: expect.anything() });
    expect(resources.limits).toHaveProperty("memory");
  }
});

it("mounts volumes that are there, the credentials read-only from a secret", () => {
  const names = pod.volumes.map(({ name }) => name);
  const mounts = both.flatMap(({ volumeMounts }) => volumeMounts);
  expect(mounts.filter(({ name }) => !names.includes(name))).toEqual([]);
  expect(names.filter((name) => !mounts.some((mount) => mount.name === name))).toEqual([]);
  const creds = node.volumeMounts.find(({ name }) => name === "creds");
  expect(creds).toMatchObject({ readOnly: true });
  expect(pod.volumes.find(({ name }) => name === "creds")?.secret).toMatchObject({
    secretName: "flotilla",
    defaultMode: 0o440,
  });
  const file = node.env?.find(({ name }) => name === "FLOTILLA_CREDS")?.value;
  expect(file).toBe(`${creds?.mountPath}/node.creds`);
});

it("lives by its health alone, and is ready while it takes work", () => {
  expect(node.livenessProbe?.exec?.command.join(" ")).toContain("/healthz");
  expect(node.readinessProbe?.exec?.command.join(" ")).toContain("/readyz");
});

it("asks inside the Pod whether they are well: both listen on its loopback alone", () => {
  const probes = [node.readinessProbe, node.livenessProbe, vllm.startupProbe, vllm.livenessProbe];
  for (const probe of probes) expect(probe?.exec?.command.every((word) => typeof word === "string")).toBe(true);
  for (const probe of probes)
    expect(probe?.exec?.command.join(" ")).toMatch(/http:\/\/127\.0\.0\.1:(8470\/(healthz|readyz)|8000\/health)/);
});

describe("the end", () => {
  it("has time: the grace and something for handing over; and the model server outlives the node", () => {
    const words = node.args.map(String);
    expect(pod.terminationGracePeriodSeconds).toBeGreaterThanOrEqual(graceOf(words) + 20);
    expect(vllm.restartPolicy).toBe("Always");
  });
});

it("says to the program what it knows", async () => {
  expect(node.args[0]).toBe("node");
  expect(node.args.every((word) => typeof word === "string")).toBe(true);
  const used = node.args.map(String).filter((word) => word.startsWith("--"));
  const known = await knownOptions("node");
  expect(used.length).toBeGreaterThan(2);
  expect(used.filter((option) => !known.has(option))).toEqual([]);
  expect(variablesIn(text).filter((name) => !knownVariables().has(name))).toEqual([]);
  const adopted = node.args[node.args.indexOf("--adopt") + 1];
  expect(adopted).toBe(`http://127.0.0.1:${vllm.args[vllm.args.indexOf("--port") + 1]}`);
});
