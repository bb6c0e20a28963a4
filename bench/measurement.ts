// A scenario and the peers that can do the same → one row, its rounds interleaved.
//
// ME1  One round of each contender in turn, then the next round: what disturbs the machine for a while disturbs all of them alike.
// ME2  A ratio is taken between figures of the same turn, and its spread is the spread of those ratios.
// ME3  Everybody is warmed by the same number of rounds, which are thrown away.
// ME4  A contender that fails loses its figure for this row, with the reason in its place, and nobody else's.

import type { Sample } from "./sample.ts";
import { NotMeasured, type Peer, type PeerName, type Running, type Scenario, type Setting } from "./scenario.ts";
import { type Summary, summarize } from "./stats.ts";

/** Summary over the rounds; the latencies are medians of the rounds' own. */
export interface Figures extends Summary {
  readonly p50Us?: number;
  readonly p99Us?: number;
}

export interface Missing {
  readonly notMeasured: string;
  /** A fault, and not what was known to be unmeasurable here. */
  readonly failed?: true;
}

/** A peer's figures and how many times those of the peer ours are. */
export type PeerFigures = Missing | (Figures & { readonly ratio?: Summary });

export interface Row {
  readonly id: string;
  readonly unit: string;
  readonly own: Figures | Missing;
  readonly peers: Readonly<Partial<Record<PeerName, PeerFigures>>>;
}

/** What became of a peer when it was to be started. */
export type Peers = ReadonlyMap<PeerName, Peer | Missing>;

export interface Rounds {
  readonly warmUps: number;
  readonly rounds: number;
}

type Outcome = Sample[] | Missing;

class Contender {
  readonly #start: () => Promise<Running>;
  #running: Running | undefined;
  outcome: Outcome = [];

  constructor(start: () => Promise<Running>) {
    this.#start = start;
  }

  async round(kept: boolean): Promise<void> {
    if (!Array.isArray(this.outcome)) return;
    try {
      this.#running ??= await this.#start();
      const sample = await this.#running.round();
      if (kept) this.outcome.push(sample);
    } catch (error) {
      this.outcome = missing(error);
    }
  }

  async stop(): Promise<void> {
    try {
      await this.#running?.stop();
    } catch (error) {
      this.outcome = missing(error);
    }
  }
}

/** What failed without saying that it could not be measured is shown whole: it is a fault of ours. */
function missing(error: unknown): Missing {
  if (error instanceof NotMeasured) return { notMeasured: error.message };
  console.error(error);
  return { notMeasured: `failed: ${error instanceof Error ? error.message : String(error)}`, failed: true };
}

export async function measure(scenario: Scenario, setting: Setting, peers: Peers, count: Rounds): Promise<Row> {
  const own = new Contender(() => scenario.start(setting));
  const others = new Map(
    [...peers].flatMap(([name, peer]) =>
      "notMeasured" in peer || !peer.rows.includes(scenario.id)
        ? []
        : [[name, new Contender(async () => peer.running(scenario.id, setting))] as const],
    ),
  );
  const contenders = [...others.values(), own];
  for (let round = 0; round < count.warmUps + count.rounds; round++) {
    for (const contender of contenders) await contender.round(round >= count.warmUps);
  }
  for (const contender of contenders) await contender.stop();
  const asked = new Set(scenario.bars.map((bar) => bar.of));
  const absent = [...peers].flatMap(([name, peer]) =>
    "notMeasured" in peer && asked.has(name) ? [[name, peer] as const] : [],
  );
  const measured = [...others].map(([name, other]) => [name, against(own.outcome, other.outcome)] as const);
  return {
    id: scenario.id,
    unit: scenario.unit,
    own: figures(own.outcome),
    peers: Object.fromEntries([...absent, ...measured]),
  };
}

function figures(outcome: Outcome): Figures | Missing {
  if (!Array.isArray(outcome)) return outcome;
  const median = (of: "p50Us" | "p99Us") => {
    const values = outcome.flatMap((sample) => sample[of] ?? []);
    return values.length === 0 ? {} : { [of]: summarize(values).value };
  };
  return { ...summarize(outcome.map(({ value }) => value)), ...median("p50Us"), ...median("p99Us") };
}

function against(own: Outcome, other: Outcome): PeerFigures {
  const shown = figures(other);
  if ("notMeasured" in shown || !Array.isArray(own) || !Array.isArray(other)) return shown;
  return { ...shown, ratio: ratios(own, other) };
}

/** Our figure over theirs, round by round (ME2). */
export function ratios(own: readonly Sample[], other: readonly Sample[]): Summary {
  return summarize(own.map(({ value }, round) => value / (other[round]?.value ?? Number.NaN)));
}
