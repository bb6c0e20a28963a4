// What random programs are made of: an actor that does what a plan says, and writes into the ledger what really happened.
// Which plans there are in a program, its seed says (random-program.ts).

import { actorContext, defineActor, FlotillaError, type Handle, sleep } from "../../runtime/index.ts";
import type { Ledger } from "./ledger.ts";

export type Plan =
  | { readonly kind: "answer" | "throw" | "fail" | "child" | "stop self" }
  | { readonly kind: "wait"; readonly ms: number }
  | { readonly kind: "timer"; readonly ms: number; readonly throws: boolean }
  | { readonly kind: "ask"; readonly to: Part; readonly id: number; readonly plan: Plan }
  | { readonly kind: "read"; readonly to: Part; readonly id: number; readonly count: number };

/** What programs are made of; declared by hand because plans hold handles of the actor that takes plans. */
interface PartActor {
  run(id: number, order: number, plan: Plan): Promise<number>;
  echo(id: number, order: number): number;
  items(id: number, count: number, gapMs: number): AsyncGenerator<number>;
}
export type Part = Handle<ReturnType<typeof partType>>;

export function partType(ledger: Ledger, ordered: boolean) {
  type Loose = PartActor & object;
  const start = (id: number, order: number) => {
    const { self } = actorContext();
    ledger.started(id, `${self}`);
    if (ordered && order >= 0) ledger.inOrder(`${self}`, order);
  };
  return defineActor(
    "part",
    class implements Loose {
      readonly #max: number;
      #inHand = 0;

      constructor(concurrency: number) {
        this.#max = concurrency;
      }

      async run(id: number, order: number, plan: Plan): Promise<number> {
        start(id, order);
        if (++this.#inHand > this.#max) ledger.violation(`${this.#inHand} in hand of ${this.#max}`);
        try {
          await perform(plan);
          return id;
        } finally {
          this.#inHand--;
        }
      }

      echo(id: number, order: number): number {
        start(id, order);
        return id;
      }

      async *items(id: number, count: number, gapMs: number): AsyncGenerator<number> {
        start(id, -1);
        const { clock, signal } = actorContext();
        for (let index = 0; index < count; index++) {
          if (gapMs > 0) await sleep(clock, gapMs, signal);
          yield index;
        }
      }
    },
  );
}

const Leaf = defineActor("leaf", class {});

async function perform(plan: Plan): Promise<void> {
  const { clock, signal, timers, system, self, fail } = actorContext();
  switch (plan.kind) {
    case "answer":
      return;
    case "throw":
      throw new FlotillaError("ActorThrew", "on purpose");
    case "fail":
      return fail(new Error("on purpose"));
    case "child":
      await actorContext().spawn(Leaf);
      return;
    case "stop self":
      return system.stop(self, { timeoutMs: 100 });
    case "wait":
      return sleep(clock, plan.ms, signal);
    case "timer":
      timers.after(plan.ms, () => {
        if (plan.throws) throw new Error("on purpose");
      });
      return;
    case "ask": {
      const answer = await plan.to.run(plan.id, -1, plan.plan as never);
      if (answer !== plan.id) throw new Error(`call ${plan.id} was answered ${answer}`);
      return;
    }
    case "read":
      for await (const _item of plan.to.items(plan.id, plan.count, 0));
  }
}
