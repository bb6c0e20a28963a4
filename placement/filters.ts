// May this node take this actor? One small function for each reason why not, in the order in which they are asked: the first objection is told.
//
// FI1  A candidate accepts actors, is not draining and knows the type or loads code. Its own node may be named although that accepts nobody
//      else's: who spawns has the class.
// FI2  `passes` is said when the objection may go by itself: what is taken is given back, a server is started again, a sibling ends.
// FI3  A node that reports nothing is judged by what it has in all; a model it cannot be known to have.

import type { EngineReport, NodeRecord, Rejection } from "../runtime/index.ts";
import type { Asked } from "./asked.ts";
import { engineOf, willDo } from "./engines.ts";
import { freeRoom, type Shortage, shortage, wholeRoom } from "./room.ts";

export type Objection = Omit<Rejection, "node">;
/** Undefined: it has nothing against this node. */
export type Filter = (record: NodeRecord, asked: Asked) => Objection | undefined;

export const named: Filter = ({ node, name }, { request }) =>
  request.node === undefined || request.node === node || request.node === name
    ? undefined
    : { reason: `the request names ${request.node}` };

export const refused: Filter = ({ node }, { request }) => {
  const refusal = request.refused?.find((each) => each.node === node);
  return refusal === undefined ? undefined : objection(refusal.reason, refusal.passes);
};

export const draining: Filter = ({ node, draining: drains }, { leaving }) =>
  drains || node === leaving ? objection("it is draining", true) : undefined;

export const accepting: Filter = (record, asked) =>
  record.accepts || isOwnAndNamed(record, asked) ? undefined : { reason: "it accepts no actors of others" };

export const typed: Filter = (record, asked) => {
  const { type } = asked.request;
  if (record.allowsCode || record.types.some((known) => known.type === type)) return undefined;
  if (isOwnAndNamed(record, asked)) return undefined;
  return { reason: `it does not know the type ${type}; it knows ${listed(typesOf(record))}` };
};

export const sound: Filter = ({ report }) => {
  const faults = report?.faults ?? [];
  return faults.length === 0 ? undefined : objection(`it is faulty: ${faults.join(", ")}`, true);
};

export const labelled: Filter = ({ labels }, { options }) => {
  if (options.labels === undefined) return undefined;
  for (const [name, value] of Object.entries(options.labels)) {
    if (!Object.hasOwn(labels, name)) return { reason: `it has no label ${name}; ${value} is asked for` };
    if (labels[name] !== value) return { reason: `its label ${name} is ${labels[name]}; ${value} is asked for` };
  }
  return undefined;
};

export const bundled: Filter = ({ node }, { options: { bundle } }) =>
  bundle === undefined || bundle.node === node
    ? undefined
    : { reason: `bundle ${bundle.index} of group ${bundle.group} is on ${bundle.node}` };

/** Strict forms of a strategy. A sibling elsewhere leaves only with its node, so that does not pass; one that is here may end. */
export const strict: Filter = ({ node }, { options: { strategy, near }, request, kin }) => {
  if (strategy === "strict-spread" && kin.has(node))
    return objection(`one of ${near ?? request.type} is there already`, true);
  if (strategy !== "strict-pack" || near === undefined || kin.size === 0 || kin.has(node)) return undefined;
  return { reason: `the others of ${near} are on ${[...kin.keys()].join(", ")}` };
};

export const resourced: Filter = (record, { need }) => {
  if (need === undefined) return undefined;
  const lacking = shortage(freeRoom(record), need);
  if (lacking === undefined) return undefined;
  const never = shortage(wholeRoom(record), need);
  return never === undefined ? objection(told(lacking, "free"), true) : { reason: told(never, "in all") };
};

export const modelled: Filter = (record, { options: { model } }) => {
  if (model === undefined) return undefined;
  const engine = engineOf(record, model);
  if (engine !== undefined) return willDo(engine) ? undefined : unusable(engine);
  const others = record.report?.engines.map((each) => each.model) ?? [];
  return { reason: `it has no server for ${model}; it has ${listed(others)}` };
};

/** All of them, in the order of the telling: who is meant, who is there, what it has, how it stands. */
export const FILTERS: readonly Filter[] = [
  named,
  draining,
  accepting,
  typed,
  labelled,
  bundled,
  strict,
  resourced,
  modelled,
  sound,
  refused,
];

/** Of a node that is to keep a part of a placement group. */
export const GROUP_FILTERS: readonly Filter[] = [draining, accepting, sound, refused];

/** The first objection to a node; undefined when it can take the actor. */
export function objectionTo(record: NodeRecord, asked: Asked, filters = FILTERS): Objection | undefined {
  for (const filter of filters) {
    const found = filter(record, asked);
    if (found !== undefined) return found;
  }
  return undefined;
}

/** "it has 2 cpus free; 4 asked for" */
export const told = ({ what, has, wants }: Shortage, of: "free" | "in all"): string =>
  `it has ${has} ${what} ${of}; ${wants} asked for`;

function unusable({ model, state, why }: EngineReport): Objection {
  const because = why === undefined ? "" : `: ${why}`;
  // Its daemon may start a dead one again.
  return objection(`its server for ${model} is ${state}${because}`, state === "dead");
}

const objection = (reason: string, passes: boolean | undefined): Objection =>
  passes === true ? { reason, passes } : { reason };

const isOwnAndNamed = ({ node }: NodeRecord, { request, here }: Asked): boolean =>
  node === here && request.node !== undefined;

/** What a node is made for: types that answer for the node itself are nobody's choice. */
const typesOf = ({ types }: NodeRecord): readonly string[] =>
  types.map(({ type }) => type).filter((type) => !type.startsWith("flotilla."));

const listed = (names: readonly string[]): string => names.join(", ") || "none";
