// How well does this node suit, 0 to 1? One scorer for each thing that matters; those that do not concern a request are left out of it.
//
// SC1  A node's score is the mean of its parts by weight.
// SC2  A weight that is to decide is greater than the sum of those below it: `room` before all, then `near`.
// SC3  `near` keeps a council beside one model server until that is saturated (engines.ts, EN2): a server that is saturated counts as one without siblings,
//      so the rest gathers beside the next one, and comes back when the first has room again.
// SC4  Measures are ratios to the best of the field or shares of a whole, never differences: one actor more or less is nothing among a thousand.

import type { EngineReport, NodeRecord, NodeScore } from "../runtime/index.ts";
import type { Asked } from "./asked.ts";
import { engineOf, isSaturated, loadOf, READINESS } from "./engines.ts";
import { freeRoom, gpuFit, type Room, shortage, usedShare } from "./room.ts";

/** A candidate, looked at once for all scorers. */
interface Seen {
  readonly record: NodeRecord;
  /** Live actors, and those just placed. */
  readonly actors: number;
  /** Siblings that count (SC3). */
  readonly kin: number;
  readonly engine: EngineReport | undefined;
  /** Sent to that server since its report. */
  readonly recent: number;
  /** Less what was just placed; undefined when nothing is asked for. */
  readonly room: Room | undefined;
  /** What was just placed leaves too little. */
  readonly isFilled: boolean;
}

/** What others of the field have, to measure by. */
interface Field {
  readonly leastActors: number;
  readonly mostActors: number;
  readonly leastKin: number;
  readonly mostKin: number;
}

export interface Scorer {
  readonly name: string;
  readonly weight: number;
  readonly concerns: (asked: Asked) => boolean;
  readonly score: (seen: Seen, asked: Asked, field: Field) => number;
}

const packs = ({ options: { strategy } }: Asked) => strategy === "pack" || strategy === "strict-pack";
const spreads = ({ options: { strategy } }: Asked) => strategy === "spread" || strategy === "strict-spread";

/** Weights and scorers, the heaviest first (SC2). */
export const SCORERS: readonly Scorer[] = [
  {
    // Full of what was just placed there: the node would only refuse.
    name: "room",
    weight: 64,
    concerns: ({ need }) => need !== undefined,
    score: ({ isFilled }) => (isFilled ? 0 : 1),
  },
  {
    name: "near",
    weight: 32,
    concerns: (asked) => spreads(asked) || asked.options.near !== undefined,
    score: ({ kin }, asked, { leastKin, mostKin }) =>
      spreads(asked) ? (1 + leastKin) / (1 + kin) : mostKin === 0 ? 0 : kin / mostKin,
  },
  {
    name: "nodes",
    weight: 8,
    concerns: ({ options: { nodes = [] } }) => nodes.length > 0,
    score: ({ record: { node, name } }, { options: { nodes = [] } }) =>
      nodes.includes(node) || nodes.includes(name) ? 1 : 0,
  },
  {
    name: "prefer",
    weight: 4,
    concerns: ({ options: { prefer = {} } }) => Object.keys(prefer).length > 0,
    score: ({ record: { labels } }, { options: { prefer = {} } }) => {
      const wanted = Object.entries(prefer);
      const met = wanted.filter(([name, value]) => Object.hasOwn(labels, name) && labels[name] === value);
      return met.length / wanted.length;
    },
  },
  {
    name: "ready",
    weight: 4,
    concerns: ({ options: { model } }) => model !== undefined,
    score: ({ engine }) => (engine === undefined ? 0 : READINESS[engine.state]),
  },
  {
    name: "gpu-fit",
    weight: 4,
    concerns: ({ need }) => need !== undefined && need.devices > 0,
    score: ({ room }, { need }) => (room === undefined || need === undefined ? 0 : gpuFit(room, need)),
  },
  {
    name: "idle",
    weight: 2,
    concerns: ({ options: { model } }) => model !== undefined,
    score: ({ engine, recent }) => (engine === undefined ? 0 : 1 / (1 + loadOf(engine, recent))),
  },
  {
    // Those that want neither GPU nor model leave the machines that have them to the others. A council wants one, whether it says which or not.
    name: "no-gpu",
    weight: 2,
    concerns: ({ need, options: { model, near } }) =>
      model === undefined && near === undefined && (need === undefined || need.devices === 0),
    score: ({ record: { report, resources } }) =>
      (report?.gpus.length ?? 0) > 0 || (resources?.gpus ?? 0) > 0 ? 0 : 1,
  },
  {
    name: "fit",
    weight: 2,
    concerns: ({ need }) => need !== undefined && need.amounts.length > 0,
    score: ({ room, record: { resources } }, asked) => {
      if (room === undefined) return 0;
      const used = usedShare(resources, room, asked.need);
      return packs(asked) ? used : 1 - used;
    },
  },
  {
    name: "actors",
    weight: 1,
    concerns: () => true,
    score: ({ actors }, asked, { leastActors, mostActors }) =>
      packs(asked) ? (1 + actors) / (1 + mostActors) : (1 + leastActors) / (1 + actors),
  },
];

/** The score of each candidate, in their order. */
export function scoresOf(candidates: readonly NodeRecord[], asked: Asked): NodeScore[] {
  const seen = candidates.map((record) => look(record, asked));
  const field = fieldOf(seen);
  const scorers = SCORERS.filter(({ concerns }) => concerns(asked));
  const weights = scorers.reduce((sum, { weight }) => sum + weight, 0);
  return seen.map((each) => {
    const parts: Record<string, number> = {};
    let sum = 0;
    for (const { name, weight, score } of scorers) {
      const part = within(score(each, asked, field));
      parts[name] = part;
      sum += weight * part;
    }
    return { node: each.record.node, score: sum / weights, parts };
  });
}

/** A report may say anything. */
const within = (part: number): number => (part > 0 ? Math.min(part, 1) : 0);

function look(record: NodeRecord, asked: Asked): Seen {
  const { options, need, kin } = asked;
  const recent = asked.recent.get(record.node);
  const left = recent?.room;
  const isAboutEngines = options.model !== undefined || options.near !== undefined;
  const engine = isAboutEngines ? engineOf(record, options.model) : undefined;
  const sent = engine === undefined ? 0 : (recent?.models.get(engine.model) ?? 0);
  const isFull = engine !== undefined && !packs(asked) && !spreads(asked) && isSaturated(engine, sent);
  return {
    record,
    actors: finite(record.report?.actors) + (recent?.actors ?? 0),
    kin: isFull ? 0 : (kin.get(record.node) ?? 0),
    engine,
    recent: sent,
    room: need === undefined ? undefined : (left ?? freeRoom(record)),
    // Nothing was placed: a filter has found that the room reported is enough.
    isFilled: need !== undefined && left !== undefined && shortage(left, need) !== undefined,
  };
}

const finite = (count = 0): number => (count > 0 && count < Number.POSITIVE_INFINITY ? count : 0);

function fieldOf(seen: readonly Seen[]): Field {
  let [leastActors, mostActors, leastKin, mostKin] = [Number.POSITIVE_INFINITY, 0, Number.POSITIVE_INFINITY, 0];
  for (const { actors, kin } of seen) {
    leastActors = Math.min(leastActors, actors);
    mostActors = Math.max(mostActors, actors);
    leastKin = Math.min(leastKin, kin);
    mostKin = Math.max(mostKin, kin);
  }
  return { leastActors, mostActors, leastKin, mostKin };
}
