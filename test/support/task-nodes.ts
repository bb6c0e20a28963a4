// A few processes that submit and run tasks, played in this one: each has its own Tasks over ports that all share.
// One may die: from then on nothing that it does reaches the ports, as after kill -9.

import { deserialize, serialize } from "node:v8";
import { fromWire, toWire } from "../../runtime/codec.ts";
import type { Clock, LogLine, Random } from "../../runtime/index.ts";
import { seededRandom } from "../../runtime/index.ts";
import { MemoryBlobs } from "../../runtime/memory/blobs.ts";
import { MemoryEventLog } from "../../runtime/memory/event-log.ts";
import { MemoryQueue } from "../../runtime/memory/queue.ts";
import { MemoryStore } from "../../runtime/memory/store.ts";
import type { Delivery, WorkQueue } from "../../runtime/queue.ts";
import type { TaskEnvironment } from "../../runtime/tasks/environment.ts";
import { Tasks } from "../../runtime/tasks/tasks.ts";
import { FakeClock } from "./fake-clock.ts";

export type TaskPorts = Pick<TaskEnvironment, "queue" | "results" | "store" | "blobs">;

export function memoryTaskPorts(clock: Clock): TaskPorts {
  return {
    queue: new MemoryQueue({ clock, ackWaitMs: 3_000 }),
    results: new MemoryEventLog({ clock }),
    store: new MemoryStore({ clock }),
    blobs: new MemoryBlobs(),
  };
}

/** Values as bytes by the house's rules of what may be sent. */
export const encode = (value: unknown, root: string): Uint8Array => serialize(toWire(value, root));
export const decode = (bytes: Uint8Array): unknown => fromWire(deserialize(bytes), (address) => address);

const never = new Promise<never>(() => {});

/** The same object for as long as `isAlive`; then every call of it waits for ever. */
function mortal<T extends object>(port: T, isAlive: () => boolean): T {
  return new Proxy(port, {
    get(target, name) {
      const value: unknown = Reflect.get(target, name);
      if (typeof value !== "function") return value;
      return (...args: unknown[]) => {
        if (!isAlive()) return never;
        const answer: unknown = value.apply(target, args);
        return answer instanceof Promise ? answer.then((got) => (isAlive() ? got : never)) : answer;
      };
    },
  });
}

function mortalQueue(
  queue: WorkQueue,
  isAlive: () => boolean,
  isAwake: () => boolean,
  onConsume: (stop: () => void) => void,
): WorkQueue {
  const whileAlive = (act: () => void) => () => {
    if (isAlive()) act();
  };
  const mortalDelivery = (delivery: Delivery): Delivery => ({
    ...delivery,
    ack: whileAlive(() => delivery.ack()),
    extend: whileAlive(() => isAwake() && delivery.extend()),
    retry: (afterMs) => whileAlive(() => delivery.retry(afterMs))(),
  });
  const proxy = mortal(queue, isAlive);
  return new Proxy(proxy, {
    get(target, name) {
      if (name !== "consume") return Reflect.get(target, name);
      return (onItem: (delivery: Delivery) => void, options: { maxInFlight: number }) => {
        const consumption = queue.consume((delivery) => isAlive() && onItem(mortalDelivery(delivery)), options);
        onConsume(() => consumption.stop());
        return consumption;
      };
    },
  });
}

export interface TaskNode {
  readonly tasks: Tasks;
  /** Ends it as kill -9 would. */
  die(): void;
  /** Lets it lose its hold on what it has in hand, as a process does that is paused. */
  doze(): void;
}

export interface TaskNodesOptions {
  readonly clock?: Clock;
  readonly random?: Random;
  readonly ports?: TaskPorts;
  readonly maxInFlight?: number;
  readonly log?: (line: Pick<LogLine, "level" | "message" | "data">) => void;
}

/** Opens nodes over shared ports. `run` gets the node's name beside what the environment's `run` gets. */
export function taskNodes(options: TaskNodesOptions = {}) {
  const clock = options.clock ?? new FakeClock();
  const ports = options.ports ?? memoryTaskPorts(clock);
  const opened: Tasks[] = [];
  const open = (node: string, run: TaskEnvironment["run"] = async () => node): TaskNode => {
    let alive = true;
    let awake = true;
    const isAlive = () => alive;
    const stops: (() => void)[] = [];
    const tasks = new Tasks(
      {
        node,
        queue: mortalQueue(
          ports.queue,
          isAlive,
          () => awake,
          (stop) => stops.push(stop),
        ),
        results: mortal(ports.results, isAlive),
        store: mortal(ports.store, isAlive),
        blobs: mortal(ports.blobs, isAlive),
        clock,
        random: options.random ?? seededRandom(1),
        log: (level, message, data) => options.log?.({ level, message, ...(data && { data }) }),
        encode,
        decode,
        run,
      },
      options.maxInFlight === undefined ? {} : { maxInFlight: options.maxInFlight },
    );
    opened.push(tasks);
    return {
      tasks,
      die: () => {
        alive = false;
        for (const stop of stops) stop();
      },
      doze: () => {
        awake = false;
        for (const stop of stops) stop();
      },
    };
  };
  return {
    ports,
    clock,
    open,
    async [Symbol.asyncDispose]() {
      for (const tasks of opened) await Promise.race([tasks.close(), new Promise(setImmediate)]);
      await Promise.all([ports.queue.close(), ports.results.close(), ports.store.close(), ports.blobs.close()]);
    },
  };
}
