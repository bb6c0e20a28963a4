// What waits for a person, derived: a story in whose state there is a transition that only a person may make, with nothing else against it.
// What was derived is kept with the story, so that each gate is told of once and an answer to an old one is never taken for the new one.
// It is not the transition itself (story-changes.ts) nor questions of tools (asks.ts).
//
// GA1  A gate is of an event and of what is judged: the version at which the story's words, plan, tasks, reports or state last changed. When
//      they change, the gate ends as `expired`, and a new one with another id opens if nothing is against it.
// GA2  A gate that was decided does not open again for what was judged: a story that was sent back waits for an edit, not for its judge.

import { z } from "zod";
import { type By, bySchema } from "../events/envelope.ts";
import { type Approval, approvalSchema, type Story } from "./story.ts";
import { guardsAgainst, type StoryTable, type StoryTransition } from "./story-table.ts";

export const gateSchema = approvalSchema
  .pick({ question: true, roles: true, status: true, feedback: true, sinceMs: true })
  .extend({ event: z.string(), judged: z.int(), decidedBy: bySchema.exactOptional() });
export type Gate = Readonly<z.infer<typeof gateSchema>>;

/** Gates of one story that are remembered. */
const GATES_MAX = 20;

export const gateId = (storyId: string, { event, judged }: Pick<Gate, "event" | "judged">): string =>
  `gate-${storyId}-${event}-${judged}`;

/** What an id of a gate names; undefined for any other. */
export function gateNamed(id: string): { storyId: string; event: string; judged: number } | undefined {
  const [, storyId, event, judged] = /^gate-(.+)-([a-z0-9_]+)-(\d+)$/.exec(id) ?? [];
  if (storyId === undefined || event === undefined) return undefined;
  return { storyId, event, judged: Number(judged) };
}

export const approvalOf = (storyId: string, { event, judged, ...gate }: Gate): Approval => ({
  ...gate,
  id: gateId(storyId, { event, judged }),
  kind: "gate",
  storyId,
  subject: event,
});

export interface GateChange {
  readonly story: Story;
  readonly judged: number;
  readonly by: By;
  /** The transition that was made, if one was. */
  readonly made?: StoryTransition;
  readonly feedback?: string;
  readonly nowMs: number;
}

export interface Gates {
  readonly gates: readonly Gate[];
  readonly closed: readonly Gate[];
  readonly opened: readonly Gate[];
}

/** The story's gates after a change of it. */
export function gatesAfter(table: StoryTable, before: readonly Gate[], change: GateChange): Gates {
  const { story, judged, nowMs } = change;
  const wanted = table.transitions.filter(
    (transition) =>
      transition.from === story.state &&
      transition.human !== null &&
      !transition.isReject &&
      guardsAgainst(transition, story).length === 0,
  );
  const stands = (gate: Gate) =>
    gate.status !== "waiting" ||
    (change.made === undefined && gate.judged === judged && wanted.some(({ event }) => event === gate.event));
  const closed: Gate[] = [];
  const kept = before.map((gate) => {
    if (stands(gate)) return gate;
    const ended = endOf(gate, change);
    closed.push(ended);
    return ended;
  });
  const opened = wanted
    .filter(({ event }) => !kept.some((gate) => gate.event === event && gate.judged === judged))
    .map(
      ({ event, human, question }): Gate => ({
        ...{ event, judged, roles: [...(human ?? [])], status: "waiting", sinceMs: nowMs },
        question: `${story.title}: ${question ?? `may ${event} be made?`}`,
      }),
    );
  return { gates: [...kept, ...opened].slice(-GATES_MAX), closed, opened };
}

function endOf(gate: Gate, { made, by, feedback }: GateChange): Gate {
  const decided = { ...gate, decidedBy: by, ...(feedback !== undefined && { feedback }) };
  if (made?.event === gate.event) return { ...decided, status: "approved" };
  if (made?.isReject) return { ...decided, status: "rejected" };
  return { ...gate, decidedBy: by, status: "expired" };
}
