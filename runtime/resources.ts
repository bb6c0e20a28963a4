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
  /** Default: nothing. */
  readonly resources?: Amounts;
  /** A model that a server on the node must have ready before the actor starts. */
  readonly model?: string;
  /** Taken from what this group has reserved there. */
  readonly bundle?: BundleKey;
}

/** One part of a placement group. */
export interface BundleKey {
  readonly group: string;
  readonly index: number;
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
  /** Says that its actor lives (AD3). */
  renew(): void;
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
  /** Sets amounts aside for one bundle of a placement group, for `ttlMs` from now and from each renewal. Undefined: done. */
  reserve(bundle: BundleKey, resources: Amounts, holder: string, ttlMs: number): Refusal | undefined;
  /** Keeps what a group has reserved here for `ttlMs` more. Answers whether it still had any. */
  renewGroup(group: string, ttlMs: number): boolean;
  /** Gives back what a group has reserved here; what its actors hold goes back when they end. */
  releaseGroup(group: string): void;
}
