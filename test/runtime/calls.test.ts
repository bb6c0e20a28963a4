// Calls and casts: answers, errors, bounds, order. Every case runs beside the actor and from another node.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor, FlotillaError, type Handle } from "../../runtime/index.ts";
import { caught, codeOf, outcome } from "../support/caught.ts";
import { settle } from "../support/fake-clock.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

class CustomError extends Error {
  override readonly name = "CustomError";
  readonly code = "E_CUSTOM";
}

/** What may be thrown, by name. */
const THROWN: Readonly<Record<string, () => unknown>> = {
  error: () => new TypeError("no good"),
  ours: () => new FlotillaError("OutOfPaper", "the tray is empty", { retryable: true, data: { tray: 2 } }),
  custom: () => new CustomError("odd"),
  text: () => "just text",
  nothing: () => undefined,
  bare: () => Object.create(null),
  "odd message": () => Object.assign(new Error("x"), { message: { run: () => 1 }, name: 7 }),
  "odd data": () => new FlotillaError("Odd", "its data cannot be sent", { data: { run: () => 1 } }),
};

const ODD_RESULTS: Readonly<Record<string, () => unknown>> = {
  function: () => ({ ok: [1, () => 2] }),
  "throwing getter": () => ({
    get part() {
      throw new Error("not readable");
    },
  }),
  "throwing then": () => ({
    get ["th".concat("en")]() {
      throw new Error("no then");
    },
  }),
  "then that throws": () => ({
    ["th".concat("en")]() {
      throw new Error("not now");
    },
  }),
};

const Desk = defineActor(
  "desk",
  class {
    readonly #seen: unknown[] = [];
    readonly #gates: (() => void)[] = [];

    add(left: number, right: number): number {
      return left + right;
    }

    async later(value: string): Promise<string> {
      await settle();
      return value;
    }

    note(value: unknown): void {
      this.#seen.push(value);
    }

    seen(): unknown[] {
      return this.#seen;
    }

    async gate(): Promise<string> {
      await new Promise<void>((resolve) => void this.#gates.push(resolve));
      return "through";
    }

    open(): void {
      for (const gate of this.#gates.splice(0)) gate();
    }

    throws(what: string): never {
      throw THROWN[what]?.();
    }

    async rejects(): Promise<never> {
      await settle();
      throw new RangeError("too late");
    }

    odd(what: string): unknown {
      return ODD_RESULTS[what]?.();
    }

    async *count(to: number) {
      for (let index = 0; index < to; index++) yield index;
    }

    me(): unknown {
      return actorContext().self;
    }
  },
);

describe.each(PLACES)("calls, %s", (place) => {
  test("answer with the value of sync and async methods", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    expect(await desk.add(2, 3)).toBe(5);
    expect(await desk.later("soon")).toBe("soon");
    expect(await desk.note(1)).toBeUndefined();
  });

  test("arrive in the order one caller made them, casts among them", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    for (let index = 0; index < 1_000; index += 2) {
      desk.cast.note(index);
      void desk.note(index + 1);
    }
    expect(await desk.seen()).toEqual(Array.from({ length: 1_000 }, (_, index) => index));
  });

  test("1,000 at once are all answered, each with its own", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    const sums = await Promise.all(Array.from({ length: 1_000 }, (_, index) => desk.add(index, 1)));
    expect(sums).toEqual(Array.from({ length: 1_000 }, (_, index) => index + 1));
  });

  test("what a method throws arrives as ActorThrew with the cause; the actor lives on", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    const error = await caught(desk.throws("error"));
    expect(error).toMatchObject({ code: "ActorThrew", retryable: false, data: { name: "TypeError" } });
    expect(error.message).toContain("desk.throws threw TypeError: no good");
    expect(error.cause).toMatchObject({ name: "TypeError", message: "no good" });
    expect((error.cause as Error).stack).toContain("calls.test.ts");
    expect((await caught(desk.rejects())).data).toEqual({ name: "RangeError" });
    expect(await desk.add(1, 1)).toBe(2);
  });

  test("an error of ours keeps code, data and retryable; a foreign code is kept as data", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    expect(await caught(desk.throws("ours"))).toMatchObject({ code: "OutOfPaper", retryable: true, data: { tray: 2 } });
    expect((await caught(desk.throws("custom"))).data).toEqual({ name: "CustomError", code: "E_CUSTOM" });
  });

  test.each(["text", "nothing", "bare", "odd message"])(
    "whatever is thrown arrives as ActorThrew: %s",
    async (what) => {
      await using stage = await openStage(place);
      const desk = await stage.spawn(Desk);
      const error = await caught(desk.throws(what));
      expect(error.code).toBe("ActorThrew");
      const cause = error.cause as Error;
      expect([typeof cause.name, typeof cause.message, typeof cause.stack]).toEqual(["string", "string", "string"]);
      expect(await desk.add(1, 1)).toBe(2);
    },
  );

  test("an error whose data cannot be sent keeps its code", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    expect(await codeOf(desk.throws("odd data"))).toBe("Odd");
  });

  test("the caller's stack names the function that called", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    async function askingForTrouble(): Promise<void> {
      await desk.throws("error");
    }
    const error = await caught(askingForTrouble());
    expect(error.stack).toContain("askingForTrouble");
  });

  test("an unknown method is NoSuchMethod and lists what there is; inherited names are none", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    type Loose = Readonly<Record<string, (...args: unknown[]) => Promise<unknown>>>;
    const error = await caught((desk as unknown as Loose).ad?.(1) ?? Promise.resolve());
    expect(error.code).toBe("NoSuchMethod");
    expect(error.data.methods).toContain("add");
    for (const name of ["__proto__", "hasOwnProperty", "onStart", "onStop", "constructor"]) {
      const called = (desk as unknown as Loose)[name];
      if (typeof called === "function") expect(await codeOf(called.call(desk, "x"))).toBe("NoSuchMethod");
    }
    expect(await desk.add(1, 1)).toBe(2);
  });

  test("a handle reads as its address and sends nothing for it", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    expect(`${desk}`).toMatch(/^desk\/\d+@/);
    expect(JSON.stringify({ desk })).toContain(`desk/`);
    expect(await Promise.resolve(desk)).toBe(desk);
    expect(await desk.seen()).toEqual([]);
  });

  test.each(["function", "throwing getter", "throwing then", "then that throws"])(
    "a result that cannot be sent is an error, and nothing hangs: %s",
    async (what) => {
      await using stage = await openStage(place);
      const desk = await stage.spawn(Desk);
      const code = await codeOf(desk.odd(what));
      expect(["NotSendable", "ActorThrew"]).toContain(code);
      expect(await desk.add(1, 1)).toBe(2);
    },
  );

  test("an unsendable argument is refused with its path; nothing runs", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    const error = await caught(desk.note({ list: [1, { run: () => 1 }] }));
    expect(error).toMatchObject({ code: "NotSendable", data: { path: "args[0].list[1].run" } });
    expect(() => desk.cast.note(Symbol("no"))).toThrow(/args\[0\]/);
    expect(await desk.seen()).toEqual([]);
  });

  test("arguments and results are copies, taken when the call is made", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    const given = { list: [1], bytes: new Uint8Array([1, 2, 3]), when: new Date(5) };
    const noted = desk.note(given);
    given.list.push(2);
    given.bytes.fill(9);
    given.when.setTime(0);
    await noted;
    const [first] = (await desk.seen()) as (typeof given)[];
    expect(first).toEqual({ list: [1], bytes: new Uint8Array([1, 2, 3]), when: new Date(5) });
    first?.list.push(3);
    expect(await desk.seen()).toEqual([{ list: [1], bytes: new Uint8Array([1, 2, 3]), when: new Date(5) }]);
  });

  test("bytes that arrive own their memory", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    await desk.note(Buffer.from("abc"));
    const [bytes] = (await desk.seen()) as Uint8Array[];
    expect(bytes?.buffer.byteLength).toBe(3);
    expect(Buffer.isBuffer(bytes)).toBe(false);
  });

  test("handles travel and stay the same actor; the options of `with` do not travel", async () => {
    await using stage = await openStage(place);
    const [desk, other] = [await stage.spawn(Desk), await stage.spawn(Desk)];
    await other.note(desk.with({ signal: AbortSignal.abort() }));
    const [back] = (await other.seen()) as Handle<typeof Desk>[];
    expect(await back?.add(20, 3)).toBe(23);
    expect(`${await desk.me()}`).toBe(`${desk}`);
  });

  test("beyond mailboxMax a call fails at once with MailboxFull and a hint; casts become dead letters", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk, { mailboxMax: 3 });
    const gate = desk.gate();
    await settleFrames();
    const queued = [desk.add(1, 1), desk.add(2, 2), desk.add(3, 3)];
    const error = await caught(desk.add(4, 4));
    expect(error).toMatchObject({ code: "MailboxFull", retryable: true, data: { max: 3 } });
    expect(error.data.retryAfterMs).toBeGreaterThan(0);
    desk.cast.note("lost");
    await settleFrames();
    expect(stage.there.deadLetters.recent()).toMatchObject([{ method: "note", code: "MailboxFull" }]);
    await stage.here.kill(desk);
    expect(await Promise.all(queued.map(outcome))).toEqual(queued.map(() => ({ code: "ActorEnded" })));
    expect(await codeOf(gate)).toBe("ActorEnded");
  });

  test("an actor that is gone is NoSuchActor at once; casts to it become dead letters", async () => {
    await using stage = await openStage(place);
    const desk = await stage.spawn(Desk);
    await stage.here.stop(desk);
    expect(await codeOf(desk.add(1, 1))).toBe("NoSuchActor");
    expect(await codeOf(desk.count(1).next())).toBe("NoSuchActor");
    desk.cast.note("x");
    await settleFrames();
    expect(stage.there.stats()).toMatchObject({ actors: 0, deadLetters: 1 });
  });
});
