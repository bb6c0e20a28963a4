// An actor type that no node knows: example 12 ships it. A module to ship exports its types and does nothing else.

import { actorContext, defineActor } from "../runtime/index.ts";

export const Dice = defineActor(
  "dice",
  class {
    readonly #sides: number;

    constructor(sides: number) {
      this.#sides = sides;
    }

    isFair(rolls: number): boolean {
      const { random } = actorContext();
      const sum = Array.from({ length: rolls }, () => 1 + random.below(this.#sides)).reduce((a, b) => a + b, 0);
      return Math.abs(sum / rolls - (this.#sides + 1) / 2) < this.#sides / 10;
    }

    node(): string {
      return actorContext().address.node.replace(/-[^-]*$/, "");
    }
  },
);
