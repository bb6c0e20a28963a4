// A small random program of calls, casts, streams, cancels, restarts, stops, kills and spawns over a few nodes, and the ledger that says
// whether the runtime kept its promises. Everything is chosen by one seed; time and frames move only when the program says so.
//
// RP1  Every call settles, with its own answer or a documented code.
// RP2  A call that was answered ran, and without repeated frames no call runs twice.
// RP3  Items of a stream come without gap or repeat.
// RP4  An actor whose end was confirmed never runs again; one life never has more in hand than its concurrency.
// RP5  Calls of one caller to one actor start in the order they were made, as long as the network keeps order and loses nothing.
// RP6  A call ends by its deadline. After close nothing waits, on the clock or anywhere; nothing is left unhandled.

import { runtimeErrors } from "../../runtime/errors.ts";
import { type ActorSystem, FlotillaError, type Random, seededRandom, type Timer } from "../../runtime/index.ts";
import { BreakableNetwork } from "./breakable-network.ts";
import { FakeClock, settle } from "./fake-clock.ts";
import { type Faults, FaultyNetwork } from "./faulty-network.ts";
import { Ledger } from "./ledger.ts";
import { closeWithin } from "./places.ts";
import { type Part, type Plan, partType } from "./random-part.ts";
import { type Network, openSystems, type Systems } from "./systems.ts";

export interface ProgramReport {
  readonly seed: number;
  readonly faults: Faults;
  readonly violations: readonly string[];
  /** How often calls ended how: "value" or a code. */
  readonly ends: ReadonlyMap<string, number>;
  readonly items: number;
}

/** Calls without a time-out of their own. */
const CALL_TIMEOUT_MS = 2_000;
/** The program's steps of time, and the resolution of deadlines. */
const LATE_MS = 300;

/** A network whose frames move when it is told to; one that breaks can also cut a node off and mend that. */
interface Moving extends Network {
  step(): boolean;
  cut?(node: string): void;
  mend?(node: string): void;
}

function breaking(random: Random): Moving {
  const network = new BreakableNetwork({ byHand: true });
  return {
    join: (node) => network.join(node),
    step: () => network.step(random),
    cut: (node) => network.cut(node),
    mend: (node) => network.mend(node),
  };
}

class Program {
  readonly ledger: Ledger;
  readonly #random: Random;
  readonly #faults: Faults;
  readonly #network: Moving;
  readonly #clock: FakeClock;
  readonly #systems: Systems;
  readonly #type: ReturnType<typeof partType>;
  readonly #parts: Part[] = [];
  /** The program's own timers, which are not the runtime's to clear. */
  readonly #aborts: Timer[] = [];
  #lastId = 0;

  private constructor(
    random: Random,
    faults: Faults,
    network: Moving,
    systems: Systems,
    clock: FakeClock,
    ledger: Ledger,
    type: ReturnType<typeof partType>,
  ) {
    this.#random = random;
    this.#faults = faults;
    this.#network = network;
    this.#systems = systems;
    this.#clock = clock;
    this.ledger = ledger;
    this.#type = type;
  }

  static async open(seed: number, breaks: boolean): Promise<Program> {
    const random = seededRandom(seed);
    const faults: Faults = {
      drop: !breaks && random.below(3) === 0 ? 0.1 : 0,
      repeat: !breaks && random.below(4) === 0 ? 0.1 : 0,
      overtake: !breaks && random.below(4) === 0 ? 0.3 : 0,
    };
    const network = breaks ? breaking(random) : new FaultyNetwork(random, faults);
    const clock = new FakeClock();
    const ledger = new Ledger();
    const ordered = faults.drop + faults.repeat + faults.overtake === 0;
    const type = partType(ledger, ordered);
    const nodes = ["north", "south", "west"].slice(0, 2 + random.below(2));
    const options = { clock, random, network, actors: [type], callTimeoutMs: CALL_TIMEOUT_MS };
    const systems = await openSystems(nodes, options);
    return new Program(random, faults, network, systems, clock, ledger, type);
  }

  get faults(): Faults {
    return this.#faults;
  }

  /** Runs `steps` random steps, waits for every answer, closes. */
  async run(steps: number): Promise<void> {
    for (let index = 0; index < 3; index++) this.#spawn();
    await this.#rest(4);
    for (let step = 0; step < steps; step++) {
      this.#act();
      await this.#pass();
    }
    for (const { node } of this.#systems.all) this.#network.mend?.(node);
    await this.#rest(60);
    if (this.#network.cut !== undefined) await this.#checkTables();
    const network = this.#network;
    // Frames go on while systems close.
    const pump = { on: true };
    const pumping = (async () => {
      while (pump.on) {
        network.step();
        await settle();
      }
    })();
    await closeWithin(this.#systems, this.#clock).catch((error: Error) => this.ledger.violation(error.message));
    pump.on = false;
    await pumping;
    await this.#clock.advance(0);
    for (const timer of this.#aborts) timer.cancel();
    for (const open of this.ledger.open) this.ledger.violation(`${open} was never settled`);
    for (const { node, stats } of this.#systems.all.map((each) => ({ node: each.node, stats: each.stats() }))) {
      if (stats.actors > 0) this.ledger.violation(`${stats.actors} actors are left on ${node}`);
    }
    if (this.#clock.pending > 0) this.ledger.violation(`${this.#clock.pending} timers are left after close`);
  }

  /** Once every answer is there and frames have gone to and fro, nobody holds anything for another node. */
  async #checkTables(): Promise<void> {
    for (let round = 0; round < 20; round++) {
      for (let index = 0; index < 200 && this.#network.step(); index++) await settle();
      await this.#clock.advance(100);
    }
    for (const system of this.#systems.all) {
      const { underWay } = system.stats();
      if (underWay > 0) this.ledger.violation(`${system.node} still has ${underWay} under way`);
    }
  }

  /** Delivers a few frames, lets a little time pass. */
  async #pass(): Promise<void> {
    const frames = this.#random.below(5);
    for (let index = 0; index < frames && this.#network.step(); index++) {
      if (this.#random.below(2) === 0) await settle();
    }
    if (this.#random.below(3) === 0) await this.#clock.advance(this.#random.below(60));
    else await settle();
  }

  /** Delivers everything and lets seconds pass, until every answer is there. */
  async #rest(rounds: number): Promise<void> {
    for (let round = 0; round < rounds && this.ledger.open.size > 0; round++) {
      for (let index = 0; index < 200 && this.#network.step(); index++) await settle();
      await this.#clock.advance(250);
    }
  }

  #pick<T>(from: readonly T[]): T {
    const picked = from[this.#random.below(from.length)];
    if (picked === undefined) throw new Error("nothing to pick from");
    return picked;
  }

  #act(): void {
    if (this.#network.cut !== undefined && this.#random.below(8) === 0) {
      const { node } = this.#pick(this.#systems.all);
      if (this.#random.below(3) === 0) this.#network.cut(node);
      else this.#network.mend?.(node);
    }
    if (this.#parts.length === 0) return this.#spawn();
    const roll = this.#random.below(100);
    if (roll < 45) this.#call();
    else if (roll < 55) this.#echo();
    else if (roll < 65) this.#cast();
    else if (roll < 80) this.#read();
    else if (roll < 90) this.#spawn();
    else this.#end(roll < 95 ? "stop" : "kill");
  }

  #options(): { timeoutMs?: number; signal?: AbortSignal } {
    const roll = this.#random.below(4);
    if (roll === 0) return { timeoutMs: 1 + this.#random.below(300) };
    if (roll > 1) return {};
    const controller = new AbortController();
    const aborted = () => controller.abort(new Error("given up"));
    this.#aborts.push(this.#clock.schedule(this.#random.below(200), aborted));
    return { signal: controller.signal };
  }

  #plan(depth = 0): Plan {
    const roll = this.#random.below(12);
    if (roll < 3) return { kind: "answer" };
    if (roll < 5) return { kind: "wait", ms: this.#random.below(150) };
    if (roll === 5) return { kind: this.#pick(["throw", "fail", "fail", "child", "stop self"] as const) };
    if (roll === 6) return { kind: "timer", ms: this.#random.below(100), throws: this.#random.below(3) === 0 };
    if (depth > 3) return { kind: "answer" };
    const [to, id] = [this.#pick(this.#parts), ++this.#lastId];
    if (roll < 9) return { kind: "read", to, id, count: this.#random.below(400) };
    return { kind: "ask", to, id, plan: this.#plan(depth + 1) };
  }

  /** Follows one promise to its one end. */
  #follow<T>(
    what: string,
    promise: Promise<T>,
    onValue: (value: T) => void,
    withinMs = Number.POSITIVE_INFINITY,
  ): void {
    this.ledger.open.add(what);
    const begunMs = this.#clock.now();
    const done = (end: string) => {
      const tookMs = this.#clock.now() - begunMs;
      if (tookMs > withinMs + LATE_MS) this.ledger.violation(`${what} took ${tookMs} ms of ${withinMs}`);
      if (!this.ledger.open.delete(what)) this.ledger.violation(`${what} was settled twice`);
      this.ledger.count(end);
    };
    const failed = (error: unknown) => {
      const code = error instanceof FlotillaError ? error.code : String(error);
      if (!Object.hasOwn(runtimeErrors, code)) this.ledger.violation(`${what} failed with ${code}`);
      done(code);
    };
    const settled = promise.then((value) => {
      onValue(value);
      done("value");
    });
    settled.catch(failed);
  }

  #answered(id: number, value: number): void {
    const starts = this.ledger.starts(id);
    if (value !== id) this.ledger.violation(`call ${id} was answered ${value}`);
    if (starts === 0) this.ledger.violation(`call ${id} was answered without being run`);
  }

  #call(): void {
    const [part, id] = [this.#pick(this.#parts), ++this.#lastId];
    const asked = part.with(this.#options()).run(id, id, this.#plan() as never);
    this.#follow(`call ${id}`, asked, (value) => this.#answered(id, value), CALL_TIMEOUT_MS);
  }

  #echo(): void {
    const [part, id] = [this.#pick(this.#parts), ++this.#lastId];
    const asked = part.with(this.#options()).echo(id, id);
    this.#follow(`echo ${id}`, asked, (value) => this.#answered(id, value), CALL_TIMEOUT_MS);
  }

  #cast(): void {
    const id = ++this.#lastId;
    this.#pick(this.#parts).cast.run(id, id, this.#plan() as never);
  }

  #read(): void {
    const [part, id] = [this.#pick(this.#parts), ++this.#lastId];
    const [count, gapMs] = [this.#random.below(700), this.#random.below(4) === 0 ? 5 : 0];
    const until = this.#random.below(3) === 0 ? this.#random.below(count + 1) : count;
    const stream = part.with(this.#options()).items(id, count, gapMs);
    const read = async (): Promise<number> => {
      let next = 0;
      for await (const item of stream) {
        if (item !== next) this.ledger.violation(`stream ${id} gave ${item} where ${next} was due`);
        next++;
        this.ledger.items++;
        if (next >= until && until < count) return -1;
      }
      return next;
    };
    this.#follow(`stream ${id}`, read(), (got) => {
      if (got >= 0 && got !== count) this.ledger.violation(`stream ${id} ended after ${got} of ${count}`);
    });
  }

  #spawn(): void {
    const system: ActorSystem = this.#pick(this.#systems.all);
    const { node } = this.#pick(this.#systems.all);
    const concurrency = 1 + this.#random.below(2);
    const spawned = system.spawn(this.#type, {
      args: [concurrency],
      node,
      concurrency,
      mailboxMax: this.#pick([3, 1_000]),
      restart: { maxRestarts: this.#random.below(3), withinMs: 1_000 },
    });
    this.#follow(`spawn ${++this.#lastId}`, spawned, (part) => this.#parts.push(part));
  }

  #end(how: "stop" | "kill"): void {
    const part = this.#pick(this.#parts);
    const system = this.#pick(this.#systems.all);
    const asked = how === "kill" ? system.kill(part) : system.stop(part, { timeoutMs: this.#random.below(300) });
    this.#follow(`${how} ${++this.#lastId}`, asked, () => {
      this.ledger.ended(`${part}`);
      // Most calls should find somebody.
      const at = this.#parts.indexOf(part);
      if (at >= 0 && this.#random.below(4) > 0) this.#parts.splice(at, 1);
    });
  }

  /** No call may have run twice unless frames were repeated (RP2). */
  checkStarts(): void {
    if (this.#faults.repeat > 0) return;
    for (let id = 1; id <= this.#lastId; id++) {
      if (this.ledger.starts(id) > 1) this.ledger.violation(`call ${id} ran ${this.ledger.starts(id)} times`);
    }
  }
}

/** Runs the program of one seed, with faults that a network should not have, or with breaks as a real one has them. */
export async function runProgram(seed: number, steps = 40, breaks = false): Promise<ProgramReport> {
  const unhandled: unknown[] = [];
  const onUnhandled = (reason: unknown): void => void unhandled.push(reason);
  process.on("unhandledRejection", onUnhandled);
  const program = await Program.open(seed, breaks);
  await program.run(steps);
  program.checkStarts();
  await settle();
  process.off("unhandledRejection", onUnhandled);
  const { ledger, faults } = program;
  for (const reason of unhandled) ledger.violation(`unhandled: ${String(reason)}`);
  return { seed, faults, violations: ledger.violations, ends: ledger.ends, items: ledger.items };
}
