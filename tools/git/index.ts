// The git family: ten tools over the workspace's own git, which runs where every other command runs.

import type { Tool } from "../tool.ts";
import { changingTools } from "./changing.ts";
import { readingTools } from "./reading.ts";
import { remoteTools } from "./remote.ts";

export const gitTools: readonly Tool[] = [...readingTools, ...changingTools, ...remoteTools];
export {
  hardenedEnvironment,
  hardeningFlags,
  isBranchName,
  isCommitHash,
  userEnvironment,
  userFlags,
} from "./hardening.ts";
export { type FileStat, parseList, parseNumstat, parseStatus } from "./parse.ts";
export { DIFF_FLAGS } from "./reading.ts";
export { openGit } from "./run-git.ts";
