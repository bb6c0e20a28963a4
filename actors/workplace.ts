// Where an agent works: a clone that was made for it, or one that it makes itself on the node it lives on, from what its task says.
// It is not how clones are made (tools/), nor the sandbox around it.
//
// WP1  A clone that the agent made goes with its work, whatever came of that, unless it shall be kept.

import { join } from "node:path";
import type { Blobs } from "../runtime/index.ts";
import { bundleWork, cloneBundle, cloneForAgent, cloneRemote, openWorkFolder } from "../tools/index.ts";
import type { AgentTask } from "./agent/result.ts";
import { authorOf } from "./council/roles.ts";
import { fail } from "./errors.ts";

/** Where an agent that shares no disk with the repository gets it from. */
export type Origin = {
  /** The clone stays when the work is done. Default false. */
  readonly keep?: boolean;
} & (
  | {
      readonly kind: "bundle";
      /** Hash of the blob that bundleStart's bytes are in, and what else it gave and was given. */
      readonly blob: string;
      readonly branch: string;
      readonly shallow?: string;
    }
  /** An address that the node reaches with its own operator's credentials. */
  | { readonly kind: "address"; readonly url: string }
);

/** An agent's clone: made beforehand, by its absolute path; or where to make it from. */
export type Workplace = { readonly workspacePath: string } | { readonly origin: Origin };

/** A task as an agent is handed it: with a clone, or without one yet. */
export type AgentOrder = Omit<AgentTask, "workspacePath"> &
  Workplace & {
    /** Counts the agents that were begun for it. Default 1. */
    readonly attempt?: number;
  };

export interface OpenWorkplace extends AsyncDisposable {
  /** Absolute path of the clone. */
  readonly path: string;
  /** Where scratch folders go; absent: the temp folder. */
  readonly scratchParent?: string;
  /** Set where the clone stays. */
  readonly keptIn?: string;
  /** Puts what was committed on top of the start into blobs; resolves with the hash, undefined where the clone is the caller's own. */
  send(commit: string): Promise<string | undefined>;
}

/** Opens the clone of a task. Throws OriginMissing, CloneFailed, GitFailed. */
export async function openWorkplace(order: AgentOrder, blobs: Blobs, signal: AbortSignal): Promise<OpenWorkplace> {
  if ("workspacePath" in order)
    return { path: order.workspacePath, send: async () => undefined, [Symbol.asyncDispose]: async () => {} };
  const { origin, baseCommit: base } = order;
  const folder = await openWorkFolder(origin.keep);
  try {
    const path = await cloneInto(folder.path, order, origin, blobs, signal);
    return {
      path,
      scratchParent: folder.path,
      ...(origin.keep === true && { keptIn: path }),
      async send(commit) {
        return blobs.put(await bundleWork({ clone: path, base, commit, bytesMax: blobs.blobMaxBytes }));
      },
      [Symbol.asyncDispose]: () => folder[Symbol.asyncDispose](),
    };
  } catch (error) {
    await folder[Symbol.asyncDispose]();
    throw error;
  }
}

async function cloneInto(
  folder: string,
  { agentId, baseCommit: commit }: AgentOrder,
  origin: Origin,
  blobs: Blobs,
  signal: AbortSignal,
): Promise<string> {
  const author = authorOf(agentId);
  const into = join(folder, "clone");
  if (origin.kind === "address") {
    const source = await cloneRemote({ url: origin.url, into: join(folder, "source"), checkout: false, signal });
    return cloneForAgent({ source, into, commit, author });
  }
  const { blob, branch, shallow } = origin;
  const bytes = await blobs.get(blob);
  if (bytes === undefined) {
    throw fail("OriginMissing", "The repository that was sent for this task is no longer in the fleet's blobs.", {
      data: { blob },
    });
  }
  return cloneBundle({ bytes, branch, shallow, commit, into, author });
}
