// Why agents that were asked for are not there yet: what the runtime tells of requests that wait for a place, told on as it changes.
// It waits for nothing and changes nothing.

import type { ActorSystem, Timer } from "../../runtime/index.ts";

const LOOK_MS = 250;

export class WaitingPlaces {
  readonly #system: ActorSystem;
  readonly #tell: (agentId: string, why: string) => void;

  /** `tell` must not throw. */
  constructor(system: ActorSystem, tell: (agentId: string, why: string) => void) {
    this.#system = system;
    this.#tell = tell;
  }

  /** Settles as `making` does; `name`: what the actor is spawned as. */
  async during<Made>(name: string, agentId: string, making: Promise<Made>): Promise<Made> {
    let told = "";
    let timer: Timer;
    const look = () => {
      const why = this.#system.nodes()[0]?.waiting?.find((waiting) => waiting.name === name)?.why ?? told;
      if (why !== told) this.#tell(agentId, why);
      told = why;
      timer = this.#system.clock.schedule(LOOK_MS, look);
    };
    timer = this.#system.clock.schedule(LOOK_MS, look);
    try {
      return await making;
    } finally {
      timer.cancel();
    }
  }
}
