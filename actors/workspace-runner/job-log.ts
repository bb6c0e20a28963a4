// A job's output on its way to workspace.logs.{jobId}: redacted, bounded, each line once whatever life of the runner posts it.
//
// JL1  A line has a number in its stream, which is in the event's key; who reads a job from its beginning again leaves out what the topic has.
// JL2  At most BURST lines at once and LINES_PER_SECOND over time, LINES_MAX of a try: the log is everybody's, and its oldest events go first.
//      What is left out is counted in the next line.
// JL3  Lines wait while the fleet's log cannot be reached: the job prints on into its own files.

import { type ActorSystem, type Clock, sleep, topicFilter } from "../../runtime/index.ts";
import { type BackendJob, type JobLine, redactText } from "../../tools/index.ts";
import { topicOf, workspaceLogs } from "../events/channels.ts";
import { parse } from "../events/feed.ts";
import { type PostSystem, postEvent } from "../events/post.ts";
import { isOfFleet, RUNNER } from "./job-posts.ts";
import { backendIdOf, type JobRecord } from "./job-record.ts";

const BURST = 200;
const LINES_PER_SECOND = 50;
const LINES_MAX = 5_000;
const LINE_CHARS_MAX = 4_000;
const PAGE = 500;
const SECRET_LENGTH_MIN = 4;
const PAUSE_MIN_MS = 100;
const PAUSE_MAX_MS = 5_000;

/**
 * What must not be told of an executor's secret variables, by line: texts of several are printed so. A user's name is none, and may be a word
 * that every path has.
 */
export const secretTexts = (secretEnv: Readonly<Record<string, string>>): readonly string[] =>
  Object.entries(secretEnv)
    .filter(([name]) => name !== "FLOTILLA_USER")
    .flatMap(([, value]) => value.split("\n"))
    .map((line) => line.trim())
    .filter((line) => line !== "" && !/^[-*]{3}/.test(line));

export interface JobLogOptions {
  readonly system: PostSystem & Pick<ActorSystem, "ports">;
  readonly clock: Clock;
  /** Texts that must not be told. */
  readonly secrets: readonly string[];
}

export class JobLog {
  readonly #options: JobLogOptions;
  readonly #record: JobRecord;
  readonly #seen = { stdout: 0, stderr: 0 };
  #room = BURST;
  #roomAtMs: number;
  #posted = 0;
  #dropped = 0;
  #lastWords = "";

  constructor(options: JobLogOptions, record: JobRecord) {
    this.#options = options;
    this.#record = record;
    this.#roomAtMs = options.clock.monotonic();
  }

  /** The last line on stderr, redacted. */
  get lastWords(): string {
    return this.#lastWords;
  }

  /** Posts what the job prints until it has ended or the signal aborts. */
  async stream(job: BackendJob, signal: AbortSignal): Promise<void> {
    const known = await this.#again(() => this.#known(), signal);
    for await (const { stream, line } of job.logs(signal)) {
      const number = ++this.#seen[stream];
      const text = this.#redacted(line);
      if (stream === "stderr" && text.trim() !== "") this.#lastWords = text;
      if (number > known[stream]) await this.#take({ stream, line: text }, number, signal);
    }
    if (this.#dropped > 0 && !signal.aborted)
      await this.#post(
        { stream: "stderr", line: `[${this.#dropped} lines were left out before the end]` },
        "end",
        signal,
      );
  }

  async #take(line: JobLine, number: number, signal: AbortSignal): Promise<void> {
    const nowMs = this.#options.clock.monotonic();
    this.#room = Math.min(BURST, this.#room + ((nowMs - this.#roomAtMs) / 1_000) * LINES_PER_SECOND);
    this.#roomAtMs = nowMs;
    if (this.#room < 1 || this.#posted >= LINES_MAX) {
      this.#dropped++;
      return;
    }
    this.#room--;
    this.#posted++;
    await this.#post(line, String(number), signal);
    this.#dropped = 0;
  }

  async #post({ stream, line }: JobLine, number: string, signal: AbortSignal): Promise<void> {
    const { jobId, request } = this.#record;
    const posting = {
      type: "workspace.logged",
      data: { jobId, line, stream, dropped: this.#dropped },
      key: `${this.#prefix}${stream} ${number}`,
      correlationId: request.storyId,
      topic: [jobId],
    } as const;
    await this.#again(() => postEvent(this.#options.system, RUNNER, workspaceLogs, posting), signal);
  }

  /** JL3 */
  async #again<T>(run: () => Promise<T>, signal: AbortSignal): Promise<T> {
    for (let failures = 0; ; failures++) {
      try {
        return await run();
      } catch (error) {
        if (signal.aborted || !isOfFleet(error)) throw error;
        const pauseMs = Math.min(PAUSE_MAX_MS, PAUSE_MIN_MS * 2 ** Math.min(failures, 10));
        await sleep(this.#options.clock, pauseMs, signal);
      }
    }
  }

  get #prefix(): string {
    return `${backendIdOf(this.#record)} `;
  }

  #redacted(line: string): string {
    let text = line.slice(0, LINE_CHARS_MAX);
    for (const secret of this.#options.secrets)
      if (secret.length >= SECRET_LENGTH_MIN) text = text.replaceAll(secret, "[redacted]");
    return redactText(text).toWellFormed();
  }

  /** The highest numbers that the topic has of this try (JL1). */
  async #known(): Promise<{ readonly stdout: number; readonly stderr: number }> {
    const known = { stdout: 0, stderr: 0 };
    const filter = topicFilter(topicOf(workspaceLogs, this.#record.jobId));
    for (let from = this.#record.sequence + 1; ; ) {
      const page = await this.#options.system.ports.eventLog.read(filter, from, PAGE);
      for (const logged of page) {
        const fed = parse(workspaceLogs, logged);
        if (fed.kind !== "event" || !fed.event.idempotencyKey.startsWith(this.#prefix)) continue;
        const { stream } = fed.event.data;
        const number = Number(fed.event.idempotencyKey.split(" ").at(-1));
        if (number > known[stream]) known[stream] = number;
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return known;
      from = last.sequence + 1;
    }
  }
}
