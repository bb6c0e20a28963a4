// Small random programs over three nodes and a network that loses, reorders and repeats frames, one for each seed. Time is moved by hand
// and frames by the scheduler, so a seed that fails fails again: put it into FIRST and set COUNT to 1.
//
// What must hold, whatever happens:
// SE1  Every call, stream and stop settles: with a value, or an error of a code that the runtime documents.
// SE2  A call that answered with a value has run, and it answers its own question.
// SE3  No call runs twice unless frames are repeated.
// SE4  What a reader got of a stream is its beginning, without a gap.
// SE5  An actor whose kill was confirmed never runs again.
// SE6  After close nothing is pending: no actor, no timer.

import { afterAll, beforeAll, expect, it } from "vitest";
import { runtimeErrors } from "../../runtime/errors.ts";
import {
  type ActorSystem,
  type AnyHandle,
  actorContext,
  defineActor,
  type Handle,
  type Random,
  seededRandom,
  sleep,
} from "../../runtime/index.ts";
import { outcome } from "../support/caught.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { type Faults, FaultyNetwork } from "../support/faulty-network.ts";
import { closeWithin } from "../support/places.ts";
import { openSystems, type Systems } from "../support/systems.ts";

const FIRST = 1;
const COUNT = 1_000;
const OPERATIONS = 14;
const NODES = ["a", "b", "c"] as const;

/** What really happened, written by the actors themselves. */
class Ledger {
  readonly runs = new Map<string, number>();
  readonly killed = new Set<string>();
  readonly broken: string[] = [];

  ran(key: string, actor: string): void {
    this.runs.set(key, (this.runs.get(key) ?? 0) + 1);
    if (this.killed.has(actor)) this.broken.push(`SE5: ${actor} ran ${key} after its kill was confirmed`);
  }
}

type Manner = "quick" | "slow" | "throw" | "fail";

function makeProbe(ledger: Ledger) {
  return defineActor(
    "probe",
    class {
      readonly #key: string;

      constructor(key: string) {
        this.#key = key;
      }

      async work(key: string, manner: Manner): Promise<string> {
        ledger.ran(key, this.#key);
        const { clock, signal, fail } = actorContext();
        if (manner === "throw") throw new RangeError(key);
        if (manner === "slow") await sleep(clock, 40, signal);
        if (manner === "fail") fail(new Error("gives up"));
        return key;
      }

      /** Asks another actor, so that deadlines and cancels travel. */
      async pass(key: string, other: AnyHandle, manner: Manner): Promise<string> {
        ledger.ran(key, this.#key);
        const answer = await (other as Handle<Probe>).work(`${key}+`, manner);
        return answer === `${key}+` ? key : `wrong answer ${answer}`;
      }

      async *count(key: string, items: number): AsyncGenerator<number> {
        ledger.ran(key, this.#key);
        for (let item = 0; item < items; item++) yield item;
      }
    },
  );
}

type Probe = ReturnType<typeof makeProbe>;

interface Actor {
  readonly key: string;
  readonly handle: Handle<Probe>;
}

/** One seed's program. */
class Program {
  readonly ledger = new Ledger();
  readonly clock = new FakeClock();
  readonly random: Random;
  readonly faults: Faults;
  readonly network: FaultyNetwork;
  readonly #type = makeProbe(this.ledger);
  readonly #pending = new Set<Promise<void>>();
  readonly #actors: Actor[] = [];
  #systems: Systems | undefined;
  #operations = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    const chance = (most: number) => (this.random.below(2) === 0 ? 0 : this.random.next() * most);
    this.faults = { drop: chance(0.2), overtake: chance(0.5), repeat: chance(0.2) };
    this.network = new FaultyNetwork(this.random, this.faults);
  }

  async run(): Promise<readonly string[]> {
    const { clock, random, network } = this;
    this.#systems = await openSystems(NODES, { clock, random, network, actors: [this.#type], callTimeoutMs: 400 });
    for (const node of NODES) this.#track("spawn", this.#spawn(node));
    await settle();
    while (this.#operations < OPERATIONS) {
      const choice = random.below(10);
      if (choice < 5) this.#operate(`${this.#operations++}`);
      else if (choice < 9) network.step();
      else await clock.advance(random.below(60));
      await settle();
    }
    for (let rounds = 0; rounds < 60 && this.#pending.size > 0; rounds++) {
      while (network.step()) await settle();
      await clock.advance(100);
    }
    if (this.#pending.size > 0) this.#broken(`SE1: ${this.#pending.size} operations never settled`);
    await closeWithin(this.#systems, clock);
    // The program's own aborts, at most 80 ms after the last operation.
    await clock.advance(100);
    for (const system of this.#systems.all) this.#check(system);
    if (clock.pending > 0) this.#broken(`SE6: ${clock.pending} timers are left`);
    return this.ledger.broken;
  }

  #broken(what: string): void {
    this.ledger.broken.push(what);
  }

  #check(system: ActorSystem): void {
    const { actors } = system.stats();
    if (actors > 0) this.#broken(`SE6: ${actors} actors are left on ${system.node}`);
  }

  #track(what: string, running: Promise<unknown>): void {
    const tracked: Promise<void> = outcome(running)
      .then(
        (end) => {
          const code = typeof end === "object" && end !== null && "code" in end ? String(end.code) : undefined;
          if (code !== undefined && !(code in runtimeErrors)) this.#broken(`SE1: ${what} ended with code ${code}`);
        },
        (error: unknown) => this.#broken(`SE1: ${what} ended with ${String(error)}`),
      )
      .finally(() => this.#pending.delete(tracked));
    this.#pending.add(tracked);
  }

  #system(): ActorSystem {
    return (this.#systems as Systems).at(this.random.below(NODES.length));
  }

  async #spawn(node: string): Promise<void> {
    const key = `actor-${this.#actors.length}-${this.random.id()}`;
    const options = { node, restart: { maxRestarts: 1, withinMs: 1_000 }, concurrency: 1 + this.random.below(2) };
    const handle = await this.#system().spawn(this.#type, { args: [key], ...options });
    this.#actors.push({ key, handle });
  }

  #operate(key: string): void {
    const actor = this.#actors[this.random.below(this.#actors.length)];
    const other = this.#actors[this.random.below(this.#actors.length)];
    if (actor === undefined || other === undefined) return;
    const manner = (["quick", "quick", "slow", "throw", "fail"] as const)[this.random.below(5)] ?? "quick";
    const stop = new AbortController();
    if (this.random.below(4) === 0) this.clock.schedule(this.random.below(80), () => stop.abort(new Error("enough")));
    const handle = actor.handle.with({ timeoutMs: 20 + this.random.below(300), signal: stop.signal });
    switch (this.random.below(9)) {
      case 0:
        return this.#track("kill", this.#kill(actor));
      case 1:
        return this.#track("stop", this.#system().stop(actor.handle, { timeoutMs: 50 }));
      case 2:
        return this.#track("spawn", this.#spawn(NODES[this.random.below(NODES.length)] ?? "a"));
      case 3:
        return handle.cast.work(key, manner);
      case 4:
      case 5:
        return this.#track("stream", this.#read(handle, key));
      case 6:
        return this.#track("pass", this.#asked(handle.pass(key, other.handle, manner), key));
      default:
        return this.#track("call", this.#asked(handle.work(key, manner), key));
    }
  }

  async #kill({ key, handle }: Actor): Promise<void> {
    await this.#system().kill(handle);
    this.ledger.killed.add(key);
  }

  async #asked(call: Promise<string>, key: string): Promise<void> {
    const answer = await call;
    if (answer !== key) this.#broken(`SE2: ${key} was answered with ${answer}`);
    if (!this.ledger.runs.has(key)) this.#broken(`SE2: ${key} was answered and never ran`);
  }

  async #read(handle: Handle<Probe>, key: string): Promise<void> {
    let next = 0;
    const leaveAt = this.random.below(2) === 0 ? Number.POSITIVE_INFINITY : this.random.below(40);
    for await (const item of handle.count(key, this.random.below(600))) {
      if (item !== next) this.#broken(`SE4: stream ${key} gave ${item} where ${next} was due`);
      if (++next > leaveAt) break;
    }
  }

  twice(): readonly string[] {
    if (this.faults.repeat > 0) return [];
    return [...this.ledger.runs].filter(([, runs]) => runs > 1).map(([key, runs]) => `SE3: ${key} ran ${runs} times`);
  }
}

const unhandled: unknown[] = [];
const onUnhandled = (reason: unknown) => void unhandled.push(reason);
beforeAll(() => void process.on("unhandledRejection", onUnhandled));
afterAll(() => void process.off("unhandledRejection", onUnhandled));

it(`${COUNT} random programs over an unreliable network`, { timeout: 120_000 }, async () => {
  for (let seed = FIRST; seed < FIRST + COUNT; seed++) {
    const program = new Program(seed);
    const broken = [...(await program.run()), ...program.twice(), ...unhandled.map((reason) => `unhandled: ${reason}`)];
    expect(broken, `seed ${seed}, ${JSON.stringify(program.faults)}`).toEqual([]);
  }
});
