// Workspaces as processes of this host: the contract, and what is this form's own.

import { readFileSync } from "node:fs";
import { mkdir, readdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { systemClock, systemRandom } from "../../../runtime/index.ts";
import { type JobSpec, WORKSPACE_ARGUMENT } from "../../../tools/index.ts";
import { ProcessBackend } from "../../../tools/jobs/backends.ts";
import { JobFolder } from "../../../tools/jobs/job-folder.ts";
import { type BackendForm, workspaceBackendContract } from "../../contracts/workspace-backend.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { makeFolder } from "../../support/git-repository.ts";
import { processTable } from "../../support/process-tree.ts";
import { waitUntil } from "../../support/wait-until.ts";

const signal = new AbortController().signal;

interface ProcessForm extends BackendForm {
  readonly folder: string;
  readonly workspace: string;
}

/** Processes that live, and their command lines to the end. */
const processes = () =>
  processTable()
    .filter(({ state, pid }) => state !== "Z" && pid !== process.pid)
    .flatMap(({ pid }) => {
      try {
        return [{ pid, command: readFileSync(`/proc/${pid}/cmdline`, "utf8").replaceAll("\0", " ") }];
      } catch {
        return [];
      }
    });
const carrying = (word: string) => processes().filter(({ command }) => command.includes(word));

async function makeForm(): Promise<ProcessForm> {
  const place = await makeFolder("flotilla-backend-");
  const folder = join(place.path, "jobs");
  const workspace = join(place.path, "workspace");
  await mkdir(workspace);
  await writeFile(join(workspace, "seed.txt"), "seed\n");
  const opened: ProcessBackend[] = [];
  const open = () => {
    const backend = new ProcessBackend({ folder, clock: systemClock, random: systemRandom });
    opened.push(backend);
    return backend;
  };
  return {
    folder,
    workspace,
    backend: open(),
    reopen: async () => open(),
    spec: (jobId, script, more = {}): JobSpec => ({
      jobId,
      labels: { story: "s", task: "t" },
      source: { kind: "folder", path: workspace },
      command: ["sh", "-c", script, "script", WORKSPACE_ARGUMENT],
      env: {},
      secretEnv: {},
      timeoutMs: 60_000,
      ...more,
    }),
    countProcesses: async (word) =>
      carrying(`${word} `).filter(({ command }) => !command.includes("echo begun")).length,
    async visible(jobId) {
      const files = await readdir(join(folder, jobId), { recursive: true, withFileTypes: true });
      const texts = files
        .filter((file) => file.isFile())
        .map((file) => readFile(join(file.parentPath, file.name), "utf8"));
      return [...processes().map(({ command }) => command), ...(await Promise.all(texts))].join("\n");
    },
    async remains(jobId) {
      const left = (await readdir(folder).catch((): string[] => [])).filter((name) => name === jobId);
      return [...left, ...carrying(join(folder, jobId)).map(({ command }) => command)];
    },
    async takeAway(jobId) {
      const [pid] = (await readFile(join(folder, jobId, "started"), "utf8")).split(" ");
      process.kill(-Number(pid), "SIGKILL");
    },
    async close() {
      for (const jobId of await open().list()) await (await open().find(jobId))?.remove();
      await Promise.all(opened.map((backend) => backend[Symbol.asyncDispose]()));
      await place[Symbol.asyncDispose]();
    },
  };
}

workspaceBackendContract("ProcessBackend", makeForm, { isConcurrent: true });

describe("what a crash leaves", () => {
  const claimOf = (form: ProcessForm, jobId: string) =>
    ({ jobId, labels: {}, workspace: form.workspace, timeoutMs: 60_000, marker: "marker" }) as const;

  it("PB1: start of a job that was claimed and not begun begins it, once", async () => {
    const form = await makeForm();
    try {
      await new JobFolder(form.folder, "claimed").claim(form.folder, claimOf(form, "claimed"));
      const spec = form.spec("claimed", "echo begun; sleep 0.1");
      const jobs = await Promise.all([form.backend.start(spec, signal), (await form.reopen()).start(spec, signal)]);
      expect(await Promise.all(jobs.map(({ ended }) => ended))).toEqual(jobs.map(() => ({ kind: "exited", code: 0 })));
      expect(await readFile(join(form.folder, "claimed", "stdout.log"), "utf8")).toBe("begun\n");
    } finally {
      await form.close();
    }
  });

  it("PB1: find of such a job decides that it is never begun, and a start that comes later obeys", async () => {
    const form = await makeForm();
    const clock = new FakeClock();
    const later = new ProcessBackend({ folder: form.folder, clock, random: systemRandom });
    try {
      await new JobFolder(form.folder, "claimed").claim(form.folder, claimOf(form, "claimed"));
      const job = await later.find("claimed");
      let end: unknown;
      void job?.ended.then((ended) => {
        end = ended;
      });
      await waitUntil("it is given up", async () => {
        await clock.advance(1_000);
        return end;
      });
      expect(end).toMatchObject({ kind: "failed", code: "StartFailed", retryable: true });
      const started = await form.backend.start(form.spec("claimed", "echo begun"), signal);
      expect(await started.ended).toEqual(end);
      await job?.remove();
      expect(await form.remains("claimed")).toEqual([]);
    } finally {
      await later[Symbol.asyncDispose]();
      await form.close();
    }
  });

  it("PB2: a process that has the number of the job's by now is left alone", async () => {
    const form = await makeForm();
    try {
      const folder = new JobFolder(form.folder, "reused");
      await folder.claim(form.folder, claimOf(form, "reused"));
      await writeFile(join(folder.path, "started"), `${process.pid} 1\n`);
      const job = await form.backend.find("reused");
      expect(await job?.ended).toMatchObject({ kind: "failed", code: "Lost", retryable: true });
      await job?.remove();
    } finally {
      await form.close();
    }
  });

  it("a workspace or a program that is not there, an address, an odd id: refused, and nothing is left", async () => {
    const form = await makeForm();
    try {
      const good = form.spec("good", "exit 0");
      const bad: readonly Partial<JobSpec>[] = [
        { source: { kind: "folder", path: join(form.workspace, "none") } },
        { source: { kind: "clone", url: "https://example.invalid/x.git" } },
        { command: ["no-such-program-here"] },
        { jobId: "../up" },
      ];
      for (const each of bad)
        await expect(form.backend.start({ ...good, ...each }, signal)).rejects.toMatchObject({ code: "JobRefused" });
      expect(await form.backend.list()).toEqual([]);
    } finally {
      await form.close();
    }
  });
});

it("what is printed beyond the bound is not kept, holds nobody up, and is said", async () => {
  const form = await makeForm();
  try {
    const script = "yes 0123456789012345678901234567890123456789 | head -c 17000000; echo after >&2";
    const job = await form.backend.start(form.spec("talks", script), signal);
    expect(await job.ended).toEqual({ kind: "exited", code: 0 });
    const lines = { stdout: "", stderr: "" };
    for await (const { stream, line } of job.logs(signal)) lines[stream] = line;
    expect(lines).toEqual({ stdout: "[what came after the first 16 MB was left out]", stderr: "after" });
    expect((await readFile(join(form.folder, "talks", "stdout.log"))).length).toBe(16 * 2 ** 20);
  } finally {
    await form.close();
  }
});
