// The WorkspaceBackend contract: what every form of tools/jobs/backend.ts does. Numbers are that file's invariants.
// Jobs are POSIX shell scripts, and what they print is the proof of what was run and how often: it is the same in every form.

import { expect } from "vitest";
import { systemRandom } from "../../runtime/index.ts";
import type { BackendJob, JobLine, JobSpec, WorkspaceBackend } from "../../tools/index.ts";
import { waitUntil } from "../support/wait-until.ts";
import { type Cases, runContract, type Skips } from "./contract.ts";

export interface BackendForm {
  readonly backend: WorkspaceBackend;
  /** Another one over the same jobs, as the next life of its caller opens it. It ends with the form. */
  reopen(): Promise<WorkspaceBackend>;
  /**
   * A job that runs this script, whose $1 is the workspace; the workspace holds seed.txt with the line "seed". `more` goes over it; its
   * timeoutMs is 60,000 unless given.
   */
  spec(jobId: string, script: string, more?: Partial<JobSpec>): JobSpec;
  /** Processes that carry this word in their command line. */
  countProcesses(word: string): Promise<number>;
  /** What anybody can see of a job: command lines, names, labels, files that others may read. */
  visible(jobId: string): Promise<string>;
  /** What is there of a job, by its names: empty when nothing is. */
  remains(jobId: string): Promise<readonly string[]>;
  /** Takes the job away behind the backend's back. */
  takeAway(jobId: string): Promise<void>;
  close(): Promise<void>;
}

const signal = new AbortController().signal;
const start = ({ backend }: BackendForm, spec: JobSpec): Promise<BackendJob> => backend.start(spec, signal);

async function linesOf(job: BackendJob): Promise<readonly JobLine[]> {
  const lines: JobLine[] = [];
  for await (const line of job.logs(signal)) lines.push(line);
  return lines;
}

const stdoutOf = async (job: BackendJob): Promise<readonly string[]> =>
  (await linesOf(job)).filter(({ stream }) => stream === "stdout").map(({ line }) => line);

/** For a command line; nobody else's processes carry it, those of another run of this suite included. */
const word = () => `word-${systemRandom.id()}`;

/** A script that runs until it is ended; `mark` is in the command line of each of its processes but the first. */
const endless = (mark: string) => `echo begun; sh -c 'while :; do sleep 0.1; done' ${mark}`;

async function begun({ countProcesses }: BackendForm, mark: string, count = 1): Promise<void> {
  await waitUntil("the job's program runs", async () => (await countProcesses(mark)) >= count);
}

const once: Cases<BackendForm> = {
  "WB1: ten starts of one id at once run its program once, and all answer with that job": async (make) => {
    const form = await make();
    const spec = form.spec("one-id", "echo begun; sleep 0.2");
    const jobs = await Promise.all(Array.from({ length: 10 }, () => start(form, spec)));
    expect(new Set(jobs.map(({ place }) => place)).size).toBe(1);
    const [job] = jobs;
    expect(await stdoutOf(job as BackendJob)).toEqual(["begun"]);
    expect(await Promise.all(jobs.map(({ ended }) => ended))).toEqual(jobs.map(() => ({ kind: "exited", code: 0 })));
  },
  "WB1: a job that has ended is answered with and not run again, in this life and the next": async (make) => {
    const form = await make();
    const spec = form.spec("ended", "echo begun; exit 3");
    await (await start(form, spec)).ended;
    const again = await start(form, spec);
    expect(await again.ended).toEqual({ kind: "exited", code: 3 });
    const next = await (await form.reopen()).start(spec, signal);
    expect(await next.ended).toEqual({ kind: "exited", code: 3 });
    expect(await stdoutOf(next)).toEqual(["begun"]);
  },
};

const lives: Cases<BackendForm> = {
  "WB2: a job outlives its caller; the next life finds it, reads it from its beginning and learns its end": async (
    make,
  ) => {
    const form = await make();
    const mark = word();
    await start(form, form.spec("outlives", `${endless(mark)} & sleep 2; kill $!; exit 5`));
    await begun(form, mark);
    await form.backend[Symbol.asyncDispose]();
    expect(await form.countProcesses(mark)).toBeGreaterThan(0);
    const next = await form.reopen();
    expect(await next.list()).toEqual(["outlives"]);
    const job = await next.find("outlives");
    expect(job?.jobId).toBe("outlives");
    expect(await job?.ended).toEqual({ kind: "exited", code: 5 });
    expect(await stdoutOf(job as BackendJob)).toEqual(["begun"]);
  },
  "WB2: an end that nobody saw is learnt later": async (make) => {
    const form = await make();
    const mark = word();
    await start(form, form.spec("unseen", `${endless(mark)} & sleep 0.3; kill $!; exit 6`));
    await form.backend[Symbol.asyncDispose]();
    await waitUntil("the program ends", async () => (await form.countProcesses(mark)) === 0);
    const job = await (await form.reopen()).find("unseen");
    expect(await job?.ended).toEqual({ kind: "exited", code: 6 });
  },
  "a job that never was is not found": async (make) => {
    const { backend } = await make();
    expect(await backend.find("never-was")).toBeUndefined();
    expect(await backend.list()).toEqual([]);
  },
};

const ends: Cases<BackendForm> = {
  "WB3: time over: its whole process tree ends, also what left its group": async (make) => {
    const form = await make();
    const mark = word();
    const script = `setsid sh -c 'trap "" TERM; while :; do sleep 0.1; done' ${mark} & ${endless(mark)}`;
    const job = await start(form, form.spec("late", script, { timeoutMs: 1_000 }));
    await begun(form, mark, 2);
    expect(await job.ended).toEqual({ kind: "timed_out" });
    expect(await form.countProcesses(mark)).toBe(0);
    expect(await (await start(form, form.spec("late", script))).ended).toEqual({ kind: "timed_out" });
  },
  "WB3: cancel ends it, twice is once, and the next life knows": async (make) => {
    const form = await make();
    const mark = word();
    const job = await start(form, form.spec("cancelled", endless(mark)));
    await begun(form, mark);
    await Promise.all([job.cancel(), job.cancel()]);
    expect(await job.ended).toEqual({ kind: "cancelled" });
    expect(await form.countProcesses(mark)).toBe(0);
    await job.cancel();
    expect(await (await (await form.reopen()).find("cancelled"))?.ended).toEqual({ kind: "cancelled" });
  },
  "WB3: a cancel after the end changes nothing": async (make) => {
    const form = await make();
    const job = await start(form, form.spec("over", "exit 7"));
    await job.ended;
    await job.cancel();
    expect(await (await form.backend.find("over"))?.ended).toEqual({ kind: "exited", code: 7 });
  },
  "WB3: what its program leaves running ends with it": async (make) => {
    const form = await make();
    const mark = word();
    const job = await start(form, form.spec("leaves", `setsid ${endless(mark).replace("echo begun; ", "")} &`));
    expect(await job.ended).toEqual({ kind: "exited", code: 0 });
    expect(await form.countProcesses(mark)).toBe(0);
  },
  "WB3: one that somebody else takes away has failed, and says so": async (make) => {
    const form = await make();
    const mark = word();
    const job = await start(form, form.spec("taken", endless(mark)));
    await begun(form, mark);
    await form.takeAway("taken");
    const end = await job.ended;
    expect(end).toMatchObject({ kind: "failed", code: expect.stringMatching(/^(Deleted|Lost|Evicted)$/) });
    expect(await form.countProcesses(mark)).toBe(0);
  },
};

const removal: Cases<BackendForm> = {
  "WB4: remove leaves nothing, twice, of a job that runs as well": async (make) => {
    const form = await make();
    const mark = word();
    const ended = await start(form, form.spec("done", "echo x"));
    await ended.ended;
    const running = await start(form, form.spec("runs", endless(mark)));
    await begun(form, mark);
    for (const job of [ended, running]) {
      expect(await form.remains(job.jobId)).not.toEqual([]);
      await job.remove();
      await job.remove();
      await waitUntil(`${job.jobId} is gone`, async () => (await form.remains(job.jobId)).length === 0);
      expect(await form.backend.find(job.jobId)).toBeUndefined();
    }
    expect(await form.countProcesses(mark)).toBe(0);
    expect(await form.backend.list()).toEqual([]);
  },
};

const inside: Cases<BackendForm> = {
  "the program gets its workspace, its variables and its arguments as they are": async (make) => {
    const form = await make();
    const spec = form.spec(
      "inside",
      'cat "$1/seed.txt"; echo "$GIVEN"; shift; for each in "$@"; do echo "[$each]"; done',
      {
        env: { GIVEN: "a b $HOME `id`" },
      },
    );
    const odd = ["a b", "$HOME", "; echo no", "*", "ü"];
    const job = await start(form, { ...spec, command: [...spec.command, ...odd] });
    expect(await stdoutOf(job)).toEqual(["seed", "a b $HOME `id`", ...odd.map((each) => `[${each}]`)]);
  },
  "WB5: a secret reaches the program and stands nowhere that others see": async (make) => {
    const form = await make();
    const script = 'echo "$KEY" | wc -c; while :; do sleep 0.1; done';
    const job = await start(form, form.spec("secret", script, { secretEnv: { KEY: "s3cr3t-value" } }));
    const lines = job.logs(signal)[Symbol.asyncIterator]();
    expect((await lines.next()).value).toMatchObject({ line: expect.stringMatching(/^\s*13$/) });
    expect(await form.visible("secret")).not.toContain("s3cr3t-value");
    await job.cancel();
  },
  "both streams are read from the beginning, each line once, the last without its end as well": async (make) => {
    const form = await make();
    const job = await start(form, form.spec("prints", "echo one; echo two >&2; sleep 0.2; printf 'three\\nfour'"));
    await job.ended;
    for (const lines of [await linesOf(job), await linesOf(job)]) {
      const of = (name: string) => lines.filter(({ stream }) => stream === name).map(({ line }) => line);
      expect(of("stdout")).toEqual(["one", "three", "four"]);
      expect(of("stderr")).toEqual(["two"]);
    }
  },
  "lines are cut at 64 KB, and a reader who leaves stops nothing": async (make) => {
    const form = await make();
    const job = await start(form, form.spec("long", "head -c 200000 /dev/zero | tr '\\0' x; echo; echo end"));
    const leaving = new AbortController();
    const left = (async () => {
      for await (const _ of job.logs(leaving.signal)) leaving.abort();
    })();
    await left;
    const lines = await stdoutOf(job);
    expect(lines.at(-1)).toBe("end");
    expect(Math.max(...lines.map(({ length }) => length))).toBeLessThanOrEqual(64 * 1_024);
    expect(lines.join("").length).toBeGreaterThanOrEqual(64 * 1_024);
  },
};

/** Runs the contract on one form. */
export function workspaceBackendContract(
  name: string,
  make: () => Promise<BackendForm>,
  { skips = {}, isConcurrent = false }: { readonly skips?: Skips; readonly isConcurrent?: boolean } = {},
): void {
  const cases = { ...once, ...lives, ...ends, ...removal, ...inside };
  runContract(name, cases, make, skips, isConcurrent);
}
