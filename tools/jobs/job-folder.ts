// The folder that is a process job: what was asked, who runs it, how it ended. Every fact is a file that appears whole and once, so that any
// life of the backend, and two of them at once, read the same.
//
//     <folder>/<jobId>/claim.json   what was asked, without secrets; there from the first moment
//                      started …    of the supervisor (job-supervisor.ts)
//                      verdict      "cancelled" or "timed_out", written before the program is ended for it
//                      tmp/         TMPDIR of the job
//
// JF1  The folder appears with its claim in it: a folder without one is no job.
// JF2  Of a status and a verdict the one that was first counts: a verdict is not written where there is a status.

import { link, mkdir, mkdtemp, readdir, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { removeFolder } from "../workspace/folder-removal.ts";
import type { ProcessIdentity } from "./job-supervisor.ts";

const claimSchema = z.object({
  jobId: z.string(),
  labels: z.record(z.string(), z.string()),
  workspace: z.string(),
  timeoutMs: z.number(),
  /** Value of MARKER_NAME in the job's environment. */
  marker: z.string(),
});

export type Claim = Readonly<z.infer<typeof claimSchema>>;
export type Verdict = "cancelled" | "timed_out";

/** `nobody`: it was decided that the program is not run (PB1 of process-backend.ts). */
export type Started = { readonly by: ProcessIdentity | "nobody"; readonly atMs: number };

const NOBODY = "nobody";
const CLAIMING = ".claiming-";

export class JobFolder {
  readonly path: string;

  constructor(parent: string, jobId: string) {
    this.path = join(parent, jobId);
  }

  /** Makes the folder with its claim; false when there is one. */
  async claim(parent: string, claim: Claim): Promise<boolean> {
    await mkdir(parent, { recursive: true });
    const made = await mkdtemp(join(parent, CLAIMING));
    await writeFile(join(made, "claim.json"), JSON.stringify(claim));
    await mkdir(join(made, "tmp"));
    try {
      await rename(made, this.path);
      return true;
    } catch (error) {
      await rm(made, { recursive: true, force: true });
      const { code } = error as NodeJS.ErrnoException;
      if (code === "ENOTEMPTY" || code === "EEXIST") return false;
      throw error;
    }
  }

  /** Undefined when there is no such job. */
  async readClaim(): Promise<Claim | undefined> {
    const text = await this.#read("claim.json");
    return text === undefined ? undefined : claimSchema.parse(JSON.parse(text));
  }

  /** Undefined while nobody has begun, or has not finished saying so. */
  async readStarted(): Promise<Started | undefined> {
    const text = await this.#read("started");
    if (text === undefined || !text.endsWith("\n")) return undefined;
    const atMs = (await stat(join(this.path, "started")).catch(() => undefined))?.mtimeMs ?? 0;
    const [pid = "", start = ""] = text.trim().split(" ");
    return { by: pid === NOBODY ? NOBODY : { pid: Number(pid), start }, atMs };
  }

  /** Decides that nobody runs the program; false when somebody has begun. */
  async startByNobody(): Promise<boolean> {
    return this.#writeOnce("started", `${NOBODY}\n`);
  }

  async readExit(): Promise<number | undefined> {
    const text = await this.#read("exit");
    return text === undefined ? undefined : Number(text);
  }

  async readVerdict(): Promise<Verdict | undefined> {
    return (await this.#read("verdict")) as Verdict | undefined;
  }

  /** JF2 */
  async writeVerdict(verdict: Verdict): Promise<void> {
    if ((await this.readExit()) === undefined) await this.#writeOnce("verdict", verdict);
  }

  async isThere(): Promise<boolean> {
    return (await stat(this.path).catch(() => undefined)) !== undefined;
  }

  remove(): Promise<void> {
    return removeFolder(this.path);
  }

  async #read(name: string): Promise<string | undefined> {
    try {
      return await readFile(join(this.path, name), "utf8");
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
      throw error;
    }
  }

  /** Writes it whole, or not where there is one. */
  async #writeOnce(name: string, text: string): Promise<boolean> {
    const whole = await mkdtemp(join(this.path, `${name}-`)).catch(() => undefined);
    // The job was removed.
    if (whole === undefined) return false;
    try {
      await writeFile(join(whole, name), text);
      await link(join(whole, name), join(this.path, name));
      return true;
    } catch (error) {
      const { code } = error as NodeJS.ErrnoException;
      if (code === "EEXIST" || code === "ENOENT") return false;
      throw error;
    } finally {
      await rm(whole, { recursive: true, force: true });
    }
  }
}

/** Ids of the jobs under `parent`. */
export async function jobsIn(parent: string): Promise<readonly string[]> {
  const names = await readdir(parent).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
  return names.filter((name) => !name.startsWith("."));
}
