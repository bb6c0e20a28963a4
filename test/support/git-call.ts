// One call of a git tool outside any sandbox: what is refused there is refused by the tool itself.

import { systemClock, systemRandom } from "../../runtime/index.ts";
import { gitTools } from "../../tools/git/index.ts";
import { openProcessWorkspace, type ToolOutput } from "../../tools/index.ts";

/** Calls `git.<name>` on the repository at `path`. */
export async function callGit(
  repository: { readonly path: string },
  name: string,
  params: Record<string, unknown> = {},
): Promise<ToolOutput> {
  const tool = gitTools.find((known) => known.name === `git.${name}`);
  if (tool === undefined) throw new Error(`no tool git.${name}`);
  const workspace = await openProcessWorkspace({
    root: repository.path,
    sandbox: "none",
    clock: systemClock,
    random: systemRandom,
  });
  try {
    const deadlineMs = systemClock.now() + tool.timeoutMs;
    const context = { workspace, signal: new AbortController().signal, clock: systemClock, deadlineMs };
    return await tool.run(tool.input.parse(params), context);
  } finally {
    await workspace.close();
  }
}
