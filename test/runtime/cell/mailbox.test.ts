// The mailbox against a model of two plain lists: order, bound, and what is taken from the middle.

import fc from "fast-check";
import { expect, test } from "vitest";
import { type Linked, Mailbox } from "../../../runtime/cell/mailbox.ts";

class Item implements Linked<Item> {
  next: Item | undefined = undefined;
  readonly id: number;
  constructor(id: number) {
    this.id = id;
  }
}

const step = fc.oneof(
  { weight: 3, arbitrary: fc.constant("push" as const) },
  { weight: 1, arbitrary: fc.constant("pushControl" as const) },
  { weight: 3, arbitrary: fc.constant("take" as const) },
  { weight: 1, arbitrary: fc.constant("dropControl" as const) },
  { weight: 2, arbitrary: fc.integer({ min: 2, max: 5 }) },
);

test("control before work, each in the order it came; work beyond the bound is refused, control never (M1, M2)", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 200 }), fc.integer({ min: 1, max: 10 }), (steps, max) => {
      const mailbox = new Mailbox<Item>(max);
      let control: number[] = [];
      const work: number[] = [];
      for (const [id, what] of steps.entries()) {
        if (what === "push") {
          expect(mailbox.push(new Item(id))).toBe(work.length < max);
          if (work.length < max) work.push(id);
        } else if (what === "pushControl") {
          mailbox.pushControl(new Item(id));
          control.push(id);
        } else if (what === "take") {
          expect(mailbox.take()?.id).toBe(control.length > 0 ? control.shift() : work.shift());
        } else if (what === "dropControl") {
          mailbox.dropControl();
          control = [];
        } else {
          const at = work.findIndex((other) => other % what === 0);
          expect(mailbox.takeWhere(({ id: other }) => other % what === 0)?.id).toBe(work[at]);
          if (at >= 0) work.splice(at, 1);
        }
        expect([mailbox.length, mailbox.isEmpty]).toEqual([work.length, work.length + control.length === 0]);
      }
    }),
  );
});

test("a message taken may be put into another mailbox at once", () => {
  const [first, second] = [new Mailbox<Item>(5), new Mailbox<Item>(5)];
  for (const id of [1, 2, 3]) first.push(new Item(id));
  const taken = first.takeWhere(({ id }) => id === 2) as Item;
  expect(second.push(taken)).toBe(true);
  expect([first.take()?.id, first.take()?.id, first.take()]).toEqual([1, 3, undefined]);
  expect([second.take()?.id, second.take()]).toEqual([2, undefined]);
});
