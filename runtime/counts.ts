// Counts of one system as data: plain numbers that only grow, added to where things happen, copied out by `system.stats()`.
// It is no metrics library and keeps no times: whoever wants rates or charts samples it.
//
// CN1  Counting is one addition to a field; a reason's count is one look into a map that exists only for failures.
// CN2  A snapshot is plain data of its own, fit for JSON; it never changes after it was taken.
// CN3  What can still be counted when asked (live actors, waiting messages) is counted then, not kept.

/** How many were begun and how they ended; the difference is under way. */
export interface OutcomeStats {
  readonly started: number;
  readonly answered: number;
  readonly failed: number;
}

/** Counts of this process since `connect`. */
export interface SystemStats {
  /** Alive here now. */
  readonly actors: number;
  /** Made here, by whatever node; those that could not start are among them. */
  readonly spawned: number;
  /** Lives that began after a failure. */
  readonly restarted: number;
  /** Messages in the mailboxes of the actors here now, not yet begun. Counted on asking: a walk over all actors. */
  readonly waiting: number;
  /** Messages that actors here did not take, by error code: MailboxFull, Deadlock, NoSuchActor. */
  readonly refused: Readonly<Record<string, number>>;
  /** Calls made from here. */
  readonly calls: OutcomeStats;
  /** Streams begun from here; "answered" is read to the end or left. */
  readonly streams: OutcomeStats;
  /** What this system asked of other nodes: spawn, stop, kill. */
  readonly questions: OutcomeStats;
  /** Calls, streams and questions from here that failed, by error code. */
  readonly failures: Readonly<Record<string, number>>;
  /** Casts made from here. */
  readonly casts: number;
  /** Chunks of streams that came here. */
  readonly chunks: number;
  /** Messages nobody took and nobody waits for. */
  readonly deadLetters: number;
  /** Other nodes that something has passed to or from, and that are not known to have gone. */
  readonly peers: number;
  /** What was asked of them and what they asked of us, not yet answered; watches are not among it. */
  readonly underWay: number;
  readonly framesIn: number;
  readonly framesOut: number;
  readonly bytesIn: number;
  readonly bytesOut: number;
  /** Frames and envelopes dropped because they were none of ours. */
  readonly badFrames: number;
  readonly eventsPublished: number;
  readonly eventsDelivered: number;
  /** Events passed over because they were none of ours. */
  readonly badEvents: number;
  /** Tasks accepted from here. */
  readonly tasksSubmitted: number;
  /** Attempts begun here, of whoever's tasks. */
  readonly taskAttempts: number;
  /** Results recorded from here. */
  readonly tasksDone: number;
  /** Tasks given up here: they are on the dead-letter list. */
  readonly tasksDead: number;
}

/** Codes are a fixed list, but those in other nodes' answers are only texts: their number must not be the sender's choice. */
const CODES_MAX = 100;
const OTHER = "other";

class Codes {
  readonly #counts = new Map<string, number>();

  add(code: string): void {
    const known = this.#counts.get(code);
    if (known === undefined && this.#counts.size >= CODES_MAX && code !== OTHER) return this.add(OTHER);
    this.#counts.set(code, (known ?? 0) + 1);
  }

  snapshot(): Readonly<Record<string, number>> {
    return Object.fromEntries(this.#counts);
  }
}

/** One kind of question: see OutcomeStats. */
export class Outcomes {
  started = 0;
  answered = 0;
  failed = 0;
  readonly #failures: Codes;

  constructor(failures: Codes) {
    this.#failures = failures;
  }

  fail(code: string): void {
    this.failed++;
    this.#failures.add(code);
  }

  snapshot(): OutcomeStats {
    const { started, answered, failed } = this;
    return { started, answered, failed };
  }
}

/** What is counted only on asking (CN3). */
export type LiveStats = Pick<SystemStats, "actors" | "waiting" | "deadLetters" | "peers" | "underWay">;

export class Counts {
  readonly refused = new Codes();
  readonly #failures = new Codes();
  readonly calls = new Outcomes(this.#failures);
  readonly streams = new Outcomes(this.#failures);
  readonly questions = new Outcomes(this.#failures);
  spawned = 0;
  restarted = 0;
  casts = 0;
  chunks = 0;
  framesIn = 0;
  framesOut = 0;
  bytesIn = 0;
  bytesOut = 0;
  badFrames = 0;
  eventsPublished = 0;
  eventsDelivered = 0;
  badEvents = 0;
  tasksSubmitted = 0;
  taskAttempts = 0;
  tasksDone = 0;
  tasksDead = 0;

  snapshot(live: LiveStats): SystemStats {
    const { refused, calls, streams, questions, ...numbers } = this;
    return {
      ...live,
      ...numbers,
      refused: refused.snapshot(),
      failures: this.#failures.snapshot(),
      calls: calls.snapshot(),
      streams: streams.snapshot(),
      questions: questions.snapshot(),
    };
  }
}
