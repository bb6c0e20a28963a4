// Who gets the next call of a pool: never a place that is empty, and what each strategy says of the others.

import fc from "fast-check";
import { expect, test } from "vitest";
import { hashPlace, inTurn, leastBusy } from "../../../runtime/pool/strategy.ts";

const PLACES = fc.array(fc.record({ isLive: fc.boolean(), busy: fc.nat({ max: 5 }) }), { minLength: 1, maxLength: 8 });

test("in turn: the first live place from the turn on; the least busy: nobody live has less, ties by turn", () => {
  fc.assert(
    fc.property(PLACES, fc.nat({ max: 7 }), (places, from) => {
      const turn = from % places.length;
      const order = places.map((_, step) => (turn + step) % places.length).filter((index) => places[index]?.isLive);
      expect(inTurn(places, turn)).toBe(order[0] ?? -1);
      const least = Math.min(...order.map((index) => places[index]?.busy ?? 0));
      expect(leastBusy(places, turn)).toBe(order.find((index) => places[index]?.busy === least) ?? -1);
    }),
  );
});

test("many keys are spread evenly", () => {
  for (const count of [1, 2, 3, 7, 16]) {
    const hits = new Array<number>(count).fill(0);
    for (let user = 0; user < 1_000 * count; user++) {
      const place = hashPlace(`user-${user}`, count);
      hits[place] = (hits[place] ?? 0) + 1;
    }
    expect(Math.min(...hits)).toBeGreaterThan(800);
    expect(Math.max(...hits)).toBeLessThan(1_200);
  }
});
