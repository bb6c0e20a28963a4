// Amounts of what a node can grant, by name, and the port by which it grants them to the actors that are made on it.
// It knows no machine: what "gpus" are, and which of them an actor gets, is for the form of the port (nodes/).
//
// AD1  What is granted to one is granted to nobody else until it is released; the fractions of one device never add up to more than one.
// AD2  A refusal is an answer, never an exception, and changes nothing.
// AD3  A grant is a lease: whoever holds it renews it while the actor lives, releases it when the actor has ended (twice without harm), and
//      one that nobody renews lapses.

/**
 * Amounts by name. Known everywhere: `cpus` (cores; may be a fraction), `memoryBytes`, `gpus` (a fraction of one, or whole ones),
 * `gpuMemoryBytes` (on each of its GPUs), `modelSlots`. Any other name is the operator's own.
 */
export type Amounts = Readonly<Record<string, number>>;

/** What an actor needs of its node beyond a turn now and then. */
export interface Demand {
  readonly resources: Amounts;
  /** A model that a server on the node must have ready before the actor starts. */
  readonly model?: string;
  /** Taken from what this group has reserved there. */
  readonly bundle?: { readonly group: string; readonly index: number };
}

/** What an actor has been granted: plain data, also on the way to its own process. */
export interface Granted {
  readonly resources: Amounts;
  /** Ids of its GPUs, as the driver names them. */
  readonly devices: readonly string[];
  /** Variables that make its processes see those devices and no others; none for an actor without GPUs. */
  readonly environment: Readonly<Record<string, string>>;
}

export interface Grant extends Granted {
  readonly kind: "granted";
  /** Gives it all back. */
  release(): void;
}

export interface Refusal {
  readonly kind: "refused";
  readonly reason: string;
  /** Whether it may be granted later, on the same node as it is. */
  readonly passes: boolean;
}

/** Port: what a node grants to actors with a demand. */
export interface Admission {
  /** `holder`: the actor in words. Resolves late when a model has to be loaded first; a signal that aborts ends that, and nothing is granted. */
  admit(demand: Demand, holder: string, signal: AbortSignal): Grant | Refusal | Promise<Grant | Refusal>;
}
