// Port: where the workspaces of agents run: a process of this host, a container, a Kubernetes Job. Its forms are process-backend.ts,
// container-backend.ts and kubernetes-backend.ts.
// It is not what runs inside (the program is named in the spec), nor when a job is started, retried or given up (the workspace runner).
//
// WB1  `start` with the id of a job that is there answers with that one: however often it is called, by whichever life of its caller, a
//      job's program is started at most once.
// WB2  A job goes on when its caller ends; `find` gives it to the next life, for as long as `remove` was not called.
// WB3  `ended` always settles, soon after the program has ended, the time is over, `cancel` was called, or somebody else took the job away;
//      it never rejects. Then none of its processes runs any more.
// WB4  `remove` leaves nothing: no process, folder, container, Job or Pod. It may be called twice, and for a job that runs (it is cancelled).
// WB5  A job knows no secret but those in `secretEnv`, which stand in no command line, label or name.

/** What becomes the workspace's folder. */
export type WorkspaceSource =
  /** A folder of this host, ready; it is given to the job whole and stays its caller's. */
  | { readonly kind: "folder"; readonly path: string }
  /** Cloned inside, by whatever credentials are there. */
  | { readonly kind: "clone"; readonly url: string; readonly branch?: string };

export interface JobSpec {
  /** 1 to 200 letters, digits, _ and -. Forms with stricter names make their own from it and keep it as a label or an annotation. */
  readonly jobId: string;
  /** For people and for queries: { story, task, attempt, role }. Values of any text. */
  readonly labels: Readonly<Record<string, string>>;
  readonly source: WorkspaceSource;
  /** Program and arguments; the argument WORKSPACE_ARGUMENT becomes the path of the workspace as the job sees it. */
  readonly command: readonly string[];
  readonly env: Readonly<Record<string, string>>;
  readonly secretEnv: Readonly<Record<string, string>>;
  /** Bounds where the form can hold them. */
  readonly resources?: { readonly cpus?: number; readonly memoryBytes?: number };
  /** Counted from the program's start, where the form can tell; else from `start`. */
  readonly timeoutMs: number;
}

export const WORKSPACE_ARGUMENT = "{workspace}";

export interface JobLine {
  readonly stream: "stdout" | "stderr";
  readonly line: string;
}

/** How a job ended. */
export type JobEnd =
  | { readonly kind: "exited"; readonly code: number }
  | { readonly kind: "timed_out" }
  | { readonly kind: "cancelled" }
  /**
   * It could not run, or was taken away: CloneFailed, ImageUnavailable, OutOfMemory, Evicted, Deleted, StartFailed, Lost. `retryable`: the same
   * again may work.
   */
  | { readonly kind: "failed"; readonly code: string; readonly message: string; readonly retryable: boolean };

export interface BackendJob {
  readonly jobId: string;
  /** Where it is: "pid 123", "container 4f…", "job flotilla/agent-…". */
  readonly place: string;
  /** What it prints, from its beginning, at least once; ends with the job or the signal. Lines are cut at 64 KB. */
  logs(signal: AbortSignal): AsyncIterable<JobLine>;
  readonly ended: Promise<JobEnd>;
  cancel(): Promise<void>;
  remove(): Promise<void>;
}

export interface WorkspaceBackend extends AsyncDisposable {
  readonly kind: "process" | "container" | "kubernetes";
  /** Whether jobs see folders of this host: then `source` is a folder, else a clone. */
  readonly takesFolders: boolean;
  /** Throws BackendUnavailable (no engine, no API server; a retry may help), JobRefused (what it says; a retry cannot). */
  start(spec: JobSpec, signal: AbortSignal): Promise<BackendJob>;
  /** Throws BackendUnavailable. */
  find(jobId: string): Promise<BackendJob | undefined>;
  /** Ids of all jobs of ours that are there, ended or not. Throws BackendUnavailable. */
  list(): Promise<readonly string[]>;
}
