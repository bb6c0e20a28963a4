// Numbers under way: the table answers as a Map would, whatever comes and goes.

import fc from "fast-check";
import { expect, test } from "vitest";
import { IdTable } from "../../runtime/id-table.ts";

test("answers as a Map does, with long-lived entries among thousands of short ones", () => {
  // Each step hands out that many ids, and then gives back the ones that the picks choose among those held.
  const step = fc.record({
    made: fc.integer({ min: 1, max: 1_500 }),
    taken: fc.array(fc.double({ min: 0, max: 1, noNaN: true, maxExcluded: true }), { maxLength: 1_500 }),
  });
  fc.assert(
    fc.property(fc.array(step, { maxLength: 8 }), (steps) => {
      const table = new IdTable<string>();
      const model = new Map<number, string>();
      let lastId = 0;
      for (const { made, taken } of steps) {
        for (let count = 0; count < made; count++) {
          lastId++;
          table.set(lastId, `value ${lastId}`);
          model.set(lastId, `value ${lastId}`);
        }
        const held = [...model.keys()];
        for (const pick of taken) {
          const id = held[Math.floor(pick * held.length)] ?? 0;
          expect(table.take(id)).toBe(model.get(id));
          model.delete(id);
          expect(table.get(id)).toBeUndefined();
        }
        expect(table.size).toBe(model.size);
      }
      expect(table.ids()).toEqual([...model.keys()]);
      for (const [id, value] of model) expect(table.get(id)).toBe(value);
    }),
    { numRuns: 30 },
  );
});

test("one entry stays while a million others come and go", () => {
  const table = new IdTable<number>();
  table.set(1, 1);
  for (let id = 2; id < 1_000_000; id++) {
    table.set(id, id);
    table.take(id - 1 === 1 ? 0 : id - 1);
  }
  expect([table.get(1), table.size]).toEqual([1, 2]);
  expect(table.take(1)).toBe(1);
});
