// A generator method is a streamed reply: items come as they are yielded, and the actor never runs far ahead of its reader.

import { connect, defineActor } from "../runtime/index.ts";

const Words = defineActor(
  "words",
  class {
    #yielded = 0;

    async *of(text: string) {
      for (const word of text.split(" ")) {
        this.#yielded++;
        yield word;
      }
    }

    yielded(): number {
      return this.#yielded;
    }
  },
);

await using fleet = await connect();
const words = await fleet.spawn(Words);

for await (const word of words.of("items come one by one")) console.log(word);

// Leaving the loop ends the method: of a million words, only those within the reader's window were made.
for await (const word of words.of("again ".repeat(1_000_000))) {
  console.log("left at:", word);
  break;
}
console.log("most were never made:", (await words.yielded()) < 10_000);
