// What this node has granted to actors on it: asked of the Admission port before an actor is made, renewed while it lives, given back
// when it has ended. It counts nothing itself (the port does) and makes no actor.
//
// GR1  No actor with a demand is made without a grant, and a grant whose actor was not made goes back at once.
// GR2  A grant goes back once, when its actor's last life has ended, wherever that lives: in this process or in one of its own.

import type { Address } from "./address.ts";
import type { Clock, Timer } from "./clock.ts";
import type { ActorEnd } from "./envelope.ts";
import { runtimeError } from "./errors.ts";
import type { SpawnRequest } from "./host.ts";
import type { Admission, Demand, Grant, Granted } from "./resources.ts";

export interface GrantsOptions {
  readonly node: string;
  readonly clock: Clock;
  /** Absent: this node grants nothing. */
  readonly admission: Admission | undefined;
  /** Whether a node other than this one is a process of this one; undefined when it is not known yet. */
  readonly isPart: (node: string) => boolean | undefined;
  /** Calls `onEnd` once when the actor has ended, wherever it lives. */
  readonly watch: (address: Address, onEnd: (end: ActorEnd) => void) => unknown;
}

/** A third of the time for which grants are usually good. */
const RENEW_MS = 10_000;

/** What a request demands of its node; undefined for one that only wants a turn now and then. */
export function demandOf({ resources, placement }: SpawnRequest): Demand | undefined {
  const { model, bundle } = placement ?? {};
  if (resources === undefined && model === undefined && bundle === undefined) return undefined;
  return {
    ...(resources !== undefined && { resources }),
    ...(model !== undefined && { model }),
    ...(bundle !== undefined && { bundle: { group: bundle.group, index: bundle.index } }),
  };
}

export class Grants {
  readonly #options: GrantsOptions;
  /** By the actor's node and id: that of a process of its own, or this one. */
  readonly #held = new Map<string, Grant>();
  readonly #closing = new AbortController();
  #renewal: Timer | undefined = undefined;

  constructor(options: GrantsOptions) {
    this.#options = options;
  }

  /** Makes an actor with what it demands. Throws ResourcesTaken, and what `make` throws. */
  async with(
    request: SpawnRequest,
    demand: Demand,
    make: (request: SpawnRequest) => Address | Promise<Address>,
  ): Promise<Address> {
    const grant = await this.#admit(request, demand);
    try {
      const { resources, devices, environment } = grant;
      const granted: Granted = { resources, devices, environment };
      const address = await make({ ...request, granted });
      this.#hold(address, grant);
      return address;
    } catch (error) {
      grant.release();
      throw error;
    }
  }

  async #admit({ type, name }: SpawnRequest, demand: Demand): Promise<Grant> {
    const { node, admission } = this.#options;
    const holder = name === undefined ? type : `${type} "${name}"`;
    const answer = (await admission?.admit(demand, holder, this.#closing.signal)) ?? NOTHING;
    if (answer.kind === "granted") return answer;
    const { reason, passes } = answer;
    throw runtimeError("ResourcesTaken", `${node} cannot take ${holder}: ${reason}`, {
      data: { node, reason, passes },
    });
  }

  #hold(address: Address, grant: Grant): void {
    const { node, isPart } = this.#options;
    const key = `${address.node}/${address.id}`;
    // The name was held by somebody already: that one has what it was granted.
    if (this.#held.has(key) || (address.node !== node && isPart(address.node) === false)) return grant.release();
    this.#held.set(key, grant);
    this.#renewal ??= this.#options.clock.schedule(RENEW_MS, () => this.#renew());
    this.#options.watch(address, () => {
      this.#held.delete(key);
      grant.release();
    });
  }

  #renew(): void {
    this.#renewal = undefined;
    for (const grant of this.#held.values()) grant.renew();
    if (this.#held.size > 0) this.#renewal = this.#options.clock.schedule(RENEW_MS, () => this.#renew());
  }

  close(): void {
    this.#closing.abort(runtimeError("Closed", "the system was closed"));
    this.#renewal?.cancel();
  }
}

const NOTHING = {
  kind: "refused",
  reason: "it grants no resources and has no models; nodes that do are started with: flotilla node",
  passes: false,
} as const;
