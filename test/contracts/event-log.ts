// The EventLog contract: what every form of runtime/event-log.ts does. Numbers are that file's invariants.

import fc from "fast-check";
import { expect } from "vitest";
import { type Appended, type EventLog, type LoggedEvent, READ_MAX } from "../../runtime/event-log.ts";
import { matchesSubject } from "../../runtime/subject.ts";
import { waitUntil } from "../support/wait-until.ts";
import { bytes, type Cases, ended, next, runContract, type Skips, text } from "./contract.ts";

/** How much the form under test keeps: the cases fill it. */
export const KEPT = { maxEvents: 200, maxAgeMs: 10 * 60_000 } as const;

export interface EventLogForm {
  /** Keeps KEPT; a brief one may keep events for less. */
  readonly log: EventLog;
  readonly maxAgeMs: number;
  /** How long it remembers ids: DEDUPE_WINDOW_MS, or maxAgeMs where that is less. */
  readonly dedupeWindowMs: number;
  /** Lets this much time pass for the log. */
  advance(ms: number): Promise<void>;
  close(): Promise<void>;
}

/** What a case that lets time pass asks of its form: to keep events for seconds only, if it really waits. */
export interface Keeping {
  readonly isBrief: true;
}

const CONTENDERS = 1_000;

function sequenceOf(appended: Appended): number {
  if (appended.kind !== "appended") throw new Error(`conflict with sequence ${appended.lastSequence}`);
  return appended.sequence;
}

const shown = (event: LoggedEvent): string => `${event.subject}=${text(event.data)}`;

async function appendAll(log: EventLog, count: number, subject = "s"): Promise<number[]> {
  const sequences: number[] = [];
  for (let at = 0; at < count; at++) sequences.push(sequenceOf(await log.append(subject, bytes(String(at)))));
  return sequences;
}

const appending: Cases<EventLogForm, Keeping> = {
  "what was appended is read in order, with rising sequences (EL1)": async (make) => {
    const { log } = await make();
    expect(await log.lastSequence()).toBe(0);
    const a = sequenceOf(await log.append("t.a", bytes("1")));
    const b = sequenceOf(await log.append("t.b", bytes("2")));
    expect(a).toBeGreaterThan(0);
    expect(b).toBeGreaterThan(a);
    expect(await log.lastSequence()).toBe(b);
    const read = await log.read(">", 1, 10);
    expect(read.map((event) => [event.sequence, shown(event)])).toEqual([
      [a, "t.a=1"],
      [b, "t.b=2"],
    ]);
    expect(read[0]?.atMs).toBeGreaterThan(0);
  },
  "an expected sequence is that of the same subject (EL2)": async (make) => {
    const { log } = await make();
    const a = sequenceOf(await log.append("a", bytes("1"), { expectedSequence: 0 }));
    const b = sequenceOf(await log.append("b", bytes("1"), { expectedSequence: 0 }));
    expect(await log.append("a", bytes("no"), { expectedSequence: 0 })).toEqual({ kind: "conflict", lastSequence: a });
    expect(await log.append("a", bytes("no"), { expectedSequence: b })).toEqual({ kind: "conflict", lastSequence: a });
    sequenceOf(await log.append("a", bytes("2"), { expectedSequence: a }));
    expect((await log.read(">", 1, 10)).map(shown)).toEqual(["a=1", "b=1", "a=2"]);
  },
  "of 1,000 concurrent appends that expect nothing there, one is recorded (EL2)": async (make) => {
    const { log } = await make();
    const outcomes = await Promise.all(
      Array.from({ length: CONTENDERS }, (_, at) => log.append("results.t1", bytes(`${at}`), { expectedSequence: 0 })),
    );
    const winners = outcomes.flatMap((outcome, at) => (outcome.kind === "appended" ? [at] : []));
    expect(winners).toHaveLength(1);
    expect((await log.read("results.t1", 1, 10)).map(shown)).toEqual([`results.t1=${winners[0]}`]);
  },
  "the same id is appended once, whatever else is expected (EL3)": async (make) => {
    const { log, advance, dedupeWindowMs } = await make({ isBrief: true });
    const first = await log.append("a", bytes("1"), { id: "x", expectedSequence: 0 });
    expect(first).toMatchObject({ kind: "appended", duplicate: false });
    const again = { kind: "appended", sequence: sequenceOf(first), duplicate: true };
    expect(await log.append("a", bytes("1"), { id: "x", expectedSequence: 0 })).toEqual(again);
    await advance(dedupeWindowMs / 2);
    expect(await log.append("a", bytes("1"), { id: "x" })).toEqual(again);
    expect(await log.append("a", bytes("2"), { id: "y" })).toMatchObject({ duplicate: false });
    expect(await log.read(">", 1, 10)).toHaveLength(2);
  },
  "of 100 concurrent appends with one id, one is recorded (EL3)": async (make) => {
    const { log } = await make();
    const outcomes = await Promise.all(Array.from({ length: 100 }, () => log.append("a", bytes("1"), { id: "x" })));
    expect(new Set(outcomes.map(sequenceOf)).size).toBe(1);
    expect(outcomes.filter((outcome) => outcome.kind === "appended" && !outcome.duplicate)).toHaveLength(1);
    expect(await log.read(">", 1, 10)).toHaveLength(1);
  },
  "a conflict leaves its id unused (EL2, EL3)": async (make) => {
    const { log } = await make();
    expect((await log.append("a", bytes("1"), { id: "x", expectedSequence: 7 })).kind).toBe("conflict");
    expect(await log.append("a", bytes("1"), { id: "x", expectedSequence: 0 })).toMatchObject({ duplicate: false });
  },
  "bytes are copied in and out (EL7)": async (make) => {
    const { log } = await make();
    const given = bytes("good");
    await log.append("a", given);
    given.fill(0);
    (await log.read("a", 1, 1))[0]?.data.fill(0);
    expect((await log.read("a", 1, 1)).map(shown)).toEqual(["a=good"]);
  },
  "wrong subjects, filters, ranges and sizes are refused": async (make) => {
    const { log } = await make();
    await expect(log.append("a.*", bytes("x"))).rejects.toMatchObject({ code: "InvalidSubject" });
    await expect(log.read("a..b", 1, 1)).rejects.toMatchObject({ code: "InvalidSubject" });
    await expect(log.append("a", new Uint8Array(log.eventMaxBytes + 1))).rejects.toMatchObject({
      code: "ValueTooLarge",
    });
    for (const from of [0, -1, 1.5, Number.NaN]) {
      await expect(log.read("a", from, 1)).rejects.toMatchObject({ code: "InvalidOption" });
    }
    for (const max of [0, READ_MAX + 1]) {
      await expect(log.read("a", 1, max)).rejects.toMatchObject({ code: "InvalidOption" });
    }
    expect(await log.lastSequence()).toBe(0);
  },
};

const reading: Cases<EventLogForm, Keeping> = {
  "read pages through what a filter takes": async (make) => {
    const { log } = await make();
    for (let at = 0; at < 30; at++) await log.append(at % 3 === 0 ? "job.a" : "job.b.c", bytes(String(at)));
    const seen: string[] = [];
    for (let from = 1; ; ) {
      const page = await log.read("job.*", from, 4);
      seen.push(...page.map(shown));
      if (page.length < 4) break;
      from = (page.at(-1)?.sequence ?? 0) + 1;
    }
    expect(seen).toEqual(["0", "3", "6", "9", "12", "15", "18", "21", "24", "27"].map((at) => `job.a=${at}`));
  },
  "follow gives what is there and then what comes (EL6)": async (make) => {
    const { log } = await make();
    await log.append("a.1", bytes("old"));
    await log.append("b", bytes("other"));
    const follow = log.follow("a.>", 1)[Symbol.asyncIterator]();
    expect(shown(await next(follow))).toBe("a.1=old");
    const coming = next(follow);
    await log.append("b", bytes("other"));
    await log.append("a.2", bytes("new"));
    expect(shown(await coming)).toBe("a.2=new");
    await follow.return?.();
  },
  "following from one after the last sees only what is new": async (make) => {
    const { log } = await make();
    await appendAll(log, 5);
    const follow = log.follow(">", (await log.lastSequence()) + 1)[Symbol.asyncIterator]();
    const coming = next(follow);
    await log.append("s", bytes("new"));
    expect(shown(await coming)).toBe("s=new");
    await follow.return?.();
  },
  "two followers each see every event in order (EL1)": async (make) => {
    const { log } = await make();
    const followers = [log.follow(">", 1), log.follow(">", 1)].map(async (events) => {
      const seen: number[] = [];
      for await (const event of events) {
        seen.push(event.sequence);
        if (seen.length === 100) break;
      }
      return seen;
    });
    const sequences = await appendAll(log, 100);
    expect(await Promise.all(followers)).toEqual([sequences, sequences]);
  },
  "follow ends when its signal aborts, before or while it waits (EL6)": async (make) => {
    const { log } = await make();
    await log.append("a", bytes("1"));
    await ended(log.follow(">", 1, AbortSignal.abort())[Symbol.asyncIterator]());
    const leaving = new AbortController();
    const follow = log.follow(">", 1, leaving.signal)[Symbol.asyncIterator]();
    await next(follow);
    const end = ended(follow);
    leaving.abort();
    await end;
  },
  "close ends followers, may come twice, and later uses reject with Closed (EL7)": async (make) => {
    const { log } = await make();
    const end = ended(log.follow(">", 1)[Symbol.asyncIterator]());
    await log.close();
    await log.close();
    await end;
    const closed = { code: "Closed" };
    await expect(log.append("a", bytes("x"))).rejects.toMatchObject(closed);
    await expect(log.read(">", 1, 1)).rejects.toMatchObject(closed);
    await expect(log.lastSequence()).rejects.toMatchObject(closed);
    await expect(next(log.follow(">", 1)[Symbol.asyncIterator]())).rejects.toMatchObject(closed);
  },
  "two logs share nothing": async (make) => {
    const [one, two] = [await make(), await make()];
    await one.log.append("a", bytes("x"), { id: "x" });
    expect(await two.log.read(">", 1, 10)).toEqual([]);
    expect(await two.log.append("a", bytes("y"), { id: "x", expectedSequence: 0 })).toMatchObject({ duplicate: false });
  },
};

const keeping: Cases<EventLogForm, Keeping> = {
  "the oldest events go first and no append is refused (EL4)": async (make) => {
    const { log } = await make();
    const sequences = await appendAll(log, KEPT.maxEvents + 50);
    const read = await log.read(">", 1, READ_MAX);
    expect(read.map((event) => event.sequence)).toEqual(sequences.slice(-KEPT.maxEvents));
    expect(await log.lastSequence()).toBe(sequences.at(-1));
  },
  "a subject whose events were all dropped counts as new (EL2, EL4)": async (make) => {
    const { log } = await make();
    await log.append("rare", bytes("1"), { expectedSequence: 0 });
    await appendAll(log, KEPT.maxEvents);
    expect((await log.append("rare", bytes("2"), { expectedSequence: 0 })).kind).toBe("appended");
  },
  "events older than the age kept are gone, sequences go on (EL4)": async (make) => {
    const { log, advance, maxAgeMs } = await make({ isBrief: true });
    const [old = 0] = await appendAll(log, 1);
    expect(await log.read(">", 1, 10)).toHaveLength(1);
    await advance(maxAgeMs);
    await waitUntil("the event goes", async () => (await log.read(">", 1, 10)).length === 0);
    expect(await log.lastSequence()).toBe(old);
    expect(sequenceOf(await log.append("s", bytes("new"), { expectedSequence: 0 }))).toBeGreaterThan(old);
  },
  "a follower whose unread events were dropped ends with ReaderLagged (EL5)": async (make) => {
    const { log } = await make();
    await appendAll(log, 2);
    const follow = log.follow(">", 1)[Symbol.asyncIterator]();
    await next(follow);
    await appendAll(log, KEPT.maxEvents * 2);
    const readOn = async () => {
      for (;;) await next(follow);
    };
    await expect(readOn()).rejects.toMatchObject({ code: "ReaderLagged", retryable: true });
  },
};

const subject = fc.constantFrom("a", "b", "b.c", "b.d");
const step = fc.record({
  subject,
  data: fc.string({ maxLength: 3 }),
  expects: fc.constantFrom("nothing", "last", "stale"),
  id: fc.option(fc.constantFrom("i", "j", "k"), { nil: undefined }),
});

type Step = typeof step extends fc.Arbitrary<infer T> ? T : never;

/** Does one step on the log, and in the model what the contract says it must have done. */
async function stepBoth(log: EventLog, model: LoggedEvent[], ids: Map<string, number>, step: Step): Promise<void> {
  const last = model.findLast((event) => event.subject === step.subject)?.sequence ?? 0;
  const expected = step.expects === "nothing" ? undefined : step.expects === "last" ? last : last + 1;
  const { id } = step;
  const appended = await log.append(step.subject, bytes(step.data), {
    ...(expected === undefined ? {} : { expectedSequence: expected }),
    ...(id === undefined ? {} : { id }),
  });
  const known = id === undefined ? undefined : ids.get(id);
  if (known !== undefined) return expect(appended).toEqual({ kind: "appended", sequence: known, duplicate: true });
  if (step.expects === "stale") return expect(appended).toEqual({ kind: "conflict", lastSequence: last });
  const sequence = sequenceOf(appended);
  if (id !== undefined) ids.set(id, sequence);
  model.push({ sequence, subject: step.subject, atMs: 0, data: bytes(step.data) });
}

const modelled = (runs: number): Cases<EventLogForm, Keeping> => ({
  "any sequence of appends reads like a plain list (EL1, EL2, EL3)": async (make) => {
    const filter = fc.constantFrom(">", "a", "b", "b.*", "b.>", "*");
    await fc.assert(
      fc.asyncProperty(fc.array(step, { maxLength: 40 }), filter, async (steps, taken) => {
        const { log, close } = await make();
        const model: LoggedEvent[] = [];
        const ids = new Map<string, number>();
        for (const each of steps) await stepBoth(log, model, ids, each);
        const wanted = model.filter((event) => matchesSubject(taken, event.subject));
        const read = await log.read(taken, 1, READ_MAX);
        expect(read.map((event) => [event.sequence, shown(event)])).toEqual(
          wanted.map((event) => [event.sequence, shown(event)]),
        );
        await close();
      }),
      { numRuns: runs },
    );
  },
});

export interface EventLogContractOptions {
  readonly skips?: Skips;
  /** Sequences tried by the property; forms behind a network try fewer. */
  readonly runs?: number;
  readonly isConcurrent?: boolean;
}

export function eventLogContract(
  name: string,
  make: (keeping?: Keeping) => Promise<EventLogForm>,
  { skips = {}, runs = 300, isConcurrent = false }: EventLogContractOptions = {},
): void {
  runContract(
    `EventLog: ${name}`,
    { ...appending, ...reading, ...keeping, ...modelled(runs) },
    make,
    skips,
    isConcurrent,
  );
}
