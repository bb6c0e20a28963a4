// The branches of stories where every host of the fleet finds them: their tips in the store, what they have beyond their origin in blobs.
// It is not the depot, which works with them (tools/workspace/depot.ts, DP5).
//
// SB1  The new blob is there before the document names it, and the old one goes afterwards: a crash leaves a blob too many, never one too few.

import { z } from "zod";
import type { ActorSystem } from "../../runtime/index.ts";
import type { StoryMemory, StoryTip } from "../../tools/index.ts";
import { Documents } from "../events/documents.ts";
import { fail } from "./errors.ts";

const branchSchema = z.object({ start: z.string(), commit: z.string(), bundle: z.string().exactOptional() });
type Branch = Readonly<z.output<typeof branchSchema>>;

const WRITES_MAX = 5;

export class StoryBranches implements StoryMemory {
  readonly #blobs: ActorSystem["ports"]["blobs"];
  readonly #documents: Documents<Branch>;

  constructor(system: Pick<ActorSystem, "ports">) {
    this.#blobs = system.ports.blobs;
    this.#documents = new Documents<Branch>(system, "runner.story", branchSchema);
  }

  /** Throws StoryBranchLost: the store names a blob that is gone. */
  async load(storyId: string): Promise<(StoryTip & { readonly bytes?: Uint8Array }) | undefined> {
    const found = await this.#documents.get(storyId);
    if (found === undefined) return undefined;
    const { start, commit, bundle } = found.value;
    if (bundle === undefined) return { start, commit };
    const bytes = await this.#blobs.get(bundle);
    if (bytes !== undefined) return { start, commit, bytes };
    const message = `The branch of story ${storyId} at ${commit.slice(0, 12)} is no longer in the fleet's blobs.`;
    throw fail("StoryBranchLost", message, { data: { storyId, bundle } });
  }

  async save(storyId: string, tip: StoryTip, bytes: Uint8Array | undefined): Promise<void> {
    const bundle = bytes === undefined ? undefined : await this.#blobs.put(bytes);
    const value = { ...tip, ...(bundle !== undefined && { bundle }) };
    for (let tries = 0; tries < WRITES_MAX; tries++) {
      const before = await this.#documents.get(storyId);
      const written = await (before === undefined
        ? this.#documents.create(storyId, value)
        : this.#documents.replace(before, value));
      if (written === undefined) continue;
      const old = before?.value.bundle;
      // What others share has the same bytes: it is this story's alone, whose commits are in it.
      if (old !== undefined && old !== bundle) await this.#blobs.delete(old);
      return;
    }
    throw fail("StoryBranchBusy", `The branch of story ${storyId} is written by somebody else all the time.`);
  }
}
