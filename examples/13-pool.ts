// A pool: some actors of one type behind one handle, and maps over them. Here in this process; on a fleet its members are spread over nodes.

import { connect, defineActor } from "../runtime/index.ts";

const Squarer = defineActor(
  "squarer",
  class {
    #calls = 0;

    square(n: number): number {
      this.#calls++;
      if (n === 13) throw new Error("unlucky");
      return n * n;
    }

    calls(): number {
      return this.#calls;
    }
  },
);

await using fleet = await connect();
await using pool = await fleet.pool(Squarer, { size: 4 });

// Each item goes to a member that is free; answers come in the order of the items.
const squares = await pool.map("square", [1, 2, 3, 4, 5, 6, 7, 8]);
console.log(squares.join(" "));

// With `settle` a failure is an answer, too.
const settled = await pool.map("square", [12, 13, 14], { settle: true });
console.log(settled.map(({ status }) => status).join(" "));

// A single call goes to the next member; calls with one hash key go to the same one.
console.log(await pool.handle.square(9), await pool.handle.with({ hashKey: "a" }).square(10));

const calls = await Promise.all(pool.members.map((member) => member.calls()));
console.log(
  "all members worked:",
  calls.every((count) => count > 0),
);
