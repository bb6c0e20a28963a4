// The types of pools: tsc checks them, and what must not compile says so.

import { expect, expectTypeOf, test } from "vitest";
import { type ActorSystem, defineActor, type HandleOf, type Pool, type Stream } from "../../../runtime/index.ts";

const Judge = defineActor(
  "judge",
  class Judge {
    readonly #bias: number;
    constructor(bias: number) {
      this.#bias = bias;
    }
    score(text: string): number {
      return text.length + this.#bias;
    }
    async review(text: string, strict = false): Promise<{ ok: boolean }> {
      return { ok: !strict && text !== "" };
    }
    pair(left: string, right: string): string {
      return left + right;
    }
    maybe(text?: string): boolean {
      return text !== undefined;
    }
    idle(): void {}
    async *tokens(text: string): AsyncGenerator<string> {
      yield text;
    }
  },
);
const Plain = defineActor("plain", class Plain {});
type JudgeInstance = InstanceType<(typeof Judge)["actorClass"]>;

declare const system: ActorSystem;
declare const pool: Pool<JudgeInstance>;

const right = async () => {
  expectTypeOf(await system.pool(Judge, { size: 2, args: [1], strategy: "hash" })).toEqualTypeOf<typeof pool>();
  await system.pool(Plain, { size: 1, restart: { maxRestarts: 1, withinMs: 5 } });
  expectTypeOf(pool.handle.score).toEqualTypeOf<(text: string) => Promise<number>>();
  expectTypeOf(pool.handle.tokens).toEqualTypeOf<(text: string) => Stream<string>>();
  expectTypeOf(pool.handle.with({ hashKey: "u" })).toEqualTypeOf<typeof pool.handle>();
  expectTypeOf(pool.handle.cast.idle).toEqualTypeOf<() => void>();
  expectTypeOf(pool.members).toEqualTypeOf<readonly HandleOf<JudgeInstance>[]>();
  expectTypeOf(await pool.map("score", ["a"])).toEqualTypeOf<number[]>();
  expectTypeOf(await pool.map("review", new Set(["a"]))).toEqualTypeOf<{ ok: boolean }[]>();
  expectTypeOf(await pool.map("maybe", ["a", undefined])).toEqualTypeOf<boolean[]>();
  expectTypeOf(await pool.map("score", ["a"], { settle: true })).toEqualTypeOf<PromiseSettledResult<number>[]>();
  for await (const mapped of pool.mapUnordered("score", ["a"]))
    expectTypeOf(mapped).toEqualTypeOf<{ readonly index: number; readonly value: number }>();
};

const wrong = () => {
  // @ts-expect-error the constructor needs an argument
  void system.pool(Judge, { size: 2 });
  // @ts-expect-error of the wrong type
  void system.pool(Judge, { size: 2, args: ["1"] });
  // @ts-expect-error how many?
  void system.pool(Plain, {});
  // @ts-expect-error no such strategy
  void system.pool(Plain, { size: 1, strategy: "random" });
  // @ts-expect-error members share no name
  void system.pool(Plain, { size: 1, name: "x" });
  // @ts-expect-error items of the wrong type
  void pool.map("score", [1]);
  // @ts-expect-error it takes two arguments
  void pool.map("pair", ["a"]);
  // @ts-expect-error it takes none
  void pool.map("idle", ["a"]);
  // @ts-expect-error it streams
  void pool.map("tokens", ["a"]);
  // @ts-expect-error no such method
  void pool.map("judge", ["a"]);
  // @ts-expect-error no such option
  void pool.map("score", ["a"], { timeout: 5 });
  // @ts-expect-error a single actor knows no hashKey
  pool.members[0]?.with({ hashKey: "u" });
};

test.each([right, wrong])("tsc has the last word on %o", (check) => {
  expect(check).toBeTypeOf("function");
});
