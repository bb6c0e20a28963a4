// The stash: messages an actor puts aside, unanswered, until it can deal with them.

import { describe, expect, test } from "vitest";
import { actorContext, defineActor } from "../../runtime/index.ts";
import { caught, codeOf } from "../support/caught.ts";
import { openStage, PLACES, settleFrames } from "../support/places.ts";

/** Lets the slow customer go; both places are in this process. */
const door = { release: () => {} };

const Shop = defineActor(
  "shop",
  class {
    #isOpen = false;
    readonly #log: string[] = [];
    #code = "";

    buy(what: string): string {
      if (!this.#isOpen) return this.#later();
      this.#log.push(what);
      return `sold ${what}`;
    }

    async slowly(what: string): Promise<string> {
      if (!this.#isOpen) {
        actorContext().stash();
        await new Promise<void>((resolve) => {
          door.release = resolve;
        });
      } else this.#log.push(what);
      return `sold ${what}`;
    }

    async *browse(): AsyncGenerator<string> {
      if (!this.#isOpen) yield this.#later();
      yield "a";
      yield "b";
    }

    refuse(): never {
      actorContext().stash();
      throw new RangeError("not that");
    }

    async *tooLate(): AsyncGenerator<string> {
      yield "first";
      actorContext().stash();
    }

    openUp(): void {
      this.#isOpen = true;
      actorContext().unstashAll();
    }

    crash(): void {
      actorContext().fail(new Error("burgled"));
    }

    arm(): void {
      actorContext().timers.after(10, () => {
        try {
          actorContext().stash();
        } catch (error) {
          this.#code = (error as { code: string }).code;
        }
      });
    }

    code(): string {
      return this.#code;
    }

    log(): string[] {
      return this.#log;
    }

    #later(): string {
      actorContext().stash();
      return "dropped";
    }
  },
);

const RESTART = { maxRestarts: 5, withinMs: 60_000, backoff: { firstMs: 1, factor: 1, maxMs: 1 } };

describe.each(PLACES)("the stash, %s", (place) => {
  test("calls, casts and streams wait in their order and come before what came later", async () => {
    await using stage = await openStage(place);
    const shop = await stage.spawn(Shop);
    const first = shop.buy("tea");
    shop.cast.buy("milk");
    const chunks = Array.fromAsync(shop.browse());
    const last = shop.buy("salt");
    await settleFrames();
    // All in one batch, so that bread waits in the mailbox when the shop opens.
    const opened = shop.openUp();
    const bread = shop.buy("bread");
    expect(await Promise.all([first, last, bread, opened])).toEqual(["sold tea", "sold salt", "sold bread", undefined]);
    expect(await chunks).toEqual(["a", "b"]);
    expect(await shop.log()).toEqual(["tea", "milk", "salt", "bread"]);
  });

  test("a caller who gives up holds no place, and its message never runs", async () => {
    await using stage = await openStage(place);
    const shop = await stage.spawn(Shop, { mailboxMax: 2 });
    const controller = new AbortController();
    const late = codeOf(shop.with({ timeoutMs: 100 }).buy("tea"));
    const left = codeOf(shop.with({ signal: controller.signal }).buy("milk"));
    await settleFrames();
    expect((await caught(shop.buy("salt"))).data.max).toBe(2);
    controller.abort();
    await stage.clock.advance(200);
    expect([await late, await left]).toEqual(["DeadlineExceeded", "Cancelled"]);
    const bread = shop.buy("bread");
    await settleFrames();
    await shop.openUp();
    expect(await bread).toBe("sold bread");
    expect(await shop.log()).toEqual(["bread"]);
  });

  test("with no room left it is refused as at the door, and the actor lives on; a cast becomes a dead letter", async () => {
    await using stage = await openStage(place);
    const shop = await stage.spawn(Shop, { mailboxMax: 1 });
    const called = caught(shop.slowly("tea"));
    await settleFrames();
    const waiting = shop.log();
    await settleFrames();
    door.release();
    expect((await called).code).toBe("MailboxFull");
    expect(await waiting).toEqual([]);
    shop.cast.slowly("tea");
    await settleFrames();
    const next = shop.log();
    await settleFrames();
    door.release();
    expect(await next).toEqual([]);
    expect(stage.there.deadLetters.recent()).toMatchObject([{ method: "slowly", code: "MailboxFull" }]);
  });

  test("one whose method ends after unstashAll comes back at once", async () => {
    await using stage = await openStage(place);
    const shop = await stage.spawn(Shop, { concurrency: 2 });
    const slow = shop.slowly("tea");
    await settleFrames();
    await shop.openUp();
    door.release();
    expect(await slow).toBe("sold tea");
    expect(await shop.log()).toEqual(["tea"]);
  });

  test("a restart gives them to the next life; a stop refuses them", async () => {
    await using stage = await openStage(place);
    const shop = await stage.spawn(Shop, { restart: RESTART });
    const tea = shop.buy("tea");
    const milk = shop.buy("milk");
    await settleFrames();
    shop.cast.crash();
    await stage.clock.advance(10);
    // The new life is closed as well: both have been put aside again.
    await shop.log();
    await shop.openUp();
    expect([await tea, await milk]).toEqual(["sold tea", "sold milk"]);
    expect(await shop.log()).toEqual(["tea", "milk"]);
    const other = await stage.spawn(Shop);
    const waits = codeOf(other.buy("tea"));
    await settleFrames();
    await stage.here.stop(other);
    expect(await waits).toBe("ActorEnded");
  });

  test("what the method throws after it is answered", async () => {
    await using stage = await openStage(place);
    const shop = await stage.spawn(Shop);
    expect((await caught(shop.refuse())).message).toContain("not that");
    await shop.openUp();
    expect(await shop.log()).toEqual([]);
  });

  test("refused for a stream that has begun, and outside a message", async () => {
    await using stage = await openStage(place);
    const shop = await stage.spawn(Shop);
    expect(await codeOf(Array.fromAsync(shop.tooLate()))).toBe("InvalidOption");
    await shop.arm();
    await stage.clock.advance(20);
    expect(await shop.code()).toBe("InvalidOption");
  });
});
