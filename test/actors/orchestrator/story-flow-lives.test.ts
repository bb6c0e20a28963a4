// The story flow killed at any of its steps, any number of times, and its events told again: every task goes out once for each attempt, is
// merged once, and the story reaches DONE.

import fc from "fast-check";
import { expect, it } from "vitest";
import { type ActorSystem, FlotillaError, sleep, systemClock } from "../../../runtime/index.ts";
import { waitUntil } from "../../support/wait-until.ts";
import { draft, type Stage, stages } from "./story-flow-stage.ts";

const { stageOf } = stages();

/** One life: it ends before or after its n-th effect, and nothing of it has an effect any more. */
interface Life {
  readonly effects: number;
  /** The last effect is done and its answer lost; else it is not done. */
  readonly isDone: boolean;
  /** Events are told again from the first to the next life. */
  readonly isRetold: boolean;
}

/** Lets a life's calls through until it ends. */
class Fate {
  isOver = false;
  #left: number;
  readonly #isDone: boolean;

  constructor({ effects, isDone }: Life) {
    this.#left = effects;
    this.#isDone = isDone;
  }

  async pass<T>(run: () => Promise<T>): Promise<T> {
    if (this.isOver) throw dead();
    this.isOver = --this.#left <= 0;
    if (!this.isOver) return run();
    if (this.#isDone) await run();
    throw dead();
  }

  /** The same thing, whose methods named here are under this fate; all, where none are named. Each takes its time. */
  over<T extends object>(target: T, names?: ReadonlySet<string>): T {
    return new Proxy(target, {
      get: (_, name) => {
        const value: unknown = Reflect.get(target, name, target);
        if (typeof value !== "function") return value;
        const does = value.bind(target) as (...args: unknown[]) => unknown;
        if (names !== undefined && !names.has(String(name))) return does;
        return async (...args: unknown[]) => {
          await sleep(systemClock, EFFECT_MS);
          return this.pass(async () => does(...args));
        };
      },
    });
  }

  system(system: ActorSystem): ActorSystem {
    const { store, eventLog } = system.ports;
    const ports = {
      ...system.ports,
      store: this.over(store, new Set(["create", "update", "get"])),
      eventLog: this.over(eventLog, new Set(["append"])),
    };
    return new Proxy(system, {
      get: (target, name) => (name === "ports" ? ports : Reflect.get(target, name, target)),
    });
  }
}

/** Long enough for a consumer to save its place between two effects. */
const EFFECT_MS = 2;

const dead = () => new FlotillaError("Closed", "this life is over");

const TASKS = [
  draft("base"),
  draft("clash", { dependsOn: ["base"] }),
  draft("lost", { dependsOn: ["base"], priority: 9 }),
  draft("last", { dependsOn: ["clash", "lost"] }),
  draft("words", { phase: "DOCS" }),
];
const TROUBLED: Readonly<Record<string, "conflict" | "missing">> = { clash: "conflict", lost: "missing" };
const EXPECTED = TASKS.flatMap(({ id }) => (id in TROUBLED ? [`${id} 1`, `${id} 2`] : [`${id} 1`])).sort();
const FAILS = { unit: { passed: 1, failed: 1, skipped: 0 } };

async function live(lives: readonly Life[]): Promise<Stage> {
  const stage = await stageOf({
    tasks: TASKS,
    script: ({ taskId, attempt }) => (attempt === 1 ? (TROUBLED[taskId] ?? "done") : "done"),
  });
  const { planning, runner, system } = stage;
  runner.reports.push(FAILS);
  // The report is of the code, not of the call: a verification whose answer was lost finds the same again.
  const { verify } = runner;
  runner.verify = () => {
    if (stage.task("s", "fix1") === undefined && runner.reports.length === 0) runner.reports.push(FAILS);
    return verify.call(runner);
  };
  planning.put("s");
  await planning.approve("s");
  for (const life of lives) {
    const fate = new Fate(life);
    const flow = stage.begin({
      system: fate.system(stage.hasty),
      planning: fate.over(planning.client),
      runner: fate.over(runner.client),
    });
    await waitUntil("the life ends, or there is nothing left to do", async () => {
      await planning.moveOn("s");
      return fate.isOver || runner.delivered.includes("s");
    });
    await flow.stop();
    if (life.isRetold) {
      for (const name of ["orchestrator-agile", "orchestrator-results"]) await forget(system, `consumer.${name}`);
    }
  }
  stage.begin();
  await stage.finishes("s");
  return stage;
}

async function forget({ ports: { store } }: ActorSystem, key: string): Promise<void> {
  const entry = await store.get(key);
  if (entry !== undefined) await store.delete(key, entry.revision);
}

async function endsOnce(lives: readonly Life[]): Promise<void> {
  const stage = await live(lives);
  const { planning, runner } = stage;
  const sent = planning.made.filter((made) => made.includes(" dispatched "));
  const attempts = sent.map((made) => made.replace("s ", "").replace("dispatched ", ""));
  expect(attempts.sort()).toEqual([...EXPECTED, "fix1 1"].sort());
  expect(runner.posted.toSorted()).toEqual(attempts.map((attempt) => `s-${attempt.replace(" ", "-")}`).sort());
  expect(new Set(runner.merged).size).toBe(runner.merged.length);
  const done = planning.now("s").tasks.map(({ id, status, commit }) => [id, status, commit !== undefined]);
  expect(done).toEqual([...TASKS.map(({ id }) => id), "fix1"].map((id) => [id, "done", true]));
  expect(planning.made.filter((made) => made.includes("tasks"))).toHaveLength(2);
  expect(await stage.dead()).toEqual([]);
  await stage.close();
}

const life = fc.record({ effects: fc.integer({ min: 1, max: 60 }), isDone: fc.boolean(), isRetold: fc.boolean() });

it("a story ends once, however often its flow is killed", async () => {
  const lives = fc.array(life, { minLength: 2, maxLength: 4 });
  await fc.assert(fc.asyncProperty(lives, endsOnce), { numRuns: 8 });
}, 30_000);

/** A life needs some 100 for all that there is to do. */
const EFFECTS = 100;

it("a story ends once, at whichever effect its flow is killed", async () => {
  const lives = Array.from({ length: EFFECTS }, (_, at): Life => {
    return { effects: at + 1, isDone: at % 2 === 0, isRetold: at % 3 === 0 };
  });
  await Promise.all(lives.map((life) => endsOnce([life])));
}, 30_000);
