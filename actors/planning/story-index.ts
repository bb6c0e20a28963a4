// Stories by their ids, states and epics, in the order of the ids, so that a page of them costs what is on the page.
// It is not the stories themselves (outbox-documents.ts).

import type { Story } from "./story.ts";

type Place = Pick<Story, "id" | "state" | "epicId">;

export interface PageFilter {
  readonly state?: string;
  readonly epicId?: string;
  /** Id after which the page begins. */
  readonly after?: string;
}

export class StoryIndex {
  readonly #places = new Map<string, Place>();
  /** Sorted ids: of all, and by `state …` and `epic …`. */
  readonly #lists = new Map<string, string[]>();

  put({ id, state, epicId }: Place): void {
    const before = this.#places.get(id);
    if (before?.state === state && before.epicId === epicId) return;
    if (before !== undefined) for (const name of listsOf(before)) this.#remove(name, id);
    const place = { id, state, ...(epicId !== undefined && { epicId }) };
    this.#places.set(id, place);
    for (const name of listsOf(place)) this.#add(name, id);
  }

  /** Ids that the filter takes, in order. */
  *ids({ state, epicId, after = "" }: PageFilter): Generator<string> {
    const name = epicId !== undefined ? `epic ${epicId}` : state !== undefined ? `state ${state}` : "all";
    const ids = this.#lists.get(name) ?? [];
    for (let index = firstAfter(ids, after); index < ids.length; index++) {
      const id = ids[index] as string;
      if (state === undefined || this.#places.get(id)?.state === state) yield id;
    }
  }

  #add(name: string, id: string): void {
    const ids = this.#lists.get(name) ?? [];
    ids.splice(firstAfter(ids, id), 0, id);
    this.#lists.set(name, ids);
  }

  #remove(name: string, id: string): void {
    const ids = this.#lists.get(name);
    ids?.splice(firstAfter(ids, id) - 1, 1);
  }
}

const listsOf = ({ state, epicId }: Place): readonly string[] => [
  "all",
  `state ${state}`,
  ...(epicId === undefined ? [] : [`epic ${epicId}`]),
];

/** Index of the first id above `id`. */
function firstAfter(ids: readonly string[], id: string): number {
  let [low, high] = [0, ids.length];
  while (low < high) {
    const middle = (low + high) >>> 1;
    if ((ids[middle] as string) <= id) low = middle + 1;
    else high = middle;
  }
  return low;
}
