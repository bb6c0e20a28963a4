// Actor types as a node loads them: `flotilla node --actors examples/sample-actors.ts`. Programs import the same module for the types.

import { actorContext, defineActor, type Handle } from "../runtime/index.ts";

export const Board = defineActor(
  "board",
  class {
    readonly #lines: string[] = [];

    post(line: string): number {
      return this.#lines.push(line);
    }

    async *lines() {
      yield* this.#lines;
    }

    /** The part before the last dash is the node's name. */
    node(): string {
      return actorContext().address.node.replace(/-[^-]*$/, "");
    }
  },
);

export const Poster = defineActor(
  "poster",
  class {
    async postTo(board: Handle<typeof Board>, lines: readonly string[]): Promise<void> {
      for (const line of lines) await board.post(line);
      actorContext().log("info", `posted ${lines.length} lines`);
    }
  },
);

export const Press = defineActor(
  "press",
  class {
    print(page: number): string {
      const { attempt } = actorContext();
      if (page === 7 && attempt?.number === 1) throw new Error("paper jam");
      if (page === 13) throw new Error("the page is missing");
      return `page ${page}, attempt ${attempt?.number}`;
    }
  },
);

export const Clerk = defineActor(
  "clerk",
  class {
    /** What was written survives this actor, its node and the server. */
    async count(): Promise<number> {
      const { state } = actorContext();
      const count = ((await state.read<number>()) ?? 0) + 1;
      await state.write(count);
      return count;
    }

    async remindMe(afterMs: number): Promise<void> {
      await actorContext().reminders.set("later", { afterMs }, "remind");
    }

    remind(): void {
      const { address, log } = actorContext();
      log("info", `reminded on ${address.node.replace(/-[^-]*$/, "")}`);
    }

    async forget(): Promise<void> {
      await actorContext().state.clear();
    }
  },
);
