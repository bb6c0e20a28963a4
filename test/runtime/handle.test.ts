// The types of handles and spawns: tsc checks them, and what must not compile says so. What a handle is at run time is the last test.

import { expect, expectTypeOf, test } from "vitest";
import {
  type ActorSystem,
  connect,
  defineActor,
  type Handle,
  type HandleOf,
  type Stream,
} from "../../runtime/index.ts";

const Counter = defineActor(
  "counter",
  class {
    #count: number;
    readonly label = "a field is no method";
    constructor(start: number, step = 1) {
      this.#count = start * step;
    }
    add(by: number, twice?: boolean): number {
      this.#count += twice ? 2 * by : by;
      return this.#count;
    }
    async later(text: string): Promise<{ text: string }> {
      return { text };
    }
    async *ticks(to: number): AsyncGenerator<number> {
      for (let index = 0; index < to; index++) yield index;
    }
    *words(): Generator<string> {
      yield "a";
    }
    isOdd(): boolean {
      return this.#count % 2 === 1;
    }
    refuse(): never {
      throw new Error("no");
    }
    onStop(): void {}
  },
);
const Plain = defineActor("plain", class {});
const Optional = defineActor(
  "optional",
  class {
    readonly #name: string;
    constructor(name = "x") {
      this.#name = name;
    }
    name(): string {
      return this.#name;
    }
  },
);

declare const counter: Handle<typeof Counter>;
declare const system: ActorSystem;

const methods = () => {
  expectTypeOf(counter.add).toEqualTypeOf<(by: number, twice?: boolean) => Promise<number>>();
  expectTypeOf(counter.later).returns.toEqualTypeOf<Promise<{ text: string }>>();
  expectTypeOf(counter.ticks).toEqualTypeOf<(to: number) => Stream<number>>();
  expectTypeOf(counter.words).returns.toEqualTypeOf<Stream<string>>();
  expectTypeOf(counter.isOdd).returns.toEqualTypeOf<Promise<boolean>>();
  expectTypeOf(counter.refuse).returns.toEqualTypeOf<Promise<never>>();
  expectTypeOf(counter.cast.add).returns.toEqualTypeOf<void>();
  expectTypeOf(counter.with({ timeoutMs: 5 })).toEqualTypeOf<typeof counter>();
  expectTypeOf<Handle<typeof Counter>>().toEqualTypeOf<HandleOf<InstanceType<(typeof Counter)["actorClass"]>>>();
};

const wrong = () => {
  // @ts-expect-error an argument of the wrong type
  counter.add("2");
  // @ts-expect-error too few arguments
  counter.add();
  // @ts-expect-error too many arguments
  counter.add(1, true, 3);
  // @ts-expect-error no such method
  counter.subtract(1);
  // @ts-expect-error a field is no method
  void counter.label;
  // @ts-expect-error hooks are not called from outside
  counter.onStop();
  // @ts-expect-error a cast takes what the method takes
  counter.cast.add("2");
  // @ts-expect-error no such option
  counter.with({ timeout: 5 });
  // @ts-expect-error the answer is a number
  const text: Promise<string> = counter.add(1);
  return text;
};

const spawns = async () => {
  await system.spawn(Plain);
  await system.spawn(Optional);
  await system.spawn(Optional, { args: ["y"] });
  const given = await system.spawn(Counter, { args: [1, 2], concurrency: 2 });
  expectTypeOf(given).toEqualTypeOf<typeof counter>();
  expectTypeOf(await system.get("x", Counter)).toEqualTypeOf<typeof counter>();
  // @ts-expect-error the constructor needs an argument
  await system.spawn(Counter);
  // @ts-expect-error the constructor needs an argument
  await system.spawn(Counter, { name: "x" });
  // @ts-expect-error of the wrong type
  await system.spawn(Counter, { args: ["1"] });
  // @ts-expect-error one too many
  await system.spawn(Optional, { args: ["y", 2] });
  // @ts-expect-error no such option
  await system.spawn(Plain, { nmae: "x" });
};

test.each([methods, wrong, spawns])("tsc has the last word on %o", (check) => {
  expect(check).toBeTypeOf("function");
});

test("handles of one type share their methods; `await using` ends their actor", async () => {
  await using here = await connect();
  {
    await using held = await here.spawn(Counter, { args: [1] });
    const other = await here.spawn(Counter, { args: [1] });
    expect(held.add).toBe(other.add);
    expect(Reflect.ownKeys(held)).toHaveLength(2);
  }
  expect(here.stats().actors).toBe(1);
});
