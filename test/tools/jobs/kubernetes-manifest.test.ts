// The Job that is asked for: its whole shape once, and what odd ids, labels and texts become. A real API server takes it in test/kubernetes/.

import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../runtime/index.ts";
import { type JobSpec, WORKSPACE_ARGUMENT } from "../../../tools/index.ts";
import { KubernetesBackend } from "../../../tools/jobs/backends.ts";
import {
  jobManifest,
  jobName,
  type KubernetesShape,
  labelValue,
  secretManifest,
} from "../../../tools/jobs/kubernetes-manifest.ts";
import { caught } from "../../support/caught.ts";

const SHAPE: KubernetesShape = {
  namespace: "work",
  fleet: "f",
  image: "agent:1",
  cloneImage: "git:1",
  imagePullSecrets: [],
  secrets: [],
  nodeSelector: {},
  tolerations: [],
  cpus: 2,
  memoryBytes: 4 * 2 ** 30,
  workspaceBytes: 10 * 2 ** 30,
  startWithinMs: 600_000,
  keepEndedS: 3_600,
};

const SPEC: JobSpec = {
  jobId: "s1-t1-1",
  labels: { story: "S 1: über", role: "DEV" },
  source: { kind: "clone", url: "https://example.com/x.git", branch: "story/s1" },
  command: ["flotilla", "agent-executor", "--task=say $(KEY)", WORKSPACE_ARGUMENT],
  env: { NATS_URL: "nats://nats:4222" },
  secretEnv: { KEY: "s3cr3t" },
  timeoutMs: 90_500,
};

const NAME = jobName("f", "s1-t1-1");
const pod = (spec: Partial<JobSpec> = {}, shape: Partial<KubernetesShape> = {}) =>
  jobManifest({ ...SPEC, ...spec }, { ...SHAPE, ...shape }).spec?.template.spec;
const commandOf = (spec: Partial<JobSpec>) => pod(spec)?.containers[0]?.command;
const cloneOf = (spec: Partial<JobSpec>) => pod(spec)?.initContainers?.[0]?.command;

const LABELS = {
  "app.kubernetes.io/managed-by": "flotilla",
  "app.kubernetes.io/name": "flotilla-agent",
  "flotilla/fleet": "f",
  "flotilla/job": NAME,
  "flotilla/role": "DEV",
  "flotilla/story": "S-1-ber",
};
const ANNOTATIONS = {
  "flotilla/job-id": "s1-t1-1",
  "flotilla/text.role": "DEV",
  "flotilla/text.story": "S 1: über",
};
const CONFINED = {
  resources: { requests: { cpu: "250m", memory: "536870912" }, limits: { cpu: "2000m", memory: "4294967296" } },
  securityContext: {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ["ALL"] },
  },
  volumeMounts: [
    { name: "workspace", mountPath: "/workspace" },
    { name: "temporary", mountPath: "/tmp" },
  ],
};

/** The whole of it. */
const WANTED = {
  apiVersion: "batch/v1",
  kind: "Job",
  metadata: { name: NAME, namespace: "work", labels: LABELS, annotations: ANNOTATIONS },
  spec: {
    backoffLimit: 0,
    completions: 1,
    parallelism: 1,
    podReplacementPolicy: "Failed",
    activeDeadlineSeconds: 91 + 600 + 60,
    ttlSecondsAfterFinished: 3_600,
    podFailurePolicy: {
      rules: [
        { action: "FailJob", onPodConditions: [{ type: "DisruptionTarget", status: "True" }] },
        { action: "FailJob", onExitCodes: { operator: "NotIn", values: [0] } },
      ],
    },
    template: {
      metadata: { labels: LABELS, annotations: ANNOTATIONS },
      spec: {
        restartPolicy: "Never",
        activeDeadlineSeconds: 91,
        terminationGracePeriodSeconds: 10,
        automountServiceAccountToken: false,
        enableServiceLinks: false,
        securityContext: {
          runAsNonRoot: true,
          runAsUser: 1_000,
          runAsGroup: 1_000,
          fsGroup: 1_000,
          seccompProfile: { type: "RuntimeDefault" },
        },
        initContainers: [
          {
            name: "clone",
            image: "git:1",
            command: [
              ...["git", "clone", "--quiet", "--template=", "--no-recurse-submodules", "--branch=story/s1"],
              ...["--", "https://example.com/x.git", "/workspace/repository"],
            ],
            env: [
              { name: "HOME", value: "/tmp" },
              { name: "LC_ALL", value: "C.UTF-8" },
              { name: "GIT_TERMINAL_PROMPT", value: "0" },
              { name: "GIT_CONFIG_NOSYSTEM", value: "1" },
            ],
            terminationMessagePolicy: "FallbackToLogsOnError",
            ...CONFINED,
          },
        ],
        containers: [
          {
            name: "agent",
            image: "agent:1",
            command: ["flotilla", "agent-executor", "--task=say $$(KEY)", "/workspace/repository"],
            workingDir: "/workspace/repository",
            env: [
              { name: "HOME", value: "/tmp" },
              { name: "NATS_URL", value: "nats://nats:4222" },
            ],
            envFrom: [{ secretRef: { name: NAME } }],
            ...CONFINED,
          },
        ],
        volumes: [
          { name: "workspace", emptyDir: { sizeLimit: "10737418240" } },
          { name: "temporary", emptyDir: { sizeLimit: "1073741824" } },
        ],
      },
    },
  },
};

describe("the manifest", () => {
  it("is the brief's, bounded and confined", () => {
    expect(jobManifest(SPEC, SHAPE)).toEqual(WANTED);
  });

  it("WB5: the secret stands in the Secret alone, which the Job owns", () => {
    expect(JSON.stringify(jobManifest(SPEC, SHAPE))).not.toContain("s3cr3t");
    expect(secretManifest(SPEC, SHAPE, "uid-1")).toMatchObject({
      metadata: { name: NAME, ownerReferences: [{ apiVersion: "batch/v1", kind: "Job", name: NAME, uid: "uid-1" }] },
      immutable: true,
      stringData: { KEY: "s3cr3t" },
    });
    expect(secretManifest({ ...SPEC, secretEnv: {} }, SHAPE, "uid-1")).toBeUndefined();
    expect(pod({ secretEnv: {} })?.containers[0]).not.toHaveProperty("envFrom");
  });

  it("what an operator sets is in it", () => {
    const tolerations = [{ key: "agents", operator: "Exists" }];
    const set = { imagePullSecrets: ["pull"], secrets: ["keys"], gitSecret: "git", serviceAccount: "agents" };
    const spec = pod({}, { ...set, nodeSelector: { pool: "agents" }, tolerations });
    const wanted = { imagePullSecrets: [{ name: "pull" }], serviceAccountName: "agents", tolerations };
    expect(spec).toMatchObject({ ...wanted, nodeSelector: { pool: "agents" } });
    expect(spec?.containers[0]?.envFrom).toEqual([{ secretRef: { name: "keys" } }, { secretRef: { name: NAME } }]);
    expect(spec?.volumes?.at(-1)).toEqual({ name: "git", secret: { secretName: "git", defaultMode: 0o440 } });
    const clone = spec?.initContainers?.[0];
    expect(clone?.env).toContainEqual({ name: "GIT_CONFIG_GLOBAL", value: "/etc/flotilla-git/gitconfig" });
    expect(clone?.volumeMounts).toContainEqual({ name: "git", mountPath: "/etc/flotilla-git", readOnly: true });
    // The agent is not given what only the clone needs.
    expect(JSON.stringify(spec?.containers[0])).not.toContain("flotilla-git");
  });

  it("a job's bounds, and what is asked for is never more than them", () => {
    const { resources } = pod({ resources: { cpus: 0.1, memoryBytes: 100 } })?.containers[0] ?? {};
    expect(resources).toEqual({ requests: { cpu: "100m", memory: "100" }, limits: { cpu: "100m", memory: "100" } });
  });
});

describe("odd texts", () => {
  it("ids become names that Kubernetes takes, and different ids different names", () => {
    const id = fc.stringMatching(/^[A-Za-z0-9_-]{1,200}$/);
    fc.assert(
      fc.property(id, id, (one, other) => {
        expect(jobName("f", one)).toMatch(/^[a-z0-9]([a-z0-9-]*[a-z0-9])?$/);
        expect(jobName("f", one).length).toBeLessThanOrEqual(63);
        expect(jobName("f", one) === jobName("f", other)).toBe(one === other);
      }),
    );
    expect(jobName("f", "A_b")).toMatch(/^agent-a-b-[0-9a-f]{10}$/);
    expect(jobName("f", "___")).toMatch(/^agent-[0-9a-f]{10}$/);
    expect(jobName("g", "A_b")).not.toBe(jobName("f", "A_b"));
  });

  it("any text becomes a label's value that Kubernetes takes", () => {
    fc.assert(
      fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
        expect(labelValue(text)).toMatch(/^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$/);
        expect(labelValue(text).length).toBeLessThanOrEqual(63);
      }),
    );
    expect(labelValue("s1-t1")).toBe("s1-t1");
  });

  it("KM1: what Kubernetes makes of an argument is what was given", () => {
    /** As Kubernetes documents it: $$ is $, $(NAME) the variable. */
    const read = (text: string) => text.replace(/\$\$|\$\(([^)]*)\)/g, (found) => (found === "$$" ? "$" : "SECRET"));
    fc.assert(
      fc.property(fc.stringMatching(/^[$()KEY ]{0,20}$/), (text) => {
        expect(commandOf({ command: ["x", text] })?.map(read)).toEqual(["x", text]);
      }),
    );
  });

  it("a job's own labels do not stand in for ours", () => {
    const { metadata } = jobManifest({ ...SPEC, labels: { job: "x", fleet: "y", "": "z", "ü ü": "w" } }, SHAPE);
    expect(metadata?.labels).toMatchObject({ "flotilla/job": NAME, "flotilla/fleet": "f" });
    expect(Object.keys(metadata?.labels ?? {})).toHaveLength(4);
  });

  it.each([
    [{ kind: "folder", path: "/x" }, /no folders/],
    [{ kind: "clone", url: "--upload-pack=x" }, /not an address/],
    [{ kind: "clone", url: "ext::sh -c x" }, /not an address/],
    [{ kind: "clone", url: "https://example.com/x", branch: "--upload-pack=x" }, /no branch/],
  ] as const)("refused: %o", async (source, says) => {
    const error = await caught(Promise.resolve().then(() => jobManifest({ ...SPEC, source }, SHAPE)));
    expect(error).toMatchObject({ code: "JobRefused", message: expect.stringMatching(says) });
  });

  it("an address is one argument behind --", () => {
    const url = "https://example.com/a;b$(c)";
    expect(cloneOf({ source: { kind: "clone", url } })?.slice(-3)).toEqual([
      "--",
      "https://example.com/a;b$$(c)",
      "/workspace/repository",
    ]);
  });

  it.each([
    [{ fleet: "Ü" }, /fleet/],
    [{ cpus: -1 }, /cpus/],
    [{ images: "x" }, /images/],
  ])("settings that cannot be are named: %o", async (settings, says) => {
    const opening = Promise.resolve().then(() => new KubernetesBackend({ clock: systemClock, ...settings }));
    expect(await caught(opening)).toMatchObject({ code: "JobRefused", message: expect.stringMatching(says) });
  });
});
