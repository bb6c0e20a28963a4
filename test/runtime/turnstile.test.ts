// So many at a time, in order, whatever they end with.

import { expect, it } from "vitest";
import { Turnstile } from "../../runtime/turnstile.ts";
import { settle } from "../support/fake-clock.ts";

it("lets so many through at a time, the others in their order", async () => {
  const turnstile = new Turnstile(3);
  const order: number[] = [];
  let inside = 0;
  let most = 0;
  const done = Array.from({ length: 100 }, (_, at) =>
    turnstile.through(async () => {
      order.push(at);
      most = Math.max(most, ++inside);
      await settle();
      inside--;
      if (at % 7 === 0) throw new Error(`no ${at}`);
      return at;
    }),
  );
  const ended = await Promise.allSettled(done);
  expect(most).toBe(3);
  expect(order).toEqual([...order].sort((a, b) => a - b));
  expect(ended.filter(({ status }) => status === "rejected")).toHaveLength(15);
  expect(await turnstile.through(async () => "again")).toBe("again");
});
