// The bubblewrap form of a command: which parts of the machine it sees. Pure except for looking at what exists.
// It is not a wall against kernel bugs (no seccomp filter); it is one against reading the user's secrets, writing outside the
// workspace, reaching the network, and leaving processes behind.
//
// B1  Later mounts hide earlier ones, so the order is: the machine read-only; private /dev, /proc, /tmp, /run; the user's secrets
//     hidden; what is needed from hidden places shown again, read-only; the workspace writable; its git config and hooks read-only.
//     What is shown again may hold a secret itself (a project in the home): that is hidden a second time.
// B2  Folders outside the workspace are shown only if they were named when it was opened: a list read later could have been
//     written by a command (an alternates file that names ~/.ssh).

import { lstatSync, readdirSync, readFileSync, readlinkSync, realpathSync, statSync } from "node:fs";
import { delimiter, isAbsolute, join, resolve } from "node:path";
import type { ToolsOptions } from "../options.ts";

/** What of the machine a sandbox shows, settled when the workspace is opened (B2). */
export interface SandboxView {
  readonly root: string;
  readonly scratch: string;
  /** Folders and files of the user that nobody inside may read. */
  readonly secrets: readonly string[];
  /** Paths inside private places (/tmp, /run, a secret folder) that are shown read-only all the same. */
  readonly shown: readonly string[];
}

/** Emptied for every command; the workspace's own TMPDIR is on disk, so a full /tmp is the exception. */
const PRIVATE_FOLDERS = ["/tmp", "/var/tmp", "/run"];

/** Under the user's home: keys, tokens, and the folders where command-line programs keep them. */
const SECRETS = [
  ".ssh",
  ".aws",
  ".azure",
  ".gnupg",
  ".config",
  ".kube",
  ".docker",
  ".oci",
  ".password-store",
  ".local/share/keyrings",
  ".claude",
  ".codex",
  ".gemini",
  ".mozilla",
  ".thunderbird",
  ".terraform.d",
  ".netrc",
  ".npmrc",
  ".yarnrc.yml",
  ".pypirc",
  ".git-credentials",
  ".gitconfig",
  ".pgpass",
  ".my.cnf",
  ".vault-token",
  ".m2/settings.xml",
  ".gradle/gradle.properties",
  ".cargo/credentials",
  ".cargo/credentials.toml",
  ".gem/credentials",
  ".bash_history",
  ".zsh_history",
  ".python_history",
  ".node_repl_history",
  ".psql_history",
] as const;

/** This package, or the node_modules it is installed in: ripgrep and the test reporters run from there, and it may lie under /tmp. */
const OWN_FOLDER = ownFolder(resolve(import.meta.dirname, "../.."));

function ownFolder(root: string): string {
  const installed = root.indexOf("/node_modules/");
  return installed < 0 ? root : root.slice(0, installed + "/node_modules".length);
}

export function sandboxView(root: string, scratch: string, options: ToolsOptions): SandboxView {
  const secrets = SECRETS.map((name) => join(options.home, name)).filter((path) => kindOf(path) !== undefined);
  const hidden = [...PRIVATE_FOLDERS, ...secrets];
  const needed = [
    ...options.path.split(delimiter),
    ...Object.values(options.toolchains),
    process.execPath,
    OWN_FOLDER,
    "/etc/resolv.conf",
    ...alternatesOf(join(root, ".git/objects")),
    ...lentTo(join(root, "node_modules")),
  ];
  const real = needed.flatMap((path) => realPath(path) ?? []);
  const shown = [...needed, ...real].filter(
    (path) => kindOf(path) !== undefined && hidden.some((folder) => isInside(path, folder)),
  );
  return { root, scratch, secrets, shown: [...new Set(shown)] };
}

/** The arguments of `bwrap` before the program. One given by its absolute path is shown even where private folders hide its neighbours. */
export function sandboxArguments(view: SandboxView, program: string, cwd: string, network: boolean): readonly string[] {
  const shown = [...view.shown, ...(isAbsolute(program) ? [program] : [])];
  const hideInside = (folders: readonly string[]) =>
    view.secrets.filter((secret) => folders.some((folder) => isInside(secret, folder))).flatMap(hide);
  return [
    "--unshare-all",
    ...(network ? ["--share-net"] : []),
    "--die-with-parent",
    "--new-session",
    ...["--ro-bind", "/", "/", "--dev", "/dev", "--proc", "/proc"],
    ...PRIVATE_FOLDERS.filter((path) => kindOf(path) === "folder").flatMap((path) => ["--tmpfs", path]),
    ...view.secrets.flatMap(hide),
    ...shown.flatMap((path) => ["--ro-bind", path, path]),
    ...hideInside(shown),
    ...["--bind", view.root, view.root, "--bind", view.scratch, view.scratch],
    ...hideInside([view.root]),
    ...gitProtection(view.root).flatMap((path) => ["--ro-bind", path, path]),
    ...["--chdir", cwd, "--"],
  ];
}

const hide = (path: string) => (kindOf(path) === "folder" ? ["--tmpfs", path] : ["--ro-bind", "/dev/null", path]);

/** Looked at before each command: they appear when a command clones into the workspace. A link is left alone: it would be followed. */
const gitProtection = (root: string) =>
  [".git/hooks", ".git/config"].map((name) => join(root, name)).filter((path) => kindOf(path) !== undefined);

type Kind = "folder" | "file";

function kindOf(path: string): Kind | undefined {
  const stats = lstatSync(path, { throwIfNoEntry: false });
  if (stats?.isDirectory()) return "folder";
  return stats?.isFile() ? "file" : undefined;
}

const isInside = (path: string, folder: string) => path.startsWith(`${folder}/`);

function realPath(path: string): string | undefined {
  return statSync(path, { throwIfNoEntry: false }) === undefined ? undefined : realpathSync(path);
}

/** Folders that hold what is linked into a clone's node_modules (dependencies.ts). */
function lentTo(modules: string): readonly string[] {
  if (kindOf(modules) !== "folder") return [];
  const links = readdirSync(modules, { withFileTypes: true }).flatMap((entry) =>
    entry.name.startsWith("@") && entry.isDirectory()
      ? readdirSync(join(modules, entry.name)).map((name) => join(modules, entry.name, name))
      : [join(modules, entry.name)],
  );
  const targets = links.flatMap((link) => (kindOf(link) === undefined ? readlinkSync(link) : []));
  return [...new Set(targets.flatMap((target) => /^(.*\/node_modules)\//.exec(target)?.[1] ?? []))];
}

/** git itself follows five. */
const ALTERNATES_DEPTH = 5;

/** Object folders that a shared clone borrows from, through repositories that borrow themselves. */
function alternatesOf(objects: string, depth = 0): readonly string[] {
  const list = join(objects, "info/alternates");
  if (depth >= ALTERNATES_DEPTH || kindOf(list) !== "file") return [];
  const borrowed = readFileSync(list, "utf8")
    .split("\n")
    .filter((line) => line !== "" && !line.startsWith("#"));
  return borrowed.map((line) => resolve(objects, line)).flatMap((path) => [path, ...alternatesOf(path, depth + 1)]);
}
