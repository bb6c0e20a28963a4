// Which file a caller's path means, if any: the one way from a path a model wrote to a path the file system is given.
// It is not a sandbox: a program that runs at the same moment may swap a folder for a link between the look and the use. Commands
// are kept apart by the sandbox (workspace.ts), and an agent's calls run one after another.
//
// H1  What is resolved lies inside the workspace's root, links followed; the root itself is never written.
// H2  Nothing inside a folder that git, or a file system git fears, would take for `.git`: its config and hooks are programs.
// H3  The last name of a path to be written is not followed when it is a link: a link planted in a checkout must not choose the file.
// H4  A path is written in one way: relative, "/" between names, no control characters. What else a platform would accept is refused
//     on every platform, so that a plan that works on one machine means the same on another.

import { lstat, readlink, realpath } from "node:fs/promises";
import { join, relative } from "node:path";
import { ToolFailure } from "../tool.ts";

/** `follow`: what the path leads to. `entry`: the name itself, also when it is a link (H3). */
export type PathPurpose = "follow" | "entry";

export interface ResolvedPath {
  readonly absolute: string;
  /** From the root, "/" between names; "" is the root. Names in front of the last are real: no links among them. */
  readonly relative: string;
}

const PATH_MAX_BYTES = 1_024;
/** The limit of ext4, APFS and most others. */
const NAME_MAX_BYTES = 255;

/**
 * Where `path` leads. It need not exist. Throws ToolFailure `invalid-path` (its form), `outside-workspace` or `git-internals`.
 */
export async function resolveInside(root: string, path: string, purpose: PathPurpose): Promise<ResolvedPath> {
  const names = checkedNames(path);
  let here = root;
  for (const [index, name] of names.entries()) {
    const next = join(here, name);
    const isLast = index === names.length - 1;
    const kind = await kindOf(next);
    if (kind === "missing") return located(root, join(next, ...names.slice(index + 1)));
    here = kind === "link" && !(isLast && purpose === "entry") ? await followed(root, next, path) : next;
  }
  return located(root, here);
}

/** Whether git on some file system would take `name` for `.git`: other case, ignorable or full-width characters, NTFS forms (H2). */
export function isGitName(name: string): boolean {
  const plain = name
    .normalize("NFKD")
    .replace(/[\p{Default_Ignorable_Code_Point}\p{Mark}\p{Control}]/gu, "")
    .toLowerCase()
    .replaceAll("ı", "i")
    .replace(/:.*$/su, "")
    .replace(/[. ]+$/u, "")
    .trimStart();
  return plain === ".git" || /^git~\d+$/.test(plain);
}

/** The names of a path of the one form we take (H4), with `.` and `..` worked out. */
function checkedNames(path: string): readonly string[] {
  const flaw = flawOf(path);
  if (flaw !== undefined) throw new ToolFailure("invalid-path", `The path ${quote(path)} ${flaw}.`);
  const names: string[] = [];
  for (const name of path.split("/")) {
    if (name === "" || name === ".") continue;
    if (name !== "..") names.push(name);
    else if (names.pop() === undefined) throw outside(path);
  }
  return names;
}

function flawOf(path: string): string | undefined {
  if (path === "") return 'is empty; "." is the root of the workspace';
  if (!path.isWellFormed() || /[\p{Control}\u2028\u2029]/u.test(path))
    return "holds control characters or broken Unicode";
  if (Buffer.byteLength(path) > PATH_MAX_BYTES) return `is longer than ${PATH_MAX_BYTES} bytes`;
  if (path.startsWith("/") || /^~(?:\/|$)/.test(path))
    return "is absolute; write it relative to the root of the workspace";
  if (path.includes("\\") || /^[a-z]:/i.test(path)) return 'is a Windows path; write "/" between names and no drive';
  const longest = Math.max(...path.split("/").map((name) => Buffer.byteLength(name)));
  return longest > NAME_MAX_BYTES ? `holds a name longer than ${NAME_MAX_BYTES} bytes` : undefined;
}

async function kindOf(path: string): Promise<"missing" | "link" | "other"> {
  try {
    return (await lstat(path)).isSymbolicLink() ? "link" : "other";
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code;
    if (code === "ENOENT" || code === "ENOTDIR") return "missing";
    throw new ToolFailure("not-permitted", `The file system refuses to look at ${quote(path)} (${code}).`);
  }
}

/** The real target of a link. A link that leads nowhere is refused: whoever creates its target would create it through the link. */
async function followed(root: string, link: string, path: string): Promise<string> {
  const real = await realpath(link).catch(() => undefined);
  if (real === undefined) {
    const target = await readlink(link).catch(() => "?");
    throw new ToolFailure(
      "outside-workspace",
      `The path ${quote(path)} leads through a link to ${quote(target)}, which is not there.`,
    );
  }
  if (!isInside(root, real)) throw outside(path);
  return real;
}

function located(root: string, absolute: string): ResolvedPath {
  const inside = relative(root, absolute);
  if (inside.split("/").some(isGitName)) {
    throw new ToolFailure(
      "git-internals",
      `The path ${quote(inside)} lies in git's own folder; use the git tools instead.`,
    );
  }
  return { absolute, relative: inside };
}

const isInside = (root: string, real: string) => real === root || real.startsWith(`${root}/`);

const outside = (path: string) =>
  new ToolFailure(
    "outside-workspace",
    `The path ${quote(path)} leads outside the workspace; only files inside it can be used.`,
  );

const quote = (path: string) => JSON.stringify(path.length > 200 ? `${path.slice(0, 200)}…` : path);
