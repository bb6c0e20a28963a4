// Random programs of tasks over a queue that loses, delays and doubles, with nodes that die: whatever happens, every accepted task ends with
// exactly one outcome, the dead letters are those that failed, and everybody who asks hears the same.
// A failure prints its seed; run one alone with `runSeed(SEED)`.

import { expect, it } from "vitest";
import type { Clock, Random } from "../../../runtime/index.ts";
import { isFlotillaError, seededRandom } from "../../../runtime/index.ts";
import type { Delivery, WorkQueue } from "../../../runtime/queue.ts";
import { Outcomes } from "../../../runtime/tasks/outcomes.ts";
import type { Tasks } from "../../../runtime/tasks/tasks.ts";
import { FakeClock } from "../../support/fake-clock.ts";
import { decode, encode, memoryTaskPorts, type TaskNode, type TaskPorts, taskNodes } from "../../support/task-nodes.ts";

const SEEDS = 150;
const TASKS = 12;
const TYPE = { type: "counter" };

/** A queue on a bad day: one delivery in ten is lost, delayed or doubled, one acknowledgement in ten is lost. */
function unreliable(queue: WorkQueue, clock: Clock, random: Random): WorkQueue {
  const lossy = (delivery: Delivery): Delivery => ({
    ...delivery,
    ack: () => random.below(10) > 0 && delivery.ack(),
    retry: (afterMs) => random.below(10) > 0 && delivery.retry(afterMs),
  });
  return new Proxy(queue, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (name !== "consume") return typeof value === "function" ? value.bind(target) : value;
      return (onItem: (delivery: Delivery) => void, options: { maxInFlight: number }) =>
        queue.consume((delivery) => {
          const fate = random.below(30);
          if (fate === 0) return;
          if (fate === 1) onItem(lossy(delivery));
          if (fate === 2) return void clock.schedule(random.below(10_000), () => onItem(lossy(delivery)));
          onItem(lossy(delivery));
        }, options);
    },
  });
}

type Conduct = "value" | "sick" | "poison" | "flaky" | "slow";
const CONDUCTS: readonly Conduct[] = ["value", "value", "sick", "poison", "flaky", "slow"];

class Program {
  readonly clock = new FakeClock();
  readonly random: Random;
  readonly ports: TaskPorts;
  readonly nodes: ReturnType<typeof taskNodes>;
  readonly heard = new Map<string, Promise<string>[]>();
  #opened = 0;

  constructor(seed: number) {
    this.random = seededRandom(seed);
    const ports = memoryTaskPorts(this.clock);
    this.ports = { ...ports, queue: unreliable(ports.queue, this.clock, this.random) };
    this.nodes = taskNodes({ clock: this.clock, random: this.random, ports: this.ports });
  }

  async open(): Promise<void> {
    const name = `node-${this.#opened++}`;
    let node: TaskNode | undefined;
    node = this.nodes.open(name, async ({ method, id }, _signal, { number }) => {
      if (method === "poison") {
        node?.die();
        void this.open();
        return new Promise(() => {});
      }
      if (method === "sick" || (method === "flaky" && number < 3)) throw new Error(`${method} at ${number}`);
      if (method === "slow")
        await new Promise<void>((resolve) => this.clock.schedule(this.random.below(8_000), resolve));
      return `${id} by ${name}`;
    });
    await node.tasks.serve("counter");
  }

  ask(tasks: Tasks, id: string): void {
    const answer = tasks
      .result(id)
      .then(String, (error: unknown) => (isFlotillaError(error) ? error.code : String(error)));
    this.heard.set(id, [...(this.heard.get(id) ?? []), answer]);
  }

  async run(): Promise<void> {
    await this.open();
    await this.open();
    const { tasks } = this.nodes.open("driver");
    const other = this.nodes.open("other");
    const ids: string[] = [];
    for (let at = 0; at < TASKS; at++) {
      const conduct = CONDUCTS[this.random.below(CONDUCTS.length)] ?? "value";
      const timeoutMs = this.random.below(6) === 0 ? { timeoutMs: this.random.below(20_000) } : {};
      const options = {
        retries: this.random.below(4),
        priority: this.random.below(2) ? "bulk" : "interactive",
      } as const;
      const id = await tasks.submit(TYPE, conduct, [at], {
        ...options,
        ...timeoutMs,
        ...(at % 2 && { id: `id-${at}` }),
      });
      ids.push(id);
      if (this.random.below(2)) this.ask(tasks, id);
      if (this.random.below(6) === 0) void other.tasks.cancel(id).catch(() => {});
      await this.clock.advance(this.random.below(1_500));
    }
    await this.clock.advance(200_000);
    for (const id of ids) {
      this.ask(other.tasks, id);
      this.ask(tasks, id);
    }
    await this.clock.advance(30_000);
    await this.check(ids, tasks);
  }

  async check(ids: readonly string[], tasks: Tasks): Promise<void> {
    const outcomes = new Outcomes({ ...this.ports, encode, decode } as ConstructorParameters<typeof Outcomes>[0]);
    const dead = (await tasks.deadLetters.list()).map((letter) => letter.id);
    const failed: string[] = [];
    for (const id of ids) {
      const recorded = await this.ports.results.read(`result.${Buffer.from(id).toString("base64url")}`, 1, 10);
      expect(recorded, `outcomes of ${id}`).toHaveLength(1);
      const last = (await outcomes.last(id))?.outcome;
      if (last?.kind === "failed") failed.push(id);
      const said = await Promise.all(this.heard.get(id) ?? []);
      expect(new Set(said).size, `what is heard of ${id}: ${said.join("; ")}`).toBe(1);
      expect(await this.ports.queue.find(Buffer.from(id).toString("base64url")), `${id} in the queue`).toBeUndefined();
    }
    expect([...dead].sort()).toEqual([...failed].sort());
  }
}

async function runSeed(seed: number): Promise<void> {
  const program = new Program(seed);
  await using _ = program.nodes;
  try {
    await program.run();
  } catch (error) {
    throw new Error(`seed ${seed}: ${error instanceof Error ? error.message : error}`, { cause: error });
  }
}

it(`${SEEDS} random programs: exactly one outcome for each task, and everybody hears the same`, async () => {
  for (let seed = 1; seed <= SEEDS; seed++) await runSeed(seed);
});
