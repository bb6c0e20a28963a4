// Kills parts of a fleet of services, in an order that a seed makes, while a team has stories built; and keeps how long each took to come back.

import { runnerOf, SERVICE_NAMES } from "../../actors/service-handles.ts";
import { type Random, sleep, systemClock } from "../../runtime/index.ts";
import type { ServiceFleet } from "../support/service-fleet.ts";
import type { Agent, ServiceProcesses, Victim } from "../support/service-processes.ts";
import type { StoryTeam } from "../support/story-team.ts";
import { waitUntil } from "../support/wait-until.ts";

export const VICTIMS: readonly Victim[] = [...SERVICE_NAMES, "door", "executor", "supervisor", "nats"];
/** Longest wait before a kill. */
const WAIT_MAX_MS = 1_500;
/** Between two looks at all processes. */
const LOOK_MS = 50;
const LONG_MS = 120_000;

export class ServiceKills {
  /** Milliseconds from each kill to the first answer after it, or until an agent's end was noticed. */
  readonly took = new Map<Victim, number[]>(VICTIMS.map((victim) => [victim, []]));
  readonly #fleet: ServiceFleet;
  readonly #services: ServiceProcesses;
  readonly #team: StoryTeam;
  readonly #random: Random;
  readonly #hit = new Set<string>();

  constructor(parts: {
    readonly fleet: ServiceFleet;
    readonly services: ServiceProcesses;
    readonly team: StoryTeam;
    readonly random: Random;
  }) {
    this.#fleet = parts.fleet;
    this.#services = parts.services;
    this.#team = parts.team;
    this.#random = parts.random;
  }

  /** Kills each `times` times, each time in the middle of a story; once of them another host of the service takes over. */
  async all(times: number): Promise<void> {
    const order = shuffled(
      VICTIMS.flatMap((victim) => Array<Victim>(times).fill(victim)),
      this.#random,
    );
    for (const [at, victim] of order.entries()) {
      const isFlowing = () => this.#team.open.some(({ tasks }) => tasks.some(({ status }) => status === "dispatched"));
      await waitUntil("a task is out", isFlowing, LONG_MS);
      await sleep(systemClock, this.#random.below(WAIT_MAX_MS));
      const states = this.#states();
      const before = this.took.get(victim)?.length ?? 0;
      const isTakenOver = before === Math.floor(times / 2) && SERVICE_NAMES.some((name) => name === victim);
      const ms = await this.#kill(victim, isTakenOver);
      this.took.get(victim)?.push(ms);
      const how = isTakenOver ? ", taken over" : "";
      console.log(`${at + 1}/${order.length} ${victim}${how}: ${Math.round(ms)} ms; ${states}`);
    }
  }

  /** Victim, kills, median and longest, in milliseconds. */
  table(): string {
    const rows = [...this.took].map(([victim, ms]) => {
      const sorted = ms.toSorted((a, b) => a - b).map(Math.round);
      return `| ${victim} | ${ms.length} | ${sorted[sorted.length >> 1]} | ${sorted.at(-1)} |`;
    });
    return ["| killed | times | p50 ms | max ms |", "|---|---|---|---|", ...rows].join("\n");
  }

  #states(): string {
    const of = this.#team.open.map(
      ({ id, state, tasks }) => `${id} ${state} ${tasks.map(({ status }) => status.slice(0, 2)).join(" ")}`,
    );
    return of.join(", ");
  }

  #kill(victim: Victim, isTakenOver: boolean): Promise<number> {
    if (victim === "executor" || victim === "supervisor") return this.#killAgent(victim);
    return this.#services.kill(victim, isTakenOver);
  }

  async #killAgent(part: "executor" | "supervisor"): Promise<number> {
    const agent = await this.#freshAgent();
    this.#hit.add(workOf(agent));
    const job = () => runnerOf(this.#fleet.system).job(agent.jobId);
    const { place } = await waitUntil("the runner answers", () => job().catch(() => undefined), LONG_MS);
    const fromMs = performance.now();
    process.kill(agent[part], "SIGKILL");
    await waitUntil(
      `the end of ${agent.jobId} was noticed`,
      async () => {
        await sleep(systemClock, LOOK_MS);
        const now = await job().catch(() => undefined);
        if (now === undefined) return false;
        return now.endedAtMs === undefined ? now.place !== place : this.#isOn(agent);
      },
      LONG_MS,
    );
    return performance.now() - fromMs;
  }

  /** One whose task was not hit before: three failed attempts would be for a person to look at. */
  #freshAgent(): Promise<Agent> {
    const find = async () => {
      await sleep(systemClock, LOOK_MS);
      const agents = this.#services.agents().filter((agent) => !this.#hit.has(workOf(agent)));
      return agents[this.#random.below(agents.length)];
    };
    return waitUntil("an agent is at work", find, LONG_MS);
  }

  /** Whether its task has another attempt, or is done all the same. */
  async #isOn({ jobId }: Agent): Promise<boolean> {
    const [, storyId = "", taskId = "", attempt = ""] = /^(s\d+-\d+)-(\w+)-(\d+)$/.exec(jobId) ?? [];
    const story = await this.#fleet.planning.story(storyId).catch(() => undefined);
    const task = story?.tasks.find(({ id }) => id === taskId);
    return task?.status === "done" || (task?.attempt ?? 0) > Number(attempt);
  }
}

const workOf = ({ jobId }: Agent): string => jobId.replace(/-\d+$/, "");

function shuffled<T>(values: readonly T[], random: Pick<Random, "below">): readonly T[] {
  const left = [...values];
  return values.map(() => left.splice(random.below(left.length), 1)[0] as T);
}
