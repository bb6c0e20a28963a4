// Readings of stories that are shared: the agents of a story ask at the same moment, and each reading is a dozen queries.
//
// SR1  An answer is never from before its question: who comes while a story is being read waits for the next reading, with all others who do.

import type { Graph } from "./graph.ts";
import { readStory, type StoryView, type Wanted } from "./story-view.ts";

export class StoryReads {
  readonly #graph: Graph;
  readonly #running = new Map<string, Promise<StoryView>>();
  readonly #next = new Map<string, Promise<StoryView>>();

  constructor(graph: Graph) {
    this.#graph = graph;
  }

  /** Throws what readStory throws. */
  read(storyId: string, wanted: Wanted): Promise<StoryView> {
    const key = `${storyId} ${JSON.stringify(wanted)}`;
    const running = this.#running.get(key);
    if (running === undefined) return this.#start(key, storyId, wanted);
    const known = this.#next.get(key);
    if (known !== undefined) return known;
    const begin = () => {
      this.#next.delete(key);
      return this.#start(key, storyId, wanted);
    };
    const next = running.then(begin, begin);
    this.#next.set(key, next);
    return next;
  }

  #start(key: string, storyId: string, wanted: Wanted): Promise<StoryView> {
    const reading: Promise<StoryView> = readStory(this.#graph, storyId, wanted).finally(() => {
      if (this.#running.get(key) === reading) this.#running.delete(key);
    });
    this.#running.set(key, reading);
    return reading;
  }
}
