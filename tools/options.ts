// What tools/ takes from the process's environment, read once by whoever opens a workspace: the search path for programs, and
// where the user's tool chains keep what they have installed, and where clones are made. Nothing else of it reaches a command (W2).

import { existsSync } from "node:fs";
import { homedir, tmpdir } from "node:os";
import { delimiter, isAbsolute, join } from "node:path";

export interface ToolsOptions {
  /** Search path for programs: absolute folders only, so that a checkout cannot put itself first. */
  readonly path: string;
  /** The user's real home: where secrets to hide and tool chains to keep are found. */
  readonly home: string;
  /** Variables that keep version managers and package caches working although HOME moves. */
  readonly toolchains: Readonly<Record<string, string>>;
  /** Variables the user's own git needs when it runs for the user: clone of a remote, merge into their branch. */
  readonly userGit: Readonly<Record<string, string>>;
  /** Folder in which the agents of a node make their clones. */
  readonly workspaces: string;
}

/**
 * Where each tool chain looks once HOME is private: the user's variable, else its default place under the user's home, and
 * only if it exists. They are installations and download caches: a sandbox makes them read-only, and what has to be written
 * (GOCACHE, GOPATH, npm's and pip's caches) falls into the private HOME by itself.
 */
const TOOLCHAINS: Readonly<Record<string, string>> = {
  PYENV_ROOT: ".pyenv",
  RUSTUP_HOME: ".rustup",
  CARGO_HOME: ".cargo",
  GOMODCACHE: "go/pkg/mod",
  VOLTA_HOME: ".volta",
  ASDF_DATA_DIR: ".asdf",
  MISE_DATA_DIR: ".local/share/mise",
};

const USER_GIT = ["HOME", "XDG_CONFIG_HOME", "SSH_AUTH_SOCK", "HTTPS_PROXY", "https_proxy", "NO_PROXY", "no_proxy"];

const FALLBACK_PATH = "/usr/local/bin:/usr/bin:/bin";

/** Resolves the options from an environment; every absent part has a default. */
export function toolsOptions(env: NodeJS.ProcessEnv = process.env): ToolsOptions {
  const home = env.HOME ?? homedir();
  const path = (env.PATH ?? FALLBACK_PATH).split(delimiter).filter(isAbsolute).join(delimiter);
  const toolchains: Record<string, string> = {};
  for (const [name, place] of Object.entries(TOOLCHAINS)) {
    const folder = env[name] ?? join(home, place);
    if (isAbsolute(folder) && existsSync(folder)) toolchains[name] = folder;
  }
  const userGit: Record<string, string> = {};
  for (const name of USER_GIT) {
    const value = env[name];
    if (value !== undefined) userGit[name] = value;
  }
  const workspaces = env.FLOTILLA_WORKSPACES || tmpdir();
  return { path: path === "" ? FALLBACK_PATH : path, home, toolchains, userGit, workspaces };
}
