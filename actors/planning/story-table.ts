// The story table: which state may follow which, read from YAML and checked before anybody relies on it. And what it says of one story:
// what may happen next, and what stands against it.
// It is not who stores stories (planning-service.ts) nor what a guard looks at (guards.ts).
//
// TB1  A table that was read works: every name in it is known, every state can be reached and left, and from each there is a way to an end.
// TB2  Nothing changes a story's state but a transition of the table.

import type { Document, LineCounter, YAMLParseError } from "yaml";
import { z } from "zod";
import type { By } from "../events/envelope.ts";
import { planningError } from "./errors.ts";
import { feedbackGuard, GUARDS, humanGuard } from "./guards.ts";
import type { Available, Blocked } from "./planning-api.ts";
import type { Story } from "./story.ts";

/** The event that makes a story; the table has it from its initial state. */
export const CREATE_EVENT = "create_story";

export interface StoryTransition {
  readonly event: string;
  readonly from: string;
  readonly to: string;
  readonly guards: readonly string[];
  /** Only a person may make it, of one of these roles (none: any person). Null: anybody may. */
  readonly human: readonly string[] | null;
  /** What becomes of the story's plan. */
  readonly plan?: "approved" | "rejected";
  /** It goes back and needs feedback of `feedbackMin` characters. */
  readonly isReject: boolean;
  /** What the person is asked. */
  readonly question?: string;
}

export interface StoryTable {
  /** In the order of the work. */
  readonly states: readonly string[];
  readonly initial: string;
  readonly final: readonly string[];
  /** States in which a story's words may be changed. */
  readonly edit: readonly string[];
  /** States in which a plan may be proposed. */
  readonly plan: readonly string[];
  readonly transitions: readonly StoryTransition[];
  readonly feedbackMin: number;
}

/** Characters of a table's text. */
const TABLE_MAX = 64 * 1_024;

const state = z.string().regex(/^[A-Z][A-Z0-9_]{0,39}$/, "a state is 1 to 40 capital letters, digits and _");
const event = z.string().regex(/^[a-z][a-z0-9_]{0,39}$/, "an event is 1 to 40 small letters, digits and _");
const role = z.string().regex(/^[a-z][a-z0-9_-]{0,39}$/, "a role is 1 to 40 small letters, digits, _ and -");
const states = z.array(state).min(1).max(50);
const step = { event, from: state, to: state };

const textSchema = z.strictObject({
  states,
  initial: state,
  final: states,
  edit: z.array(state),
  plan: z.array(state),
  transitions: z
    .array(
      z.strictObject({
        ...step,
        guards: z.array(z.string()).default([]),
        human: z.union([z.array(role).min(1), z.literal("any")]).exactOptional(),
        plan: z.literal("approved").exactOptional(),
        question: z.string().min(1).max(200).exactOptional(),
      }),
    )
    .min(1),
  rejects: z.strictObject({
    feedbackMin: z.int().min(1).max(1_000),
    transitions: z.array(z.strictObject({ ...step, plan: z.literal("rejected").exactOptional() })),
  }),
});
type TableText = z.infer<typeof textSchema>;

interface Fault {
  readonly path: readonly PropertyKey[];
  readonly what: string;
}

/** Reads and checks a table (TB1). Throws StoryTableInvalid, which names the line. */
export async function readStoryTable(text: string): Promise<StoryTable> {
  if (text.length > TABLE_MAX) throw invalid(undefined, `it has ${text.length} characters; at most ${TABLE_MAX}`);
  const { parseDocument, LineCounter } = await import("yaml");
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, uniqueKeys: true });
  const [error] = document.errors;
  if (error !== undefined) throw invalid(lineOf(error, lines), error.message.split("\n", 1)[0] ?? "it is not YAML");
  const lineAt = (path: readonly PropertyKey[]): number | undefined => {
    for (let depth = path.length; depth > 0; depth--) {
      const node = document.getIn(path.slice(0, depth), true) as { readonly range?: readonly number[] } | undefined;
      if (node?.range?.[0] !== undefined) return lines.linePos(node.range[0]).line;
    }
    return undefined;
  };
  const parsed = textSchema.safeParse(plainOf(document));
  const [issue] = parsed.error?.issues ?? [];
  if (issue !== undefined) throw invalid(lineAt(issue.path), `${issue.path.join(".") || "it"}: ${issue.message}`);
  const table = parsed.data as TableText;
  const [fault] = [...namesWrong(table), ...waysWrong(table)];
  if (fault !== undefined) throw invalid(lineAt(fault.path), fault.what);
  return tableOf(table);
}

/** Aliases that multiply are refused by the package with an error of its own. */
function plainOf(document: Document): unknown {
  try {
    return document.toJS();
  } catch (error) {
    throw invalid(undefined, error instanceof Error ? error.message : String(error));
  }
}

const lineOf = (error: YAMLParseError, lines: LineCounter): number => lines.linePos(error.pos[0]).line;

function invalid(line: number | undefined, what: string) {
  const where = line === undefined ? "" : ` at line ${line}`;
  return planningError("StoryTableInvalid", `The story table cannot be used${where}: ${what}.`, {
    data: { line, what },
  });
}

function tableOf({ rejects, transitions, ...rest }: TableText): StoryTable {
  const forward = transitions.map(({ human, ...transition }) => ({
    ...transition,
    human: human === undefined ? null : human === "any" ? [] : human,
    isReject: false,
  }));
  const back = rejects.transitions.map((transition) => ({ ...transition, guards: [], human: [], isReject: true }));
  return { ...rest, transitions: [...forward, ...back], feedbackMin: rejects.feedbackMin };
}

/** Every transition with its place in the text. */
const placed = ({ transitions, rejects }: TableText) => [
  ...transitions.map((transition, index) => ({
    ...transition,
    path: ["transitions", index] as readonly PropertyKey[],
  })),
  ...rejects.transitions.map((transition, index) => ({
    ...transition,
    guards: [] as readonly string[],
    path: ["rejects", "transitions", index] as readonly PropertyKey[],
  })),
];

function* namesWrong(table: TableText): Generator<Fault> {
  const known = new Set(table.states);
  const unknown = (name: string) => `there is no state ${name}`;
  for (const [index, name] of table.states.entries())
    if (table.states.indexOf(name) < index) yield { path: ["states", index], what: `state ${name} is there twice` };
  if (!known.has(table.initial)) yield { path: ["initial"], what: unknown(table.initial) };
  for (const list of ["final", "edit", "plan"] as const)
    for (const [index, name] of table[list].entries())
      if (!known.has(name)) yield { path: [list, index], what: unknown(name) };
  const seen = new Set<string>();
  for (const { event, from, to, plan, guards: needed, path } of placed(table)) {
    if (!known.has(from)) yield { path: [...path, "from"], what: unknown(from) };
    if (!known.has(to)) yield { path: [...path, "to"], what: unknown(to) };
    if (seen.has(`${from} ${event}`)) yield { path, what: `${event} leaves ${from} twice` };
    seen.add(`${from} ${event}`);
    for (const guard of needed)
      if (!Object.hasOwn(GUARDS, guard))
        yield { path: [...path, "guards"], what: `no guard ${guard}; there are ${Object.keys(GUARDS).join(", ")}` };
    if (plan === "approved" && !needed.includes("plan_valid"))
      yield { path, what: `${event} approves the plan and so needs the guard plan_valid` };
  }
  const back = table.rejects.transitions;
  for (const [index, { from }] of back.entries())
    if (back.findIndex((other) => other.from === from) < index)
      yield { path: ["rejects", "transitions", index], what: `${from} has two ways back` };
  if (!table.transitions.some(({ event, from }) => event === CREATE_EVENT && from === table.initial))
    yield { path: ["initial"], what: `no transition ${CREATE_EVENT} leaves the initial state ${table.initial}` };
}

function* waysWrong(table: TableText): Generator<Fault> {
  const ways = placed(table);
  const ahead = spread([table.initial], (at) => ways.filter(({ from }) => from === at).map(({ to }) => to));
  const toEnd = spread(table.final, (at) => ways.filter(({ to }) => to === at).map(({ from }) => from));
  for (const [index, name] of table.states.entries()) {
    const path = ["states", index];
    const leaves = ways.some(({ from, to }) => from === name && to !== name);
    if (!ahead.has(name)) yield { path, what: `no way leads from ${table.initial} to ${name}` };
    if (table.final.includes(name) && leaves) yield { path, what: `${name} is final, and yet a transition leaves it` };
    if (!table.final.includes(name) && !leaves) yield { path, what: `nothing leaves ${name}, and it is not final` };
    if (!toEnd.has(name)) yield { path, what: `no way leads from ${name} to a final state` };
  }
}

/** Everything that `next` leads to from `from`. */
function spread(from: readonly string[], next: (at: string) => readonly string[]): ReadonlySet<string> {
  const reached = new Set(from);
  for (const at of reached) for (const to of next(at)) reached.add(to);
  return reached;
}

/** The transition that an event makes from a state. */
export const transitionFrom = (table: StoryTable, from: string, event: string): StoryTransition | undefined =>
  table.transitions.find((transition) => transition.from === from && transition.event === event);

/** The state's way back. */
export const rejectFrom = (table: StoryTable, from: string): StoryTransition | undefined =>
  table.transitions.find((transition) => transition.from === from && transition.isReject);

/** Names of all events, in the order of the table. */
export const eventsOf = (table: StoryTable): readonly string[] => [
  ...new Set(table.transitions.map(({ event }) => event)),
];

/** Whether `state` comes at or after `from` in the order of the work. */
export const isFrom = (table: StoryTable, from: string, state: string): boolean =>
  table.states.indexOf(state) >= table.states.indexOf(from);

/** What of the transition's guards stands against it. */
export const guardsAgainst = ({ guards }: StoryTransition, story: Story): readonly Blocked[] =>
  guards.flatMap((guard) => {
    const reason = GUARDS[guard]?.(story);
    return reason === undefined ? [] : [{ guard, reason }];
  });

/** What may happen next. Who makes it is not known yet, so a person that is needed stands against nothing. */
export const availableFor = (table: StoryTable, story: Story): readonly Available[] =>
  table.transitions
    .filter(({ from, event }) => from === story.state && event !== CREATE_EVENT)
    .map((transition) => ({
      ...{ event: transition.event, to: transition.to, human: transition.human },
      blocked: guardsAgainst(transition, story),
    }));

export interface Attempt {
  readonly event: string;
  readonly by: By;
  readonly feedback?: string;
}

/** The transition that the attempt makes, or all that stands against it. */
export function tryTransition(
  table: StoryTable,
  story: Story,
  { event, by, feedback }: Attempt,
): { readonly transition: StoryTransition } | { readonly blocked: readonly Blocked[] } {
  const transition = event === CREATE_EVENT ? undefined : transitionFrom(table, story.state, event);
  if (transition === undefined) {
    const states = table.transitions.filter((other) => other.event === event).map(({ from }) => from);
    return { blocked: [{ guard: "state", reason: `${event} leaves ${states.join(", ")}; it is in ${story.state}.` }] };
  }
  const person = transition.human === null ? undefined : humanGuard(transition.human, by);
  const why = transition.isReject ? feedbackGuard(table.feedbackMin, feedback) : undefined;
  const blocked = [...guardsAgainst(transition, story), person, why].filter((each) => each !== undefined);
  return blocked.length === 0 ? { transition } : { blocked };
}
