// The deliberations that run or have ended within the hour, by the id of their task.
// It is not who takes part in them (councils.ts) nor what happens in one (deliberation.ts).
//
//     begin ──▶ record in the store ─▶ answered ─▶ sitting ─▶ result in the record ─▶ told ─▶ an hour later: forgotten
//     answer ────────────────────────────────────▶ sitting ─────────────────────────▶ told ─▶ an hour later: forgotten
//
// DS1  The same task id is the same deliberation, for as long as it is known. One that was cancelled is not: its id is free.
// DS2  What `begin` has answered outlives this process: its next life finds the record and begins what has no end again, under the same id;
//      of two lives only the one whose write the store took. Time goes on meanwhile: its deadline is that of the first beginning.
// DS3  A result that is recorded is told after that, so that nobody has seen another one before.
// DS4  What `answer` runs is there for its callers: when the last of them gives up it ends, and its models with it. It is not recorded:
//      who has had no answer asks again.
// DS5  Bounded: what runs, who waits, what has ended; beyond that the newest is refused or the oldest forgotten.

import {
  type ActorSystem,
  isFlotillaError,
  type LogLevel,
  type Random,
  sleep,
  type Timer,
} from "../../runtime/index.ts";
import type { Model } from "../agent/model.ts";
import { roleNamed } from "../council/roles.ts";
import { fail } from "../errors.ts";
import type { CouncilSeat } from "./council-record.ts";
import { Sitting } from "./deliberation.ts";
import type { DeliberationMetrics } from "./deliberation-metrics.ts";
import { type DeliberationOrder, DeliberationRecords, type KeptRecord } from "./deliberation-record.ts";
import { briefOf } from "./deliberation-request.ts";
import { refuse } from "./errors.ts";
import { HeldDeliberation } from "./held-deliberation.ts";
import type { Deliberation, DeliberationStatus, DeliberationUpdate } from "./orchestrator-api.ts";
import { varietyOf } from "./proposal-prompts.ts";

const KEEP_MS = 3_600_000;
const RUNNING_MAX = 200;
/** Each holds one of the actor's places for messages, and it has 256. */
const CALLERS_MAX = 200;
const ENDED_MAX = 1_000;
/** Of all texts of those that have ended, in characters. */
const ENDED_SIZE_MAX = 100_000_000;
const AGAIN_MS = 200;
const AGAIN_MAX_MS = 5_000;
/** Of a caller's time, kept for the way back. */
const REPORT_SHARE = 0.05;
const REPORT_MAX_MS = 1_000;

export interface DeliberationsParts {
  readonly system: Pick<ActorSystem, "ports" | "clock">;
  readonly random: Pick<Random, "id">;
  /** The model that a member is asked by. */
  readonly model: (seat: CouncilSeat, taskId: string) => Model;
  readonly metrics: DeliberationMetrics;
  readonly log: (level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>) => void;
}

/** How long a caller waits, and how it gives up. */
export interface Caller {
  readonly signal: AbortSignal;
  /** Milliseconds since the epoch, or Infinity. */
  readonly deadlineMs: number;
}

/** Makes the order of one that is not known yet; may throw. */
export type MakeOrder = () => DeliberationOrder;

export class Deliberations {
  readonly #parts: DeliberationsParts;
  readonly #records: DeliberationRecords;
  readonly #running = new Map<string, HeldDeliberation>();
  /** The oldest end first. */
  readonly #ended = new Map<string, { readonly held: HeldDeliberation; readonly timer: Timer }>();
  /** Those being recorded before they begin. */
  readonly #beginning = new Map<string, Promise<HeldDeliberation>>();
  readonly #runs = new Set<Promise<void>>();
  readonly #stopping = new AbortController();
  #callers = 0;
  #endedSize = 0;

  constructor(parts: DeliberationsParts) {
    this.#parts = parts;
    this.#records = new DeliberationRecords(parts.system);
  }

  get running(): number {
    return this.#running.size;
  }

  isBusy(role: string, agentId: string): boolean {
    return [...this.#running.values()].some((held) => held.heading.role === role && held.agentIds.includes(agentId));
  }

  /** Goes on with what an earlier life left (DS2). Throws Unavailable. */
  async start(): Promise<void> {
    const { log } = this.#parts;
    const records = await this.#records.list((taskId, error) =>
      log("error", `the record of deliberation ${taskId} cannot be read`, { error }),
    );
    for (const record of records) await this.#adopt(record);
  }

  /** Ends what runs, without a result: what is recorded begins again in the next life. */
  async stop(): Promise<void> {
    this.#stopping.abort();
    for (const held of this.#running.values()) held.over.abort();
    await Promise.allSettled(this.#runs);
    for (const { timer } of this.#ended.values()) timer.cancel();
  }

  /** Runs it, or waits for the one that runs, to its end. Rejects with what `make` throws, Cancelled, DeliberationsFull. */
  async answer(taskId: string, caller: Caller, make: MakeOrder): Promise<Deliberation> {
    const beginning = this.#beginning.get(taskId);
    const known = this.#known(taskId) ?? (beginning === undefined ? undefined : await beginning);
    if (known !== undefined) return this.#wait(known, caller.signal);
    const order = make();
    this.#checkRoom();
    const leftMs = caller.deadlineMs - order.startedAtMs;
    const untilMs = caller.deadlineMs - Math.min(REPORT_MAX_MS, leftMs * REPORT_SHARE);
    return this.#wait(this.#begin(order, { untilMs }), caller.signal);
  }

  /** Records it and begins; answers with what is known of it. Rejects with what `make` throws, DeliberationsFull, RequestInvalid, Unavailable. */
  async begin(
    taskId: string,
    make: MakeOrder,
  ): Promise<{ taskId: string; status: DeliberationStatus; agents: readonly string[] }> {
    const known = this.#known(taskId);
    const held = known?.record === undefined ? await this.#recorded(taskId, known, make) : known;
    return { taskId, status: held.now().status, agents: held.agentIds };
  }

  /** Whether one of this id runs or has ended within the hour. */
  knows(taskId: string): boolean {
    return this.#known(taskId) !== undefined || this.#beginning.has(taskId);
  }

  /** Throws DeliberationUnknown. */
  get(taskId: string): Deliberation {
    return this.#find(taskId).now();
  }

  /** Throws DeliberationUnknown, DeliberationsFull, Cancelled. */
  async *watch(taskId: string, signal: AbortSignal): AsyncGenerator<DeliberationUpdate, void> {
    const held = this.#find(taskId);
    this.#enter(held);
    try {
      yield* held.watch(signal);
    } finally {
      this.#leave(held);
    }
  }

  #known(taskId: string): HeldDeliberation | undefined {
    return this.#running.get(taskId) ?? this.#ended.get(taskId)?.held;
  }

  #find(taskId: string): HeldDeliberation {
    const held = this.#known(taskId);
    if (held !== undefined) return held;
    throw refuse("DeliberationUnknown", `No deliberation ${JSON.stringify(taskId.slice(0, 130))} is known.`);
  }

  async #wait(held: HeldDeliberation, signal: AbortSignal): Promise<Deliberation> {
    this.#enter(held);
    try {
      return await held.ending(signal);
    } finally {
      this.#leave(held);
    }
  }

  #enter(held: HeldDeliberation): void {
    if (this.#callers >= CALLERS_MAX) throw full(`${CALLERS_MAX} callers wait for deliberations`);
    this.#callers += 1;
    held.callers += 1;
  }

  /** Without callers, one that nobody may ask for later is not wanted any more (DS4). */
  #leave(held: HeldDeliberation): void {
    this.#callers -= 1;
    held.callers -= 1;
    if (held.callers > 0 || held.isKept || held.final !== undefined) return;
    this.#running.delete(held.heading.taskId);
    held.over.abort();
  }

  #checkRoom(): void {
    if (this.#running.size + this.#beginning.size >= RUNNING_MAX) throw full(`${RUNNING_MAX} deliberations run`);
    if (this.#callers >= CALLERS_MAX) throw full(`${CALLERS_MAX} callers wait for deliberations`);
  }

  /** Resolves once it is in the store: one that is not known yet is recorded and begun, one that runs for its callers is recorded, too. */
  #recorded(taskId: string, known: HeldDeliberation | undefined, make: MakeOrder): Promise<HeldDeliberation> {
    const beginning = this.#beginning.get(taskId);
    if (beginning !== undefined) return beginning;
    if (known === undefined) this.#checkRoom();
    const recording = known === undefined ? this.#record(make()) : this.#keepOn(known);
    const begun = recording.finally(() => this.#beginning.delete(taskId));
    this.#beginning.set(taskId, begun);
    return begun;
  }

  async #record(order: DeliberationOrder): Promise<HeldDeliberation> {
    const record = await this.#records.create(order);
    if (record !== undefined) return this.#begin(order, { record });
    // An earlier try whose answer was lost, or another life.
    const theirs = await this.#records.get(order.taskId);
    if (theirs !== undefined) await this.#adopt(theirs);
    return this.#find(order.taskId);
  }

  async #keepOn(held: HeldDeliberation): Promise<HeldDeliberation> {
    const { order } = held;
    if (order === undefined) return held;
    held.isKept = true;
    try {
      const record = (await this.#records.create(order)) ?? (await this.#records.get(order.taskId));
      held.record = held.final && record ? await this.#records.end(record, held.final) : record;
      return held;
    } catch (error) {
      held.isKept = false;
      throw error;
    }
  }

  /** Takes over a record: keeps a result that is fresh, lets go of an old one, begins what has no end again (DS2). */
  async #adopt(record: KeptRecord): Promise<void> {
    const { log, system } = this.#parts;
    const { order, end } = record;
    if (end === undefined) {
      const mine = await this.#records.takeOver(record);
      if (mine === undefined) return;
      log("info", `deliberation ${order.taskId} is begun again`, { begun: mine.begun });
      return void this.#begin(order, { record: mine });
    }
    const leftMs = end.atMs + KEEP_MS - system.clock.now();
    const result = leftMs <= 0 ? undefined : await this.#records.result(record);
    if (result === undefined) return this.#delete(record);
    const held = HeldDeliberation.ended(result, system.clock);
    held.record = record;
    this.#keep(held, leftMs);
  }

  #begin(
    order: DeliberationOrder,
    { record, untilMs = Number.POSITIVE_INFINITY }: { record?: KeptRecord; untilMs?: number },
  ) {
    const held = new HeldDeliberation(
      headingOf(order),
      order.seats.map(({ agentId }) => agentId),
      this.#parts.system.clock,
    );
    held.order = order;
    held.record = record;
    held.isKept = record !== undefined;
    this.#running.set(order.taskId, held);
    const run = this.#run(held, order, Math.min(order.startedAtMs + order.request.constraints.timeoutMs, untilMs));
    this.#runs.add(run);
    void run.then(() => this.#runs.delete(run));
    return held;
  }

  /** Never rejects. */
  async #run(held: HeldDeliberation, order: DeliberationOrder, deadlineMs: number): Promise<void> {
    const final = await this.#sit(held, order, deadlineMs);
    const told = held.over.signal.aborted ? undefined : await this.#settle(held, final);
    if (this.#running.get(order.taskId) === held) this.#running.delete(order.taskId);
    // Who waits for one that the next life goes on with is told by the runtime that this one is over, and asks again.
    if (told === undefined && this.#stopping.signal.aborted && held.isKept) return;
    held.end(told ?? abandoned(final));
    if (told === undefined) return;
    this.#parts.metrics.record(told);
    this.#keep(held, KEEP_MS);
  }

  async #sit(
    held: HeldDeliberation,
    { taskId, request, seats, rounds }: DeliberationOrder,
    deadlineMs: number,
  ): Promise<Deliberation> {
    const { system, random, model } = this.#parts;
    const members = seats.map((seat, place) => ({
      agentId: seat.agentId,
      model: model(seat, taskId),
      variety: varietyOf(place),
    }));
    const sitting = new Sitting(briefOf(request, roleNamed(request.role)), rounds, members, {
      ...{ clock: system.clock, random, signal: held.over.signal, deadlineMs },
      onUpdate: (update) => held.tell(update),
    });
    held.sits(sitting);
    const outcome = await sitting.run();
    return { ...held.heading, durationMs: Math.max(0, system.clock.now() - held.heading.startedAtMs), ...outcome };
  }

  /** Records a result that is to be kept, however long the store is away (DS3). Undefined: this life is not to tell one. */
  async #settle(held: HeldDeliberation, final: Deliberation): Promise<Deliberation | undefined> {
    for (let failures = 0; held.record !== undefined; failures++) {
      try {
        const record = await this.#records.end(held.record, final);
        held.record = record ?? (await this.#records.get(final.taskId));
        return record === undefined ? held.record && (await this.#records.result(held.record)) : final;
      } catch (error) {
        const mayPass = isFlotillaError(error) && error.retryable;
        this.#parts.log(mayPass ? "warn" : "error", `the result of deliberation ${final.taskId} is not recorded`, {
          error: String(error),
        });
        if (!mayPass) return final;
        const pauseMs = Math.min(AGAIN_MAX_MS, AGAIN_MS * 2 ** Math.min(failures, 10));
        await sleep(this.#parts.system.clock, pauseMs, this.#stopping.signal).catch(() => {});
        if (this.#stopping.signal.aborted) return undefined;
      }
    }
    return final;
  }

  /** Keeps one that has ended until its time is over or newer ones need the room (DS5). */
  #keep(held: HeldDeliberation, leftMs: number): void {
    const { taskId } = held.heading;
    const timer = this.#parts.system.clock.schedule(leftMs, () => this.#forget(taskId));
    this.#ended.set(taskId, { held, timer });
    this.#endedSize += held.size;
    for (const oldest of this.#ended.keys()) {
      if (this.#ended.size <= ENDED_MAX && this.#endedSize <= ENDED_SIZE_MAX) break;
      this.#forget(oldest);
    }
  }

  #forget(taskId: string): void {
    const ended = this.#ended.get(taskId);
    if (ended === undefined) return;
    ended.timer.cancel();
    this.#ended.delete(taskId);
    this.#endedSize -= ended.held.size;
    if (ended.held.record !== undefined) void this.#delete(ended.held.record);
  }

  /** Never rejects: what is left, the next life lets go of. */
  async #delete(record: KeptRecord): Promise<void> {
    await this.#records.delete(record).catch((error: unknown) => {
      const { taskId } = record.order;
      this.#parts.log("warn", `the record of deliberation ${taskId} could not be deleted`, { error: String(error) });
    });
  }
}

const headingOf = ({ taskId, startedAtMs, request }: DeliberationOrder) => ({
  ...{ taskId, startedAtMs, role: roleNamed(request.role).name, metadata: request.constraints.metadata },
});

/** What its last readers are told of one that was given up here. */
function abandoned(final: Deliberation): Deliberation {
  if (final.status === "failed") return final;
  const { code, message } = fail("Cancelled", "It was given up here before its result could be kept.");
  return { ...final, status: "failed", winnerId: null, error: { code, message } };
}

const full = (what: string) => refuse("DeliberationsFull", `${what}, as many as there may be.`);
