// The values git tools take from a model, as schemas: what passes here cannot become an option (G3).

import { z } from "zod";
import { type ToolContext, ToolFailure } from "../tool.ts";
import { resolveInside } from "../workspace/paths.ts";
import { isBranchName, isRevision } from "./hardening.ts";

export const branchName = z.string().refine(isBranchName, "is not a branch name git allows").describe("Branch name");

export const revision = z
  .string()
  .refine(isRevision, "is not a branch, tag or commit")
  .describe("Branch, tag or commit, like main, HEAD~1 or a hash");

export const remoteName = z
  .string()
  .regex(/^[A-Za-z0-9][A-Za-z0-9._-]{0,99}$/, "is not the name of a remote; addresses are not taken here")
  .describe("Name of a configured remote");

export const pathList = z
  .array(z.string().min(1))
  .min(1)
  .max(500)
  .describe("Paths relative to the root of the workspace");

/** `--` and the checked paths; a path inside .git or outside the workspace is refused. */
export async function behindDashes(
  context: ToolContext,
  paths: readonly string[] | undefined,
): Promise<readonly string[]> {
  if (paths === undefined) return ["--"];
  const resolved = await Promise.all(paths.map((path) => resolveInside(context.workspace.root, path, "entry")));
  return ["--", ...resolved.map(({ relative }) => (relative === "" ? "." : relative))];
}

/** What a clone may come from: https, ssh, or a repository inside the workspace. Throws ToolFailure `invalid-address`. */
export async function cloneSource(context: ToolContext, address: string): Promise<string> {
  if (/^https:\/\/[^\s-]\S*$/.test(address) || /^ssh:\/\/[^\s-]\S*$/.test(address)) return address;
  // The short form of ssh, user@host:path. Neither part may begin with a dash: ssh would read it as an option.
  if (/^[\w.]+@\w[\w.-]*:[^\s-]\S*$/.test(address)) return address;
  if (/^[\w.+-]+:/.test(address)) {
    throw new ToolFailure(
      "invalid-address",
      "Only https:// and ssh addresses, user@host:path, and paths in the workspace can be cloned.",
    );
  }
  return (await resolveInside(context.workspace.root, address, "follow")).absolute;
}
