// What every git call is given so that a hostile checkout cannot make git run a program. Pure data and pure checks.
//
// G1  No configuration but the repository's own is read, and that one only if each of its keys is known to run nothing: an
//     override cannot undo include.path or a filter with a made-up name, so unknown keys are refused instead of overridden.
// G2  Hooks, pagers, editors, credential programs, signing and file-system monitors are off, also in what git starts itself.
// G3  Nothing a model wrote can become an option: names are checked, and paths and addresses stand behind `--`.
// G4  Submodules are never entered: each has a configuration of its own that G1 has not seen.

/** `-c` overrides for every call, on the host and in a workspace. */
const OVERRIDES = {
  "core.hooksPath": "/dev/null",
  "core.fsmonitor": "false",
  "core.untrackedCache": "false",
  "core.pager": "cat",
  "core.editor": "false",
  "core.askPass": "false",
  "core.sshCommand": "ssh -o BatchMode=yes",
  "credential.helper": "",
  "protocol.ext.allow": "never",
  "commit.gpgSign": "false",
  "tag.gpgSign": "false",
  "push.gpgSign": "false",
  "merge.verifySignatures": "false",
  "log.showSignature": "false",
  "submodule.recurse": "false",
  "fetch.recurseSubmodules": "false",
  "push.recurseSubmodules": "no",
  "diff.ignoreSubmodules": "all",
  "status.submoduleSummary": "false",
  // A maintenance run in the background would be ended with the command's tree, half done.
  "gc.auto": "0",
  "maintenance.auto": "false",
  // Writing the upstream into .git/config fails where the sandbox has made it read-only.
  "branch.autoSetupMerge": "false",
  "core.quotePath": "false",
  "commit.cleanup": "whitespace",
  "advice.detachedHead": "false",
} as const;

const asFlags = (overrides: Readonly<Record<string, string>>) =>
  Object.entries(overrides).flatMap(([key, value]) => ["-c", `${key}=${value}`]);

/** Put before the subcommand of every call on a checkout that is not the user's own. */
export const hardeningFlags: readonly string[] = asFlags({ ...OVERRIDES, "safe.bareRepository": "explicit" });

const { "credential.helper": _helper, "core.sshCommand": _ssh, "core.askPass": _ask, ...quiet } = OVERRIDES;

/** The same for calls made for the user with their own credentials: their helpers and their ssh stay. */
export const userFlags: readonly string[] = asFlags(quiet);

const COMMON_ENVIRONMENT = {
  GIT_TERMINAL_PROMPT: "0",
  GIT_ALLOW_PROTOCOL: "https:ssh:file",
  GIT_EDITOR: "false",
  GIT_SEQUENCE_EDITOR: "false",
  // Paths are names, not patterns: `:(top)*` would reach beyond what was checked.
  GIT_LITERAL_PATHSPECS: "1",
  // A replaced object would show a reviewer another commit than the one that is published.
  GIT_NO_REPLACE_OBJECTS: "1",
  GIT_NO_LAZY_FETCH: "1",
} as const;

/** Environment of every git call on a checkout that is not the user's own. */
export function hardenedEnvironment(ceiling: string): Readonly<Record<string, string>> {
  return {
    ...COMMON_ENVIRONMENT,
    GIT_CONFIG_GLOBAL: "/dev/null",
    GIT_CONFIG_NOSYSTEM: "1",
    GIT_ATTR_NOSYSTEM: "1",
    GIT_ASKPASS: "false",
    SSH_ASKPASS: "false",
    GIT_SSH_COMMAND: "ssh -o BatchMode=yes",
    GIT_SSH_VARIANT: "ssh",
    // Not above the workspace: a checkout without .git must not be taken for the repository around it.
    GIT_CEILING_DIRECTORIES: ceiling,
  };
}

/** Environment of git calls made for the user: with their configuration, without questions. */
export const userEnvironment: Readonly<Record<string, string>> = COMMON_ENVIRONMENT;

/** Keys a repository's own configuration may hold, lower-case as git lists them. None of them names a program or another file. */
const HARMLESS_KEYS: readonly RegExp[] = [
  /^core\.(repositoryformatversion|filemode|bare|logallrefupdates|ignorecase|precomposeunicode|symlinks)$/,
  /^core\.(autocrlf|eol|safecrlf|abbrev|quotepath|compression|protecthfs|protectntfs)$/,
  /^extensions\.(objectformat|refstorage)$/,
  /^user\.(name|email)$/,
  /^remote\..+\.(url|pushurl|fetch|push|tagopt|prune)$/s,
  /^branch\..+\.(remote|merge|rebase|description)$/s,
  /^submodule\..+\.(url|active)$/s,
  /^submodule\.active$/,
  /^(init\.defaultbranch|pull\.rebase|pull\.ff|merge\.conflictstyle|gc\.auto)$/,
];

/** Those of a repository's own keys that could make git run a program or read another file (G1). */
export function refusedKeys(keys: readonly string[]): readonly string[] {
  return keys.filter((key) => !HARMLESS_KEYS.some((known) => known.test(key)));
}

const REF_MAX_LENGTH = 200;

/** The rules of git-check-ref-format for one branch name, and no leading `-` (G3). */
export function isBranchName(name: string): boolean {
  if (name === "" || name.length > REF_MAX_LENGTH || name === "@" || name === "HEAD" || name.startsWith("-"))
    return false;
  if (/[\p{Control}\s~^:?*[\\]|\.\.|@\{|\/\/|^\/|\/$|\.$/u.test(name)) return false;
  return name.split("/").every((part) => !part.startsWith(".") && !part.endsWith(".lock"));
}

/** A branch, tag, remote branch or commit hash, optionally with ~n and ^n behind it. No ranges, no `@{…}`, no `:path`. */
export function isRevision(text: string): boolean {
  const name = text.replace(/(?:[~^]\d{0,4}){1,8}$/, "");
  return name === "HEAD" || isBranchName(name);
}

export const isCommitHash = (text: string): boolean => /^(?:[0-9a-f]{40}|[0-9a-f]{64})$/.test(text);
