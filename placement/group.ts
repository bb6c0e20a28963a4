// Where the bundles of a placement group can be reserved: all of them or none. Pure: it reserves nothing, and the same snapshot and seed give the same plan.
//
// GR1  Bundles on one node add up: each takes from what those before it have left.
// GR2  A plan that exists is found for groups of up to 8 bundles, by trying, the bundle with the fewest nodes first. Of `n` bundles each need look at
//      only `n` nodes that could take it alone: the others occupy at most `n - 1` of them. What has led nowhere once is not tried again in
//      another order of equal bundles, nor anything when all there is would not do. What is tried is bounded, and a plan that was not found
//      within that is not said not to exist.
// GR3  What this placer has just placed is kept out of the way where that leaves a plan; else the reports decide (snapshot.ts, SN1).
// GR4  "pack" is one node where that goes, else few; "spread" is a node for each where that goes, else even.

import type { Amounts, GroupPlan, GroupStrategy, NodeRecord, Random, Rejection } from "../runtime/index.ts";
import { askedOf } from "./asked.ts";
import { GROUP_FILTERS, type Objection, objectionTo, told } from "./filters.ts";
import {
  exceeds,
  freeRoom,
  type Need,
  NO_NEED,
  needOf,
  type Room,
  shortage,
  take,
  usedShare,
  wholeRoom,
} from "./room.ts";
import { placesOf, type Snapshot } from "./snapshot.ts";

const STEPS_MAX = 20_000;

interface Bundle {
  readonly index: number;
  readonly need: Need;
  /** Index of the first bundle that asks for the same. */
  readonly kind: number;
}

interface Host {
  readonly record: NodeRecord;
  room: Room;
  /** Kinds of the bundles on it in what is tried now. */
  readonly kinds: number[];
}

/** The host of each bundle, by index. */
type Assigned = readonly Host[];
type Outcome = Assigned | "none" | "gave up";

/** How hosts are taken: those in use first, the least used first, or each once. */
type Rule = "packed" | "even" | "distinct";

/** Finds a node for each bundle, by the amounts it reserves. */
export function planGroup(
  bundles: readonly Amounts[],
  strategy: GroupStrategy,
  snapshot: Snapshot,
  random: Random,
  refused: readonly Rejection[] = [],
): GroupPlan {
  const needed = bundlesOf(bundles);
  const asked = askedOf({ type: "", refused }, snapshot);
  const judged = placesOf(snapshot).map((record) => ({ record, objection: objectionTo(record, asked, GROUP_FILTERS) }));
  const able = judged.flatMap(({ record, objection }) => (objection === undefined ? [record] : []));
  const records = shuffled(able, random);
  const attempt = (roomOf: (record: NodeRecord) => Room): Outcome => {
    const hosts = records.map((record) => ({ record, room: roomOf(record), kinds: [] }));
    return assign(needed, strategy, byUse(hosts, strategy));
  };
  const recentRoom = ({ node }: NodeRecord) => snapshot.recent.get(node)?.room;
  const careful = attempt((record) => recentRoom(record) ?? freeRoom(record));
  const found = !isFound(careful) && records.some(recentRoom) ? attempt(freeRoom) : careful;
  if (isFound(found)) return { kind: "planned", nodes: found.map(({ record }) => record.node) };
  const passes = attempt(wholeRoom) !== "none";
  const rejected = judged.map(({ record, objection }) => ({
    node: record.node,
    ...(objection ?? lacking(record, needed, passes)),
  }));
  const why = found === "gave up" ? `no plan was found in ${STEPS_MAX} tries` : reasonFor(needed, strategy, able);
  return { kind: "unplannable", why, rejected, passes: passes || rejected.some(maySoon) };
}

function bundlesOf(all: readonly Amounts[]): Bundle[] {
  const needs = all.map((amounts) => needOf(amounts) ?? NO_NEED);
  const words = needs.map((need) => JSON.stringify(need));
  return needs.map((need, index) => ({ index, need, kind: words.indexOf(words[index] ?? "") }));
}

const isFound = (outcome: Outcome): outcome is Assigned => typeof outcome !== "string";
const maySoon = ({ passes }: Rejection) => passes === true;

function assign(bundles: readonly Bundle[], strategy: GroupStrategy, hosts: readonly Host[]): Outcome {
  switch (strategy) {
    case "strict-pack":
      return onOne(bundles, hosts);
    case "strict-spread":
      return search(bundles, hosts, "distinct");
    case "pack": {
      const together = onOne(bundles, hosts);
      return isFound(together) ? together : search(bundles, hosts, "packed");
    }
    case "spread": {
      const apart = search(bundles, hosts, "distinct");
      return isFound(apart) ? apart : search(bundles, hosts, "even");
    }
  }
}

/** All on the first host that can take them, from the most GPUs to the least. */
function onOne(bundles: readonly Bundle[], hosts: readonly Host[]): Outcome {
  const largestFirst = bundles.toSorted(bySize);
  const host = hosts.find(({ room }) => {
    let left: Room | undefined = room;
    for (const { need } of largestFirst) left = left && take(left, need);
    return left !== undefined;
  });
  return host === undefined ? "none" : bundles.map(() => host);
}

/** GR2. Hosts are changed while it tries, and are as before when it finds nothing. */
function search(bundles: readonly Bundle[], hosts: readonly Host[], rule: Rule): Outcome {
  const [needs, rooms] = [bundles.map(({ need }) => need), hosts.map(({ room }) => room)];
  if (exceeds(needs, rooms)) return "none";
  const options = bundles.map(({ need }) => hosts.filter(({ room }) => shortage(room, need) === undefined));
  const choices = (bundle: Bundle) => options[bundle.index] ?? [];
  const order = bundles.toSorted((a, b) => choices(a).length - choices(b).length || bySize(a, b));
  const assigned: Host[] = [];
  const deadEnds = new Set<string>();
  let steps = 0;
  const visit = (depth: number): boolean => {
    const bundle = order[depth];
    if (bundle === undefined) return true;
    const state = stateOf(hosts);
    if (deadEnds.has(state)) return false;
    for (const host of inOrder(choices(bundle), bundles.length, rule)) {
      if (++steps > STEPS_MAX) return false;
      const before = host.room;
      const after = take(before, bundle.need);
      if (after === undefined) continue;
      host.room = after;
      host.kinds.push(bundle.kind);
      assigned[bundle.index] = host;
      if (visit(depth + 1)) return true;
      host.room = before;
      host.kinds.pop();
    }
    deadEnds.add(state);
    return false;
  };
  if (visit(0)) return assigned;
  return steps > STEPS_MAX ? "gave up" : "none";
}

/** Which kinds of bundles lie where: the same state leaves the same to be done. */
const stateOf = (hosts: readonly Host[]): string => hosts.map(({ kinds }) => kinds.join()).join(" ");

/** Those worth a try (GR2), in the order in which to try them. */
function inOrder(choices: readonly Host[], count: number, rule: Rule): readonly Host[] {
  const few = choices.slice(0, count);
  if (rule === "distinct") return few.filter(({ kinds }) => kinds.length === 0);
  if (rule === "even") return few.sort((a, b) => a.kinds.length - b.kinds.length);
  const used = choices.filter(({ kinds }) => kinds.length > 0);
  return [...used, ...few.filter(({ kinds }) => kinds.length === 0)];
}

const bySize = ({ need: a }: Bundle, { need: b }: Bundle) =>
  b.gpus - a.gpus || b.gpuMemoryBytes - a.gpuMemoryBytes || b.amounts.length - a.amounts.length;

/** The fullest first for what packs, else the emptiest. */
function byUse(hosts: readonly Host[], strategy: GroupStrategy): readonly Host[] {
  const sign = strategy === "pack" || strategy === "strict-pack" ? -1 : 1;
  const used = new Map(hosts.map((host) => [host, usedShare(host.record.resources, host.room)]));
  return hosts.toSorted((a, b) => sign * ((used.get(a) ?? 0) - (used.get(b) ?? 0)));
}

function shuffled<T>(list: readonly T[], random: Random): T[] {
  const drawn = list.map((item) => ({ item, at: random.next() }));
  return drawn.sort((a, b) => a.at - b.at).map(({ item }) => item);
}

/** What a node lacks that may keep parts of a group. */
function lacking(record: NodeRecord, bundles: readonly Bundle[], passes: boolean): Objection {
  const passing = (isPassing: boolean) => (isPassing ? { passes: true } : {});
  for (const { index, need } of bundles) {
    const never = shortage(wholeRoom(record), need);
    if (never !== undefined) return { reason: `bundle ${index}: ${told(never, "in all")}` };
    const now = shortage(freeRoom(record), need);
    if (now !== undefined) return { reason: `bundle ${index}: ${told(now, "free")}`, ...passing(true) };
  }
  return { reason: "it can take each bundle, but not its part of all of them", ...passing(passes) };
}

function reasonFor(bundles: readonly Bundle[], strategy: GroupStrategy, records: readonly NodeRecord[]): string {
  const isHopeless = ({ need }: Bundle) => !records.some((record) => shortage(freeRoom(record), need) === undefined);
  const hopeless = bundles.find(isHopeless);
  if (hopeless !== undefined) return `no node can take bundle ${hopeless.index}`;
  if (strategy === "strict-pack") return `no node can take all ${bundles.length} bundles`;
  const apart = strategy === "strict-spread" ? ", each on a node of its own" : "";
  return `the ${bundles.length} bundles do not fit on ${records.length} nodes${apart}`;
}
