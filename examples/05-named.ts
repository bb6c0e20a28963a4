// A named actor is found by its name, by whoever knows it; of any number that create it at once, one does and all get the same.

import { connect, defineActor, isFlotillaError } from "../runtime/index.ts";

const Board = defineActor(
  "board",
  class {
    readonly #lines: string[] = [];

    post(line: string): number {
      return this.#lines.push(line);
    }

    lines(): readonly string[] {
      return this.#lines;
    }
  },
);

await using fleet = await connect();

const openers = Array.from({ length: 10 }, () => fleet.spawn(Board, { name: "news", getIfExists: true }));
await Promise.all((await Promise.all(openers)).map((board, at) => board.post(`line ${at}`)));

const board = await fleet.get("news", Board);
console.log("lines on the one board:", (await board.lines()).length);

await fleet.spawn(Board, { name: "news" }).catch((error: unknown) => {
  if (isFlotillaError(error, "NameTaken")) console.log("creating it again:", error.code);
});

// Names live in namespaces: another one has room for another board.
const other = await fleet.spawn(Board, { name: "news", namespace: "elsewhere" });
console.log("lines on the other board:", (await other.lines()).length);
