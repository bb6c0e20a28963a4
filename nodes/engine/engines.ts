// The model servers of one node, in the order in which they were added. It starts none by itself: whoever adds one decides.

import { type Clock, type EngineReport, type EngineState, systemClock } from "../../runtime/index.ts";
import { nodeError } from "../errors.ts";
import { Engine } from "./engine.ts";
import type { EngineOptions } from "./options.ts";

/** Which of two servers of one model is the better choice: the earlier here. */
const PREFERRED: readonly EngineState[] = ["ready", "busy", "asleep", "starting", "loadable", "dead", "draining"];

export class Engines {
  readonly #clock: Clock;
  readonly #engines: Engine[] = [];
  readonly #listeners = new Set<(engine: Engine) => void>();

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  get all(): readonly Engine[] {
    return this.#engines;
  }

  /** Adds a server to start, or one to adopt; `start` it, or leave that to `ready`. Throws InvalidOption, also for an address that another has. */
  add(options: EngineOptions): Engine {
    const engine = new Engine(options, this.#clock);
    const place = placeOf(engine);
    const other = place === undefined ? undefined : this.#engines.find((known) => placeOf(known) === place);
    if (other !== undefined) {
      throw nodeError(
        "InvalidOption",
        `the model servers of ${nameOf(other)} and ${nameOf(engine)} are both at ${place}`,
      );
    }
    this.#engines.push(engine);
    engine.onChange(() => {
      for (const listener of this.#listeners) listener(engine);
    });
    return engine;
  }

  /** The server of this model that is most ready for a request. */
  find(model: string): Engine | undefined {
    const rank = (engine: Engine) => PREFERRED.indexOf(engine.status.kind);
    return this.#engines.filter((engine) => engine.model === model).sort((one, other) => rank(one) - rank(other))[0];
  }

  /** Calls `listener` after each change of any of them. Answers what ends that. */
  onChange(listener: (engine: Engine) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** One for each that has a name for its model. */
  reports(): readonly EngineReport[] {
    return this.#engines.filter(({ model }) => model !== undefined).map((engine) => engine.report());
  }

  /** Stops them, the last added first, though none waits for another: all take nothing new at once. */
  async stopAll(graceMs?: number): Promise<void> {
    await Promise.all(this.#engines.toReversed().map((engine) => engine.stop(graceMs)));
  }
}

const nameOf = ({ model, url }: Engine): string => model ?? url ?? "";

/** Where it is for certain, before any start. */
function placeOf({ settings }: Engine): string | undefined {
  if (settings.kind === "adopted") return settings.url;
  return settings.port === 0 ? undefined : `http://127.0.0.1:${settings.port}`;
}
