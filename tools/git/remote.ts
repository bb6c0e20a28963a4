// git tools that reach beyond the workspace: clone, push, pull. The standard policy denies them; where they are allowed they go
// to https, ssh or a configured remote by name, never force, and never open a question.

import { z } from "zod";
import { defineTool, ToolFailure } from "../tool.ts";
import { resolveInside } from "../workspace/paths.ts";
import { branchName, cloneSource, remoteName } from "./inputs.ts";
import { type Git, openGit, runUnchecked } from "./run-git.ts";

const REACH = { risk: "network", timeoutMs: 300_000, outputMaxBytes: 16 * 1024 } as const;

const DEPTH_MAX = 1_000_000;

const cloneTool = defineTool({
  name: "git.clone",
  description: "Clones a repository into a new folder of the workspace.",
  input: z.strictObject({
    address: z
      .string()
      .min(1)
      .max(2_000)
      .describe("https:// or ssh address, user@host:path, or the path of a repository in the workspace"),
    folder: z.string().describe("New folder, relative to the root of the workspace"),
    depth: z.int().min(1).max(DEPTH_MAX).optional().describe("Only the newest commits"),
  }),
  ...REACH,
  sideEffects: "workspace",
  async run({ address, folder, depth }, context) {
    const source = await cloneSource(context, address);
    const target = await resolveInside(context.workspace.root, folder, "entry");
    const shallow = depth === undefined ? [] : [`--depth=${depth}`];
    // A repository in the workspace is copied through the protocol: a local clone would take over links planted among its objects.
    const flags = ["--quiet", "--template=", "--no-local", "--no-recurse-submodules", ...shallow];
    await runUnchecked(context, ["clone", ...flags, "--", source, target.absolute], { network: true });
    return { success: true, content: `Cloned into ${target.relative}.`, data: { folder: target.relative } };
  },
});

const pushTool = defineTool({
  name: "git.push",
  description: "Pushes one branch to the branch of the same name on a configured remote; never forces.",
  input: z.strictObject({ remote: remoteName, branch: branchName }),
  ...REACH,
  sideEffects: "external",
  async run({ remote, branch }, context) {
    const git = await openGit(context);
    await refuseUnknownRemote(git, remote);
    const ref = `refs/heads/${branch}`;
    await git.run(["push", "--quiet", "--no-verify", "--no-signed", "--", remote, `${ref}:${ref}`], {
      network: true,
    });
    return { success: true, content: `Pushed ${branch} to ${remote}.`, data: { remote, branch } };
  },
});

const pullTool = defineTool({
  name: "git.pull",
  description: "Brings the current branch up to one branch of a configured remote if no merge is needed.",
  input: z.strictObject({ remote: remoteName, branch: branchName }),
  ...REACH,
  sideEffects: "repository",
  async run({ remote, branch }, context) {
    const git = await openGit(context);
    await refuseUnknownRemote(git, remote);
    const flags = ["--quiet", "--ff-only", "--no-rebase", "--no-recurse-submodules"];
    await git.run(["pull", ...flags, "--", remote, `refs/heads/${branch}`], { network: true });
    const { stdout } = await git.run(["rev-parse", "--verify", "HEAD"]);
    return {
      success: true,
      content: `Now at ${stdout.trim().slice(0, 12)}.`,
      data: { remote, branch, head: stdout.trim() },
    };
  },
});

/** git takes a remote it does not know for a path or an address. */
async function refuseUnknownRemote(git: Git, remote: string): Promise<void> {
  const { stdout } = await git.run(["remote"]);
  const known = stdout.split("\n").filter((name) => name !== "");
  if (known.includes(remote)) return;
  const list = known.length === 0 ? "none" : known.join(", ");
  throw new ToolFailure("no-such-remote", `There is no remote ${remote}; configured: ${list}.`, { known });
}

export const remoteTools = [cloneTool, pushTool, pullTool] as const;
