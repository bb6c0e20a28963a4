// The errors of tools/: what a caller of a workspace or a checkout is told. A tool's own failures are ToolFailure values (tool.ts).

import { errorsFrom } from "../runtime/index.ts";

export const fail = errorsFrom({
  ToolUnfit: { retryable: false, remedy: "Correct the tool's definition as the message says." },
  SandboxUnavailable: { retryable: false, remedy: "Install bubblewrap or allow workspaces without it." },
  RepoNotFound: { retryable: false, remedy: "Name a folder that exists, or a repository address." },
  NotARepository: { retryable: false, remedy: "Run `git init` and commit, or name another folder." },
  RepoBare: { retryable: false, remedy: "Clone the bare repository and name the clone." },
  RepoEmpty: { retryable: false, remedy: "Make a first commit." },
  RepoDirty: { retryable: false, remedy: "Commit or stash the changes." },
  CloneFailed: { retryable: true, remedy: "Check the address, the network and your credentials." },
  RepoTooLarge: { retryable: false, remedy: "Name the repository by an address that the nodes reach." },
  WorkTooLarge: { retryable: false, remedy: "Name what is built or downloaded in the repository's .gitignore." },
  BundleInvalid: {
    retryable: false,
    remedy: "Look at the node that the result names: what it sent is not what it announced.",
  },
  BranchExists: { retryable: false, remedy: "Delete or rename the branch." },
  MergeConflict: { retryable: false, remedy: "Merge the branch by hand." },
  GitFailed: { retryable: false, remedy: "Read what git said in the message." },
  GitMissing: { retryable: false, remedy: "Install git." },
  // Where workspaces run.
  BackendUnavailable: { retryable: true, remedy: "Look at the engine or the API server that the message names." },
  JobRefused: { retryable: false, remedy: "Correct what the message names in the runner's settings or the request." },
});
