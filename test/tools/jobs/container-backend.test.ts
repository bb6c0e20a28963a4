// Workspaces in containers: the contract on a played engine and on a real one where there is one, and what is this form's own.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemClock } from "../../../runtime/index.ts";
import { type BackendJob, type JobLine, type JobSpec, WORKSPACE_ARGUMENT } from "../../../tools/index.ts";
import { ContainerBackend, containerOf } from "../../../tools/jobs/container-backend.ts";
import type { SeenContainer } from "../../../tools/jobs/container-engine.ts";
import { standingOf } from "../../../tools/jobs/container-job.ts";
import { engineAddress } from "../../../tools/jobs/options.ts";
import { type BackendForm, workspaceBackendContract } from "../../contracts/workspace-backend.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { commandLines, countCarrying } from "../../support/command-lines.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { FakeDocker, type FakeDockerOptions } from "../../support/fake-docker.ts";
import { makeFolder } from "../../support/git-repository.ts";
import { waitUntil } from "../../support/wait-until.ts";

const signal = new AbortController().signal;

interface ContainerForm extends BackendForm, AsyncDisposable {
  readonly engine: FakeDocker;
  readonly backend: ContainerBackend;
  open(options?: { readonly clock?: FakeClock; readonly image?: string; readonly fleet?: string }): ContainerBackend;
}

async function makeForm(options: FakeDockerOptions = {}): Promise<ContainerForm> {
  const engine = await FakeDocker.open(options);
  const folder = await makeFolder("flotilla-container-");
  const path = join(folder.path, "workspace");
  await mkdir(path);
  await writeFile(join(path, "seed.txt"), "seed\n");
  const opened: ContainerBackend[] = [];
  const open: ContainerForm["open"] = (more = {}) => {
    const backend = new ContainerBackend({ clock: systemClock, engine: engine.address, ...more });
    opened.push(backend);
    return backend;
  };
  const close = async () => {
    for (const backend of opened) await backend[Symbol.asyncDispose]();
    await engine[Symbol.asyncDispose]();
    await folder[Symbol.asyncDispose]();
  };
  return {
    engine,
    open,
    backend: open(),
    reopen: async () => open(),
    spec: (jobId, script, more = {}) => ({
      jobId,
      labels: { story: "s", task: "t" },
      source: { kind: "folder", path },
      command: ["sh", "-c", script, "script", WORKSPACE_ARGUMENT],
      env: {},
      secretEnv: {},
      timeoutMs: 60_000,
      ...more,
    }),
    countProcesses: async (word) => countCarrying(word),
    async visible(jobId) {
      const { name, body } = engine.named(`flotilla.${jobId}`) ?? {};
      const { Entrypoint, Cmd, Labels } = body ?? {};
      return JSON.stringify([commandLines(), name, Entrypoint, Cmd, Labels, [...engine.volumes.values()]]);
    },
    remains: async (jobId) =>
      [...engine.containers.keys(), ...engine.volumes.keys()].filter((name) => name.includes(jobId)),
    takeAway: (jobId) => engine.removeContainer(`flotilla.${jobId}`),
    close,
    [Symbol.asyncDispose]: close,
  };
}

workspaceBackendContract("ContainerBackend on a played engine", () => makeForm(), { isConcurrent: true });

async function linesOf(job: BackendJob): Promise<readonly string[]> {
  const lines: JobLine[] = [];
  for await (const line of job.logs(signal)) lines.push(line);
  return lines.map(({ line }) => line);
}

it("a reader who leaves as a log ends takes nobody with him", async () => {
  await using form = await makeForm();
  for (let count = 0; count < 15; count += 1) {
    const job = await form.backend.start(form.spec(`leaves-${count}`, "head -c 200000 /dev/zero; echo; echo"), signal);
    const leaving = new AbortController();
    for await (const _ of job.logs(leaving.signal)) leaving.abort();
  }
});

describe.concurrent("its image", () => {
  const image = "registry.example/agent:1";

  it("is pulled where it is not there, by its tag alone", async () => {
    await using form = await makeForm({ images: [], registry: { [image]: "pullable" } });
    const job = await form.open({ image }).start(form.spec("pulls", "exit 0"), signal);
    expect(await job.ended).toEqual({ kind: "exited", code: 0 });
    expect(form.engine.requests.filter((asked) => asked.startsWith("POST /images"))).toHaveLength(1);
  });

  it.each([
    [{ status: 404, message: "manifest unknown" }, false],
    [{ status: 500, message: "pull access denied: unauthorized" }, false],
    [{ status: 500, message: "net/http: TLS handshake timeout" }, true],
    [{ error: "unexpected EOF" }, true],
  ] as const)("that cannot be pulled is an end: %o, retry %s", async (says, retryable) => {
    await using form = await makeForm({ images: [], registry: { [image]: says } });
    const job = await form.open({ image }).start(form.spec("cannot", "exit 0"), signal);
    const why = "error" in says ? says.error : says.message;
    expect(await job.ended).toMatchObject({ kind: "failed", code: "ImageUnavailable", retryable });
    expect(await job.ended).toHaveProperty("message", expect.stringContaining(why));
    expect(await linesOf(job)).toEqual([]);
    await job.remove();
    expect(form.engine.containers.size).toBe(0);
  });
});

describe.concurrent("what the engine does", () => {
  it("a program that is not in the image: StartFailed, in the next life as well", async () => {
    await using form = await makeForm();
    const spec = { ...form.spec("none", ""), command: ["no-such-program"] };
    const failed = { kind: "failed", code: "StartFailed", retryable: false };
    const first = await (await form.backend.start(spec, signal)).ended;
    expect(first).toMatchObject({ ...failed, message: expect.stringContaining("no-such-program") });
    expect(await (await form.open().find("none"))?.ended).toEqual(first);
  });

  it("memory at an end: OutOfMemory", async () => {
    await using form = await makeForm();
    const job = await form.backend.start(form.spec("memory", "while :; do sleep 0.1; done"), signal);
    await form.engine.endForMemory("flotilla.memory");
    expect(await job.ended).toMatchObject({ kind: "failed", code: "OutOfMemory", retryable: false });
  });

  it("goes away and comes back: the end is learnt, and what was printed is read once", async () => {
    await using form = await makeForm();
    const script = "for i in 1 2 3 4 5 6 7 8; do echo $i; sleep 0.1; done; exit 4";
    const job = await form.backend.start(form.spec("away", script), signal);
    const reading = linesOf(job);
    await waitUntil(
      "two lines are printed",
      () => (form.engine.named("flotilla.away")?.played?.messages.length ?? 0) > 1,
    );
    await form.engine.goAway();
    expect(await codeOf(form.backend.list())).toBe("BackendUnavailable");
    await waitUntil("the program ends", () => form.engine.named("flotilla.away")?.status === "exited");
    await form.engine.comeBack();
    expect(await job.ended).toEqual({ kind: "exited", code: 4 });
    expect(await reading).toEqual(["1", "2", "3", "4", "5", "6", "7", "8"]);
  });

  it("connections that break again and again: every line once, in its order", async () => {
    await using form = await makeForm();
    const job = await form.backend.start(
      form.spec("breaks", "for i in $(seq 300); do echo $i; sleep 0.002; done"),
      signal,
    );
    const reading = linesOf(job);
    for (let seen = 0; seen < 250; seen += 60) {
      await waitUntil(
        "more is printed",
        () => (form.engine.named("flotilla.breaks")?.played?.messages.length ?? 0) > seen,
      );
      form.engine.breakConnections();
    }
    expect(await reading).toEqual(Array.from({ length: 300 }, (_, index) => String(index + 1)));
    expect(await job.ended).toEqual({ kind: "exited", code: 0 });
  });

  it("is not there: BackendUnavailable names the place", async () => {
    await using folder = await makeFolder();
    await using backend = new ContainerBackend({ clock: systemClock, engine: `unix://${folder.path}/none.sock` });
    const error = await caught(backend.list());
    expect(error).toMatchObject({ code: "BackendUnavailable", retryable: true });
    expect(error.message).toContain("none.sock");
  });

  it("never comes back: Lost, once the job's time is over and a minute more", async () => {
    await using form = await makeForm();
    const clock = new FakeClock(systemClock.now());
    const job = await form.open({ clock }).start(form.spec("lost", "exit 0", { timeoutMs: 5_000 }), signal);
    await form.engine.goAway();
    let isOver = false;
    void job.ended.then(() => {
      isOver = true;
    });
    await clock.advance(60_000);
    expect(isOver).toBe(false);
    await waitUntil("the job is given up", async () => {
      await clock.advance(1_000);
      return isOver;
    });
    expect(await job.ended).toMatchObject({ kind: "failed", code: "Lost", retryable: true });
  });
});

describe.concurrent("one container for a job", () => {
  it("CJ2: whoever finds one that was made and never started begins it, once", async () => {
    await using form = await makeForm();
    const isAsked = Promise.withResolvers<void>();
    form.engine.beforeStart = () => {
      isAsked.resolve();
      return new Promise(() => {});
    };
    const dying = form.open();
    void dying.start(form.spec("half", "echo once"), signal).catch(() => {});
    await isAsked.promise;
    form.engine.beforeStart = async () => {};
    const clock = new FakeClock(systemClock.now());
    const job = await form.open({ clock }).find("half");
    await clock.advance(9_000);
    expect(form.engine.named("flotilla.half")?.starts).toBe(0);
    await waitUntil("it is begun", async () => {
      await clock.advance(500);
      return form.engine.named("flotilla.half")?.status === "exited";
    });
    await clock.advance(10_000);
    expect(await job?.ended).toEqual({ kind: "exited", code: 0 });
    expect(form.engine.named("flotilla.half")?.starts).toBe(1);
  });

  it("a container of that name that is somebody else's is refused, and not found", async () => {
    await using form = await makeForm();
    await form.backend.start(form.spec("theirs", "exit 0"), signal);
    const container = form.engine.named("flotilla.theirs");
    Object.assign(container?.body.Labels ?? {}, { "flotilla.job": "another" });
    expect(await form.open().find("theirs")).toBeUndefined();
    expect(await codeOf(form.open().start(form.spec("theirs", "exit 0"), signal))).toBe("JobRefused");
  });

  it("two fleets on one engine do not see each other's jobs", async () => {
    await using form = await makeForm();
    const other = form.open({ fleet: "other" });
    await (await form.backend.start(form.spec("same", "exit 1"), signal)).ended;
    await (await other.start(form.spec("same", "exit 2"), signal)).ended;
    await other.start(form.spec("more", "exit 0"), signal);
    expect(await form.backend.list()).toEqual(["same"]);
    expect(await (await form.open().find("same"))?.ended).toEqual({ kind: "exited", code: 1 });
    expect([...(await other.list())].sort()).toEqual(["more", "same"]);
  });

  it.each<[string, Partial<JobSpec>, RegExp]>([
    ["an id with a slash", { jobId: "a/b" }, /no id of a job/],
    ["no program", { command: [] }, /names no program/],
    ["a text of 10 MB as an argument", { command: ["x", "y".repeat(1e7)] }, /10000000 bytes/],
    ["a zero byte", { command: ["x", "a\0b"] }, /zero byte/],
    ["a variable with a blank", { secretEnv: { "A B": "x" } }, /"A B"/],
    ["an address", { source: { kind: "clone", url: "https://example.com/x" } }, /folders/],
    ["a folder that is not there", { source: { kind: "folder", path: "/no/such/folder" } }, /not there/],
  ])("refused before anything is made: %s", async (_, more, says) => {
    await using form = await makeForm();
    const error = await caught(form.backend.start({ ...form.spec("odd", "exit 0"), ...more }, signal));
    expect(error).toMatchObject({ code: "JobRefused", retryable: false, message: expect.stringMatching(says) });
    expect(form.engine.containers.size).toBe(0);
  });
});

describe("what the engine is asked for", () => {
  const spec: JobSpec = {
    jobId: "s1-t1-1",
    labels: { story: "S 1 – ü", role: "DEV" },
    source: { kind: "folder", path: "/x" },
    command: ["flotilla", "agent-executor", "--task", "say {workspace}", "--workspace", WORKSPACE_ARGUMENT],
    env: { NATS_URL: "nats://127.0.0.1:4222" },
    secretEnv: { KEY: "s3cr3t" },
    resources: { cpus: 1.5 },
    timeoutMs: 60_000,
  };
  const bounds = { cpus: 2, memoryBytes: 2 ** 30, processesMax: 99 };
  const options = { fleet: "f", image: "i:1", network: "host", ...bounds };

  it("no rights, bounds, a folder, and the secret in the environment alone", () => {
    const asked = containerOf(spec, "/srv/x", options, "1000:1000", new Set(["selinux"]));
    expect(asked).toEqual({
      Image: "i:1",
      Entrypoint: ["flotilla"],
      Cmd: ["agent-executor", "--task", "say {workspace}", "--workspace", "/workspace"],
      Env: ["HOME=/tmp", "NATS_URL=nats://127.0.0.1:4222", "KEY=s3cr3t"],
      WorkingDir: "/workspace",
      User: "1000:1000",
      Labels: {
        "flotilla.label.story": "S 1 – ü",
        "flotilla.label.role": "DEV",
        "flotilla.job": "s1-t1-1",
        "flotilla.fleet": "f",
        "flotilla.timeout-ms": "60000",
      },
      StopTimeout: 10,
      HostConfig: {
        Mounts: [{ Type: "bind", Source: "/srv/x", Target: "/workspace", ReadOnly: false }],
        Tmpfs: { "/tmp": "rw,exec,nosuid,nodev,mode=1777,size=1g" },
        ReadonlyRootfs: true,
        NetworkMode: "host",
        CapDrop: ["ALL"],
        SecurityOpt: ["no-new-privileges", "label=disable"],
        Init: true,
        NanoCpus: 1_500_000_000,
        Memory: 2 ** 30,
        MemorySwap: 2 ** 30,
        PidsLimit: 99,
        RestartPolicy: { Name: "no" },
        AutoRemove: false,
      },
    });
  });

  it("root of a rootless engine, whoever runs us of any other", async () => {
    const userOf = async (security: readonly string[]) => {
      await using form = await makeForm({ security });
      await form.backend.start(form.spec("user", "exit 0"), signal);
      return form.engine.named("flotilla.user")?.body.User;
    };
    expect(await userOf(["name=seccomp,profile=default", "name=rootless"])).toBe("0:0");
    expect(await userOf(["name=seccomp,profile=default"])).toBe(`${process.getuid?.()}:${process.getgid?.()}`);
  });

  it.each<[string, Partial<SeenContainer>, unknown]>([
    ["made", { status: "created", startedAtMs: Number.NaN }, { kind: "unstarted" }],
    ["runs", { status: "running" }, { kind: "runs", sinceMs: 1_000 }],
    ["paused", { status: "paused" }, { kind: "runs", sinceMs: 1_000 }],
    ["ended", { exitCode: 3 }, { kind: "ended", end: { kind: "exited", code: 3 } }],
    ["a child's memory", { exitCode: 0, isOutOfMemory: true }, { kind: "ended", end: { kind: "exited", code: 0 } }],
    ["refused", { status: "created", error: "no space left" }, { end: { code: "StartFailed", retryable: true } }],
    ["ended, never started", { startedAtMs: Date.parse("0001-01-01T00:00:00Z") }, { end: { code: "StartFailed" } }],
  ])("a container that is %s", (_, more, standing) => {
    const seen = {
      id: "1",
      status: "exited",
      startedAtMs: 1_000,
      exitCode: 0,
      isOutOfMemory: false,
      error: "",
      labels: {},
    };
    expect(standingOf({ ...seen, ...more }, undefined)).toMatchObject(standing as object);
  });

  it("looks for an engine in DOCKER_HOST, docker's socket and podman's, in this order", () => {
    const all = { DOCKER_HOST: "tcp://10.0.0.1:2375", XDG_RUNTIME_DIR: "/run/user/7" };
    const { DOCKER_HOST: _, ...sockets } = all;
    expect(engineAddress(all, () => true)).toBe("tcp://10.0.0.1:2375");
    expect(engineAddress(sockets, () => true)).toBe("unix:///var/run/docker.sock");
    const podman = "/run/user/7/podman/podman.sock";
    expect(engineAddress(sockets, (path) => path === podman)).toBe(`unix://${podman}`);
    expect(engineAddress({}, () => false)).toBeUndefined();
  });
});
