// The mailbox against a model of plain lists: order, bound, lanes, and what is taken from the middle or set aside.

import fc from "fast-check";
import { expect, test } from "vitest";
import { BULK_EVERY, type Lane, type Mailable, Mailbox } from "../../../runtime/cell/mailbox.ts";

class Item implements Mailable<Item> {
  next: Item | undefined = undefined;
  readonly id: number;
  readonly lane: Lane;
  constructor(id: number, lane: Lane = "interactive") {
    this.id = id;
    this.lane = lane;
  }
}

/** What a mailbox must do, in lists of ids that anybody can follow. */
class Model {
  control: number[] = [];
  readonly work: Record<Lane, number[]> = { interactive: [], bulk: [] };
  readonly aside: Item[] = [];
  #overtakes = 0;

  get count(): number {
    return this.work.interactive.length + this.work.bulk.length + this.aside.length;
  }

  take(): number | undefined {
    if (this.control.length > 0) return this.control.shift();
    const { interactive, bulk } = this.work;
    const isBulkDue = bulk.length > 0 && (interactive.length === 0 || this.#overtakes === BULK_EVERY);
    this.#overtakes = isBulkDue || bulk.length === 0 ? 0 : this.#overtakes + 1;
    return (isBulkDue ? bulk : interactive).shift();
  }

  takeWhere(wanted: (id: number) => boolean): number | undefined {
    for (const lane of [this.work.interactive, this.work.bulk]) {
      const at = lane.findIndex(wanted);
      if (at >= 0) return lane.splice(at, 1)[0];
    }
    return undefined;
  }

  putBack(): void {
    for (const { id, lane } of this.aside.splice(0).reverse()) this.work[lane].unshift(id);
  }
}

const step = fc.oneof(
  { weight: 4, arbitrary: fc.constant("interactive" as const) },
  { weight: 2, arbitrary: fc.constant("bulk" as const) },
  { weight: 1, arbitrary: fc.constant("control" as const) },
  { weight: 4, arbitrary: fc.constant("take" as const) },
  { weight: 1, arbitrary: fc.constant("setAside" as const) },
  { weight: 1, arbitrary: fc.constant("putBack" as const) },
  { weight: 1, arbitrary: fc.constant("dropControl" as const) },
  { weight: 2, arbitrary: fc.integer({ min: 2, max: 5 }) },
);
type Step = typeof step extends fc.Arbitrary<infer Value> ? Value : never;

/** Does the same to both and compares what they say. */
function follow(mailbox: Mailbox<Item>, model: Model, id: number, what: Step): void {
  if (what === "interactive" || what === "bulk") {
    const hasRoom = model.count < mailbox.max;
    expect(mailbox.push(new Item(id, what))).toBe(hasRoom);
    if (hasRoom) model.work[what].push(id);
  } else if (what === "control") {
    mailbox.pushControl(new Item(id));
    model.control.push(id);
  } else if (what === "take") {
    expect(mailbox.take()?.id).toBe(model.take());
  } else if (what === "dropControl") {
    mailbox.dropControl();
    model.control = [];
  } else if (what === "setAside") {
    const taken = mailbox.takeWhere(() => true);
    expect(taken?.id).toBe(model.takeWhere(() => true));
    if (taken !== undefined && mailbox.setAside()) model.aside.push(taken);
  } else if (what === "putBack") {
    mailbox.putBack(model.aside);
    model.putBack();
  } else {
    const wanted = (other: number) => other % what === 0;
    expect(mailbox.takeWhere((other) => wanted(other.id))?.id).toBe(model.takeWhere(wanted));
  }
}

test("control, then interactive, then bulk, each in its order; one bound for all work, control never refused (M1, M2, M4)", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 300 }), fc.integer({ min: 1, max: 40 }), (steps, max) => {
      const [mailbox, model] = [new Mailbox<Item>(max), new Model()];
      for (const [id, what] of steps.entries()) {
        follow(mailbox, model, id, what);
        const waiting = model.count - model.aside.length + model.control.length;
        expect([mailbox.length, mailbox.isEmpty]).toEqual([model.count, waiting === 0]);
      }
    }),
  );
});

test("bulk gets its turn however much interactive work comes in (M4)", () => {
  fc.assert(
    fc.property(fc.array(fc.integer({ min: 0, max: 3 }), { minLength: 50, maxLength: 200 }), (arrivals) => {
      const mailbox = new Mailbox<Item>(10_000);
      for (let id = 0; id < arrivals.length; id++) mailbox.push(new Item(id, "bulk"));
      let [next, sinceBulk, lastBulk] = [arrivals.length, 0, -1];
      for (const count of arrivals) {
        for (let index = 0; index < count; index++) mailbox.push(new Item(next++));
        const taken = mailbox.take() as Item;
        if (taken.lane === "bulk") {
          expect(taken.id).toBe(lastBulk + 1);
          [sinceBulk, lastBulk] = [0, taken.id];
        } else expect(++sinceBulk).toBeLessThanOrEqual(BULK_EVERY);
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
