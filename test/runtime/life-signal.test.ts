// The signal of an actor's life: it aborts with that life, whichever way it ends, and the next life has another.

import { describe, expect, test } from "vitest";
import { actorContext, connect, defineActor } from "../../runtime/index.ts";
import { waitUntil } from "../support/wait-until.ts";

function subject() {
  const journal: string[] = [];
  let lives = 0;
  const Subject = defineActor(
    "subject",
    class {
      #number = 0;
      async onStart(): Promise<void> {
        const number = ++lives;
        this.#number = number;
        actorContext().life.addEventListener("abort", () => journal.push(`${number} over`));
      }
      async onStop(): Promise<void> {
        await Promise.resolve();
        journal.push(`${this.#number} stopped`);
      }
      isOver(): boolean {
        return actorContext().life.aborted;
      }
      breaks(): void {
        actorContext().fail(new Error("broken"));
      }
    },
  );
  return { Subject, journal };
}

describe("the signal of a life", () => {
  test("aborts after onStop where the end is orderly", async () => {
    await using system = await connect();
    const { Subject, journal } = subject();
    const actor = await system.spawn(Subject);
    expect(await actor.isOver()).toBe(false);
    await system.stop(actor);
    expect(journal).toEqual(["1 stopped", "1 over"]);
  });

  test("aborts at once where the actor is killed", async () => {
    await using system = await connect();
    const { Subject, journal } = subject();
    system.kill(await system.spawn(Subject));
    await waitUntil("it is over", () => journal.length > 0);
    expect(journal).toEqual(["1 over"]);
  });

  test("aborts with each life that fails, and not with the one after it", async () => {
    await using system = await connect();
    const { Subject, journal } = subject();
    const actor = await system.spawn(Subject, { restart: { maxRestarts: 3, withinMs: 60_000 } });
    for (const lives of [1, 2]) {
      await actor.breaks().catch(() => {});
      await waitUntil("the next life answers", async () => (await actor.isOver().catch(() => true)) === false);
      expect(journal).toEqual(Array.from({ length: lives }, (_, at) => `${at + 1} over`));
    }
  });
});
