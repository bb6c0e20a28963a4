// Port: an isolated place where commands run and files lie. The local form is process-workspace.ts; containers and Kubernetes
// Jobs come behind the same port.
//
// W1  A command is a program and an argument list; no shell reads it.
// W2  A command starts from an empty environment plus PATH, HOME (inside the workspace's private folder), LANG and what the caller names.
// W3  When a command's time is up or its signal aborts, its whole process tree is ended, also children that left its group.
// W4  Output is bounded: the head and the tail are kept, the middle is counted.
// W5  `close` ends what still runs and may be called twice; it removes files only if the workspace made them.

export interface ExecOptions {
  /** Milliseconds; the tree is ended after it. */
  readonly timeoutMs: number;
  readonly signal?: AbortSignal;
  /** Added to the base environment (W2). */
  readonly env?: Readonly<Record<string, string>>;
  readonly stdin?: string;
  /** Bytes kept of each of stdout and stderr. Default 1 MiB. */
  readonly outputMaxBytes?: number;
  /** Folder inside the workspace, relative to its root. Default the root. */
  readonly cwd?: string;
  /** Reach beyond the machine (git clone, push, pull). Default false: where the sandbox can, it has no network but loopback. */
  readonly network?: boolean;
}

export interface ExecResult {
  /** Exit status; null when a signal or a time-out ended it. */
  readonly exitCode: number | null;
  readonly stdout: string;
  readonly stderr: string;
  readonly timedOut: boolean;
  readonly cancelled: boolean;
  readonly truncated: boolean;
  readonly durationMs: number;
}

/** What keeps commands apart from the machine: `bubblewrap` (own process, mount and network namespaces) or `none` (own process group only). */
export type Sandbox = "bubblewrap" | "none";

export interface Workspace {
  readonly id: string;
  /** Absolute real path of the folder that holds the checkout. */
  readonly root: string;
  /** Absolute path of a private scratch folder outside the checkout, writable by commands (reports, HOME, TMPDIR). */
  readonly scratch: string;
  readonly sandbox: Sandbox;
  /** Rejects only when the program cannot be started (ToolFailure code `no-such-program`); everything else is in the result. */
  exec(program: string, args: readonly string[], options: ExecOptions): Promise<ExecResult>;
  close(): Promise<void>;
}
