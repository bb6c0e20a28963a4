// What a daemon grants: amounts and devices from its ledger, and a model server that is ready beside the actor. The Admission port in whole.
//
// DA1  A model that is loading is a refusal that passes, at once: whoever waits for a place waits where the fleet can see it, and may get
//      another one. To be asked for a model that can be loaded is what begins its loading.
// DA2  A server that sleeps is woken, which takes a moment, and then granted.
// DA3  Once it is closed it grants nothing.

import type { Admission, Amounts, BundleKey, Demand, Grant, Refusal } from "../../runtime/index.ts";
import type { Engine } from "../engine/engine.ts";
import type { Engines } from "../engine/engines.ts";
import { refused } from "../resources/amounts.ts";
import type { Ledger } from "../resources/ledger.ts";

export class DaemonAdmission implements Admission {
  readonly #ledger: Ledger;
  readonly #engines: Engines;
  #closed: string | undefined = undefined;

  constructor(ledger: Ledger, engines: Engines) {
    this.#ledger = ledger;
    this.#engines = engines;
  }

  admit(demand: Demand, holder: string, signal: AbortSignal): Grant | Refusal | Promise<Grant | Refusal> {
    if (this.#closed !== undefined) return refused(this.#closed, false);
    const { model } = demand;
    if (model === undefined) return this.#ledger.admit(demand, holder, signal);
    const engine = this.#engines.find(model);
    if (engine === undefined) return refused(this.#none(model), false);
    const { kind } = engine.status;
    if (kind === "ready" || kind === "busy") return this.#ledger.admit(demand, holder, signal);
    return kind === "asleep" ? this.#wake(engine, demand, holder, signal) : unready(engine, model);
  }

  async #wake(engine: Engine, demand: Demand, holder: string, signal: AbortSignal): Promise<Grant | Refusal> {
    try {
      await engine.ready(signal);
    } catch (error) {
      return refused(error instanceof Error ? error.message : String(error), true);
    }
    return this.#ledger.admit(demand, holder, signal);
  }

  #none(model: string): string {
    const models = this.#engines.all.flatMap((engine) => engine.model ?? []);
    return `it has no server for ${model}; it has ${models.join(", ") || "none"}`;
  }

  reserve({ group, index }: BundleKey, resources: Amounts, holder: string, ttlMs: number): Refusal | undefined {
    if (this.#closed !== undefined) return refused(this.#closed, false);
    const reserved = this.#ledger.reserve(group, index, resources, holder, ttlMs);
    return reserved.kind === "refused" ? reserved : undefined;
  }

  renewGroup(group: string, ttlMs: number): boolean {
    const leases = this.#reservations(group);
    return leases.map(({ id }) => this.#ledger.renew(id, ttlMs)).some(Boolean);
  }

  releaseGroup(group: string): void {
    for (const { id } of this.#reservations(group)) this.#ledger.release(id);
  }

  #reservations(group: string) {
    return this.#ledger.leases().filter(({ bundle, isReservation }) => isReservation && bundle?.group === group);
  }

  /** Why it grants nothing any more; undefined: it does. */
  get closed(): string | undefined {
    return this.#closed;
  }

  /** From now on it grants nothing, and says why (DA3): the first reason stays. */
  close(why: string): void {
    this.#closed ??= why;
  }
}

/** Why a server that is not ready will not do now; begins to load one that nobody has started (DA1). */
function unready(engine: Engine, model: string): Refusal {
  const { status } = engine;
  switch (status.kind) {
    case "loadable":
      engine.start().catch(() => {
        // It is told in the server's state, which the fleet sees.
      });
      return refused(`${model} is being loaded`, true);
    case "starting":
      return refused(`${model} is being loaded`, true);
    case "dead":
      return refused(`its server for ${model} is dead: ${status.why}`, status.returns !== "never");
    default:
      return refused(`its server for ${model} is ${status.kind}`, true);
  }
}
