// Workspaces as Kubernetes Jobs, on a real API server and its Job controller: the contract, and what is this form's own. The scheduler and the
// kubelet are played. `npm run test:k8s`.

import { afterAll, beforeAll, describe, expect, it, test } from "vitest";
import { systemClock } from "../../runtime/index.ts";
import type { BackendJob } from "../../tools/index.ts";
import { KubernetesConnection } from "../../tools/jobs/kubernetes-connection.ts";
import { jobManifest } from "../../tools/jobs/kubernetes-manifest.ts";
import { workspaceBackendContract } from "../contracts/workspace-backend.ts";
import { caught, codeOf } from "../support/caught.ts";
import { ControlPlane, type ControlPlanePrograms, controlPlanePrograms } from "../support/control-plane.ts";
import { makeRepository } from "../support/git-repository.ts";
import { Kubelet, type PodObject } from "../support/kubelet.ts";
import { waitUntil } from "../support/wait-until.ts";
import { type Cluster, type KubernetesForm, openForm } from "./cluster.ts";

const signal = new AbortController().signal;
const STARTS_WITHIN_MS = 60_000;
const FOREVER = "while :; do sleep 0.1; done";

const programs = controlPlanePrograms();

if ("missing" in programs) {
  describe("KubernetesBackend", () => {
    test.skip(`the whole suite (skipped: ${programs.missing})`, () => {});
  });
} else {
  withCluster(programs);
}

async function linesOf(job: BackendJob): Promise<readonly string[]> {
  const lines: string[] = [];
  for await (const { line } of job.logs(signal)) lines.push(line);
  return lines;
}

const printedBy = (kubelet: Kubelet, pod: PodObject): number => kubelet.printedBy(pod.metadata.name, "agent");

/** The job's program prints: its Pod. */
async function running(form: KubernetesForm, jobId: string): Promise<PodObject> {
  return await waitUntil(`${jobId} runs`, async () => {
    const [pod] = await form.objects<PodObject>("pods", jobId);
    return pod?.status?.phase === "Running" ? pod : undefined;
  });
}

function withCluster(found: ControlPlanePrograms): void {
  let cluster: Cluster;
  const form = (options = {}) => openForm(cluster, options);

  beforeAll(async () => {
    const plane = await ControlPlane.start(found);
    const repository = await makeRepository({ files: { "seed.txt": "seed\n" } });
    await repository.git("branch", "other");
    cluster = { plane, repository, kubelet: await Kubelet.start(plane) };
  }, STARTS_WITHIN_MS);
  afterAll(async () => {
    await cluster?.kubelet[Symbol.asyncDispose]();
    await cluster?.plane[Symbol.asyncDispose]();
    await cluster?.repository[Symbol.asyncDispose]();
  });

  workspaceBackendContract("KubernetesBackend on a real API server", form, {
    isConcurrent: true,
    skips: {
      "both streams are read from the beginning, each line once, the last without its end as well":
        "a Pod's log does not tell its streams apart",
    },
  });

  describe.concurrent("what becomes of a Job", () => {
    it("WB1: two runners that start one id at once: one Job, one Pod, one end for both", async () => {
      await using f = await form();
      const spec = f.spec("twice", "exit 6", { secretEnv: { KEY: "x" } });
      const jobs = await Promise.all([f.backend, f.open()].map((backend) => backend.start(spec, signal)));
      expect(await Promise.all(jobs.map(({ ended }) => ended))).toEqual(jobs.map(() => ({ kind: "exited", code: 6 })));
      expect(await f.objects("pods", "twice")).toHaveLength(1);
    });

    it("KM3: an exit code is known when the Pod is gone", async () => {
      await using f = await form();
      await (await f.backend.start(f.spec("code", "exit 9"), signal)).ended;
      const isOver = async () => JSON.stringify(await f.objects("jobs", "code")).includes("PodFailurePolicy");
      await waitUntil("the Job has its condition", isOver);
      const { name } = (await f.podOf("code")).metadata;
      await f.admin.find({ method: "DELETE", path: `/api/v1/namespaces/${f.namespace}/pods/${name}` });
      await waitUntil("the Pod is gone", async () => (await f.objects("pods", "code")).length === 0);
      expect(await (await f.open().find("code"))?.ended).toEqual({ kind: "exited", code: 9 });
    });

    it("CloneFailed with git's words where the repository is not there, and the agent never runs", async () => {
      await using f = await form();
      const source = { kind: "clone", url: "file:///no/such/repository" } as const;
      const job = await f.backend.start(f.spec("unclonable", "echo never", { source }), signal);
      const end = await job.ended;
      expect(end).toMatchObject({ kind: "failed", code: "CloneFailed", retryable: false });
      expect(end).toHaveProperty("message", expect.stringContaining("/no/such/repository"));
      expect(await linesOf(job)).not.toContain("never");
      expect(await (await f.open().find("unclonable"))?.ended).toEqual(end);
    });

    it("a branch is cloned with its whole history", async () => {
      await using f = await form();
      const source = { kind: "clone", url: `file://${cluster.repository.path}`, branch: "other" } as const;
      const script = 'cd "$1"; git branch --show-current; git rev-parse HEAD; git rev-parse --is-shallow-repository';
      const job = await f.backend.start(f.spec("branch", script, { source }), signal);
      expect(await linesOf(job)).toEqual(["other", await cluster.repository.head(), "false"]);
    });

    it("StartFailed where its program is not in the image", async () => {
      await using f = await form();
      const job = await f.backend.start({ ...f.spec("no-program", ""), command: ["no-such-program"] }, signal);
      const end = { kind: "failed", code: "StartFailed", retryable: false };
      expect(await job.ended).toMatchObject({ ...end, message: expect.stringContaining("no-such-program") });
    });

    it("OutOfMemory", async () => {
      await using f = await form();
      const job = await f.backend.start(f.spec("memory", FOREVER), signal);
      await cluster.kubelet.endForMemory((await running(f, "memory")).metadata.name);
      expect(await job.ended).toMatchObject({ kind: "failed", code: "OutOfMemory" });
    });

    it("Evicted by its node, to be tried again", async () => {
      await using f = await form();
      const job = await f.backend.start(f.spec("evicted", FOREVER), signal);
      await cluster.kubelet.evict((await running(f, "evicted")).metadata.name);
      expect(await job.ended).toMatchObject({ kind: "failed", code: "Evicted", retryable: true });
      expect(await f.objects("pods", "evicted")).toHaveLength(1);
    });

    it("Evicted by a drain, known also to a life that comes when the Pod is gone", async () => {
      await using f = await form();
      const job = await f.backend.start(f.spec("drained", FOREVER), signal);
      const { name, namespace } = (await running(f, "drained")).metadata;
      const body = { apiVersion: "policy/v1", kind: "Eviction", metadata: { name, namespace } };
      await f.admin.ask({ method: "POST", path: `/api/v1/namespaces/${namespace}/pods/${name}/eviction`, body });
      expect(await job.ended).toMatchObject({ kind: "failed", code: "Evicted", retryable: true });
      await waitUntil("the Pod is gone", async () => (await f.objects("pods", "drained")).length === 0);
      const later = await (await f.open().find("drained"))?.ended;
      expect(later).toMatchObject({ kind: "failed", code: "Evicted", retryable: true });
    });

    it("Deleted where somebody deletes its Pod, and no second Pod begins", async () => {
      await using f = await form();
      const job = await f.backend.start(f.spec("pod-deleted", FOREVER), signal);
      const { name } = (await running(f, "pod-deleted")).metadata;
      await f.admin.find({ method: "DELETE", path: `/api/v1/namespaces/${f.namespace}/pods/${name}` });
      expect(await job.ended).toMatchObject({ kind: "failed", code: "Deleted", retryable: true });
      await waitUntil("the Pod is gone", async () => (await f.objects("pods", "pod-deleted")).length === 0);
    });

    it("ImageUnavailable where its image does not come, and it stays so for the next life", async () => {
      await using f = await form({ image: "registry.example/none:1", troubleMaxMs: 300 });
      const job = await f.backend.start(f.spec("no-image", "exit 0"), signal);
      const end = await job.ended;
      expect(end).toMatchObject({ kind: "failed", code: "ImageUnavailable", retryable: false });
      expect(end).toHaveProperty("message", expect.stringContaining("manifest unknown"));
      expect(await (await f.open().start(f.spec("no-image", "exit 0"), signal)).ended).toEqual(end);
    });

    it("its own life goes on where an image comes late", async () => {
      await using f = await form({ image: "registry.example/late:1" });
      const job = await f.backend.start(f.spec("late-image", "exit 0"), signal);
      await waitUntil("the pull fails", async () =>
        JSON.stringify(await f.podOf("late-image")).includes("ImagePullBackOff"),
      );
      lateIsThere = true;
      expect(await job.ended).toEqual({ kind: "exited", code: 0 });
    });

    it("a Job that has ended goes by itself when nobody removes it", async () => {
      await using f = await form({ keepEndedS: 1 });
      await (await f.backend.start(f.spec("kept", "exit 0", { secretEnv: { KEY: "x" } }), signal)).ended;
      await waitUntil("nothing is left", async () => (await f.remains("kept")).length === 0, 20_000);
    });

    let lateIsThere = false;
    beforeAll(() => {
      cluster.kubelet.imageTrouble = (image) => {
        if (image.includes("none")) return `failed to resolve "${image}": manifest unknown`;
        return image.includes("late") && !lateIsThere ? "connection reset by peer" : undefined;
      };
    });
  });

  describe.concurrent("who may see and do what", () => {
    it("a Pod gets no token where another of the namespace's would, and Pod Security `restricted` takes it", async () => {
      await using f = await form();
      await f.backend.start(f.spec("no-token", FOREVER), signal);
      const volumes = ({ spec }: PodObject) => (spec.volumes ?? []).map(({ name }) => name);
      expect(volumes(await f.podOf("no-token"))).toEqual(["workspace", "temporary"]);
      const plain = { spec: { containers: [{ name: "x", image: "x", command: ["true"] }] } };
      const path = "/api/v1/namespaces/default/pods?dryRun=All";
      const body = { apiVersion: "v1", kind: "Pod", metadata: { name: "plain" }, ...plain };
      const tokened = await f.admin.ask<PodObject>({ method: "POST", path, body });
      expect(volumes(tokened)).toEqual([expect.stringMatching(/^kube-api-access/)]);
      const here = `/api/v1/namespaces/${f.namespace}/pods?dryRun=All`;
      await expect(f.admin.ask({ method: "POST", path: here, body })).rejects.toThrow(/restricted/);
    });

    it("the runner's rights end at its namespace, and read no Secret", async () => {
      await using f = await form();
      const runner = await KubernetesConnection.open({ kubeconfig: f.kubeconfig }, systemClock);
      await f.backend.start(f.spec("mine", FOREVER, { secretEnv: { KEY: "s3cr3t" } }), signal);
      const ask = (path: string) => runner.ask({ method: "GET", path });
      await expect(ask(`/api/v1/namespaces/${f.namespace}/secrets`)).rejects.toThrow(/forbidden/);
      await expect(ask("/api/v1/namespaces/default/pods")).rejects.toThrow(/forbidden/);
      await expect(ask("/apis/batch/v1/jobs")).rejects.toThrow(/forbidden/);
      await ask(`/apis/batch/v1/namespaces/${f.namespace}/jobs`);
    });

    it("KM1: a text that names the key's variable does not have the key in its command line", async () => {
      await using f = await form();
      const text = "say $(KEY) and $$(KEY), $KEY, $$";
      const spec = f.spec("dollar", 'printf "%s\\n" "$2"; echo "$KEY" | wc -c', { secretEnv: { KEY: "s3cr3t" } });
      const job = await f.backend.start({ ...spec, command: [...spec.command, text] }, signal);
      expect(await linesOf(job)).toEqual([text, expect.stringMatching(/^\s*7$/)]);
    });

    it("KB2: a Secret that its starter died before making is made by the next start", async () => {
      await using f = await form();
      const spec = f.spec("half", 'test "$KEY" = x', { secretEnv: { KEY: "x" } });
      const shape = { ...SHAPE, namespace: f.namespace };
      const path = `/apis/batch/v1/namespaces/${f.namespace}/jobs`;
      await f.admin.ask({ method: "POST", path, body: jobManifest(spec, shape) });
      await waitUntil("its Pod waits for the Secret", async () =>
        JSON.stringify(await f.podOf("half")).includes("CreateContainerConfigError"),
      );
      expect(await (await f.backend.start(spec, signal)).ended).toEqual({ kind: "exited", code: 0 });
      expect(await f.objects("secrets", "half")).toMatchObject([{ metadata: { ownerReferences: [{ kind: "Job" }] } }]);
    });

    it("a Job of that name that is somebody else's is refused, and not found", async () => {
      await using f = await form();
      const spec = f.spec("theirs", FOREVER);
      const body = jobManifest(spec, { ...SHAPE, namespace: f.namespace });
      Object.assign(body.metadata?.annotations ?? {}, { "flotilla/job-id": "another" });
      await f.admin.ask({ method: "POST", path: `/apis/batch/v1/namespaces/${f.namespace}/jobs`, body });
      expect(await f.backend.find("theirs")).toBeUndefined();
      expect(await codeOf(f.backend.start(spec, signal))).toBe("JobRefused");
    });
  });

  describe.concurrent("what is refused", () => {
    it("a namespace that is not there, a folder, and more than the server takes: JobRefused", async () => {
      await using f = await form();
      const codeFor = (spec = f.spec("odd", "exit 0"), options = {}) => codeOf(f.open(options).start(spec, signal));
      expect(await codeFor(undefined, { namespace: "no-such-namespace" })).toBe("JobRefused");
      expect(await codeFor(f.spec("odd", "exit 0", { source: { kind: "folder", path: "/tmp" } }))).toBe("JobRefused");
      const env = Object.fromEntries(Array.from({ length: 30 }, (_, index) => [`V${index}`, "x".repeat(120_000)]));
      expect(await codeFor(f.spec("odd", "exit 0", { env }))).toBe("JobRefused");
      expect(await f.remains("odd")).toEqual([]);
    });

    it("a quota that is used up: BackendUnavailable, and the same start works when there is room", async () => {
      await using f = await form();
      const path = `/api/v1/namespaces/${f.namespace}/resourcequotas`;
      const quota = { metadata: { name: "none" }, spec: { hard: { "count/jobs.batch": "0" } } };
      await f.admin.ask({ method: "POST", path, body: quota });
      const spec = f.spec("quota", "exit 0");
      // Enforced only once somebody has counted, which no controller of this plane does.
      await f.admin.ask({
        method: "PATCH",
        path: `${path}/none/status`,
        body: { status: { hard: { "count/jobs.batch": "0" }, used: { "count/jobs.batch": "0" } } },
      });
      const error = await caught(f.backend.start(spec, signal));
      expect(error).toMatchObject({ code: "BackendUnavailable", message: expect.stringContaining("quota") });
      await f.admin.find({ method: "DELETE", path: `${path}/none` });
      const started = waitUntil("it is taken", () => f.backend.start(spec, signal).catch(() => undefined));
      expect(await (await started).ended).toEqual({ kind: "exited", code: 0 });
    });
  });

  describe("one at a time", () => {
    it("StartFailed where no node takes it in time, with the scheduler's words", async () => {
      await using f = await form({ startWithinMs: 3_000 });
      cluster.kubelet.hasRoom = false;
      try {
        const job = await f.backend.start(f.spec("no-room", "exit 0"), signal);
        const end = { kind: "failed", code: "StartFailed", retryable: true };
        expect(await job.ended).toMatchObject({ ...end, message: expect.stringContaining("Insufficient memory") });
      } finally {
        cluster.kubelet.hasRoom = true;
      }
    });

    it("log connections that break: every line once, in its order", async () => {
      await using f = await form();
      const job = await f.backend.start(f.spec("breaks", "for i in $(seq 400); do echo $i; sleep 0.005; done"), signal);
      const reading = linesOf(job);
      const pod = await running(f, "breaks");
      for (const printed of [50, 150, 250]) {
        await waitUntil("more is printed", () => printedBy(cluster.kubelet, pod) > printed);
        cluster.kubelet.breakLogs();
      }
      expect(await reading).toEqual(Array.from({ length: 400 }, (_, index) => String(index + 1)));
    });

    it("a node that serves no logs: said once as a line, and the end is learnt", async () => {
      await using f = await form();
      const path = "/api/v1/nodes/played-node/status";
      const serveAt = (Port: number) =>
        f.admin.ask({ method: "PATCH", path, body: { status: { daemonEndpoints: { kubeletEndpoint: { Port } } } } });
      const { status } = await f.admin.ask<NodeObject>({ method: "GET", path: "/api/v1/nodes/played-node" });
      await serveAt(1);
      try {
        const job = await f.backend.start(f.spec("silent", "echo x; sleep 1.5; exit 3"), signal);
        const lines = await linesOf(job);
        expect(await job.ended).toEqual({ kind: "exited", code: 3 });
        expect(lines).toEqual(Array.from(lines, () => expect.stringMatching(/^\[its log cannot be read: .*:1\//)));
        // Once for the clone, once for the program.
        expect(lines.length).toBeLessThanOrEqual(2);
        expect(lines.length).toBeGreaterThan(0);
      } finally {
        await serveAt(status.daemonEndpoints.kubeletEndpoint.Port);
      }
    });

    it("an API server that is killed while a job runs and while one ends: both ends are learnt, and each ran once", async () => {
      await using f = await form();
      const [over, runs] = ["ends-meanwhile", "runs-on"];
      const first = await f.backend.start(f.spec(over, "echo begun; sleep 1; exit 4"), signal);
      const second = await f.backend.start(
        f.spec(runs, "echo begun; until test -e ../go; do sleep 0.1; done; exit 5"),
        signal,
      );
      const [podOver, podRuns] = [await running(f, over), await running(f, runs)];
      const reading = linesOf(second);
      const ends: string[] = [];
      void first.ended.then(() => ends.push(over));
      await cluster.plane.killApiServer();
      expect(await codeOf(f.backend.list())).toBe("BackendUnavailable");
      await waitUntil("the program ends", () => !cluster.kubelet.isRunning(podOver.metadata.name));
      expect(ends).toEqual([]);
      await cluster.plane.startApiServer();
      expect(await first.ended).toEqual({ kind: "exited", code: 4 });
      await cluster.kubelet.touch(podRuns.metadata.name, "workspace/go");
      expect(await second.ended).toEqual({ kind: "exited", code: 5 });
      expect(await reading).toEqual(["begun"]);
      expect(await f.objects("pods", over)).toHaveLength(1);
      expect(await f.objects("pods", runs)).toHaveLength(1);
    }, 60_000);
  });
}

interface NodeObject {
  readonly status: { readonly daemonEndpoints: { readonly kubeletEndpoint: { readonly Port: number } } };
}

const SHAPE = {
  fleet: "flotilla",
  image: "flotilla:0.1.0",
  cloneImage: "flotilla:0.1.0",
  imagePullSecrets: [],
  secrets: [],
  gitSecret: undefined,
  serviceAccount: undefined,
  nodeSelector: {},
  tolerations: [],
  cpus: 2,
  memoryBytes: 2 ** 32,
  workspaceBytes: 2 ** 33,
  startWithinMs: 600_000,
  keepEndedS: 3_600,
};
