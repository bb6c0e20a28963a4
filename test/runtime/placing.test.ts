// What becomes of a request when nodes refuse it or nothing fits: who is asked next, what waits and for how long, and what is said.

import { describe, expect, test } from "vitest";
import { FlotillaError, runtimeError } from "../../runtime/errors.ts";
import {
  type Decision,
  type PlacementRequest,
  type Placer,
  type Rejection,
  unplaceable,
} from "../../runtime/placer.ts";
import { Placing, type WaitingRequest } from "../../runtime/placing.ts";
import { caught } from "../support/caught.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";

/** Places on the first of `nodes` that has not refused; says the same of all when there is none. */
class ListPlacer implements Placer {
  nodes: string[];
  against: Rejection[] = [];
  readonly ends: string[] = [];

  constructor(...nodes: string[]) {
    this.nodes = nodes;
  }

  place({ refused = [] }: PlacementRequest): Decision {
    const node = this.nodes.find((each) => !refused.some((rejection) => rejection.node === each));
    if (node !== undefined) return { kind: "placed", node, score: 1, reasons: [] };
    return { kind: "unplaceable", rejected: [...refused, ...this.against] };
  }

  ended(_: PlacementRequest, node: string): void {
    this.ends.push(node);
  }
}

const taken = (node: string, passes: boolean) =>
  runtimeError("ResourcesTaken", `${node} has no gpus left`, { data: { node, passes } });

function open(placer: ListPlacer) {
  const clock = new FakeClock();
  const told: (WaitingRequest | undefined)[] = [];
  const placing = new Placing({ placer, clock, waitMs: 30_000, onWaiting: (_, waiting) => told.push(waiting) });
  const asked: string[] = [];
  /** Makes it on the first node that `refuse` says nothing about. */
  const spawn = (
    refuse: (node: string) => unknown,
    request: Partial<PlacementRequest> = {},
    timeoutMs?: number,
  ): Promise<string> => {
    const wanted = { type: "t", ...request };
    return placing.run(wanted, timeoutMs, placer.place(wanted), ({ node }) => {
      asked.push(node);
      const error = refuse(node);
      if (error !== undefined) throw error;
      return node;
    });
  };
  return { clock, placing, spawn, asked, told };
}

describe("a node that refuses", () => {
  test("is passed over for the next one", async () => {
    const { spawn, asked, told } = open(new ListPlacer("a", "b", "c"));
    expect(await spawn((node) => (node === "c" ? undefined : taken(node, true)))).toBe("c");
    expect(asked).toEqual(["a", "b", "c"]);
    expect(told).toEqual([]);
  });

  test("because it was not reached is passed over too; where nobody else will do that is what is told, at once", async () => {
    const gone = (node: string) => runtimeError("Unavailable", `${node} is not there; it was not delivered`);
    const { spawn, asked } = open(new ListPlacer("a", "b"));
    expect(await spawn((node) => (node === "b" ? undefined : gone(node)))).toBe("b");
    expect(await caught(spawn(gone))).toMatchObject({ code: "Unavailable" });
    expect(asked).toEqual(["a", "b", "a", "b"]);
  });

  test("and was named is asked no second time in vain", async () => {
    const { spawn, asked } = open(new ListPlacer("a", "b"));
    const error = await caught(spawn((node) => taken(node, false), { node: "a" }));
    expect(error).toMatchObject({ code: "Unplaceable", message: "no node for t: a: a has no gpus left" });
    expect(asked).toEqual(["a"]);
  });

  test("with any other error ends it: the actor may have been made", async () => {
    const { spawn, asked } = open(new ListPlacer("a", "b"));
    expect(await caught(spawn(() => runtimeError("Unknown", "who knows")))).toMatchObject({ code: "Unknown" });
    expect(asked).toEqual(["a"]);
  });

  test("or fails otherwise has no sibling, and the placer hears so once for each", async () => {
    const placer = new ListPlacer("a", "b");
    const { spawn } = open(placer);
    await spawn((node) => (node === "b" ? undefined : taken(node, true)));
    expect(placer.ends).toEqual(["a"]);
    await caught(spawn(() => runtimeError("ActorStartFailed", "it threw")));
    expect(placer.ends).toEqual(["a", "a"]);
  });
});

describe("nothing fits", () => {
  test("and never will: Unplaceable at once, with each node's reason", async () => {
    const placer = new ListPlacer();
    placer.against = [{ node: "a", reason: "it has 2 gpus in all" }];
    const { spawn, told } = open(placer);
    const error = await caught(spawn(() => undefined));
    expect(error).toMatchObject({ code: "Unplaceable", data: { rejected: placer.against } });
    expect(told).toEqual([]);
  });

  test("and that may pass: it waits, says why, and goes on when the fleet changes", async () => {
    const placer = new ListPlacer();
    placer.against = [{ node: "a", reason: "its gpus are taken", passes: true }];
    const { clock, placing, spawn, told } = open(placer);
    const spawning = spawn(() => undefined);
    await settle();
    expect(told.map((waiting) => waiting && unplaceable(waiting.decision))).toEqual(["a: its gpus are taken"]);
    placer.nodes = ["a"];
    placing.changed();
    placing.changed();
    await clock.advance(20);
    expect(await spawning).toBe("a");
    expect(told.at(-1)).toBeUndefined();
  });

  test("it looks again by itself: a change may not be seen", async () => {
    const placer = new ListPlacer("a");
    const { clock, spawn, asked } = open(placer);
    let isTaken = true;
    const spawning = spawn((node) => (isTaken ? taken(node, true) : undefined));
    await settle();
    isTaken = false;
    await clock.advance(1_000);
    expect(await spawning).toBe("a");
    expect(asked).toEqual(["a", "a"]);
  });

  test.each([
    { wait: "the usual time", request: {}, timeoutMs: undefined, untilMs: 30_000 },
    { wait: "longer for a model", request: { placement: { model: "m" } }, timeoutMs: undefined, untilMs: 600_000 },
    { wait: "as long as it says", request: {}, timeoutMs: 5_000, untilMs: 5_000 },
  ])("it waits $wait, and says for how long it did", async ({ request, timeoutMs, untilMs }) => {
    const placer = new ListPlacer();
    placer.against = [{ node: "a", reason: "full", passes: true }];
    const { clock, spawn, told } = open(placer);
    const failing = caught(spawn(() => undefined, request, timeoutMs));
    await clock.advance(untilMs - 1);
    expect(told.at(-1)).toBeDefined();
    await clock.advance(1);
    expect(told.at(-1)).toBeUndefined();
    expect(await failing).toMatchObject({
      code: "Unplaceable",
      message: `no node for t within ${untilMs / 1_000} s: a: full`,
    });
  });

  test("with a time of its own it waits also for what only another node can mend", async () => {
    const placer = new ListPlacer();
    placer.against = [{ node: "a", reason: "it has no gpus" }];
    const { clock, placing, spawn } = open(placer);
    const spawning = spawn(() => undefined, {}, 5_000);
    await settle();
    placer.nodes = ["b"];
    placing.changed();
    await clock.advance(20);
    expect(await spawning).toBe("b");
  });

  test("closing ends the wait", async () => {
    const placer = new ListPlacer();
    placer.against = [{ node: "a", reason: "full", passes: true }];
    const { placing, spawn } = open(placer);
    const failing = caught(spawn(() => undefined));
    await settle();
    placing.close();
    expect(await failing).toMatchObject({ code: "Closed" });
    expect(await caught(spawn(() => undefined))).toBeInstanceOf(FlotillaError);
  });
});
