// The states of a model server, by table: every state meets every event.

import { expect, it } from "vitest";
import { type EngineEvent, type EngineStatus, nextState } from "../../../nodes/engine/state.ts";
import { nodeError } from "../../../nodes/errors.ts";
import type { EngineState } from "../../../runtime/index.ts";

const failure = nodeError("EngineFailed", "it broke");
const stopped = nodeError("EngineStopped", "it was stopped");

const EVENTS: Readonly<Record<string, EngineEvent>> = {
  start: { kind: "start" },
  attached: { kind: "attached", isAsleep: false },
  "attached asleep": { kind: "attached", isAsleep: true },
  full: { kind: "load", full: "no room" },
  room: { kind: "load" },
  lost: { kind: "lost", why: "it broke", failure, returns: "restart" },
  sleep: { kind: "sleep" },
  wake: { kind: "wake" },
  drain: { kind: "drain" },
  stopped: { kind: "stopped", failure: stopped },
};

/** Where each event leads; what is not listed changes nothing. */
const TABLE: Readonly<Record<EngineState, Readonly<Partial<Record<string, EngineState>>>>> = {
  loadable: { start: "starting", drain: "draining" },
  starting: { attached: "ready", "attached asleep": "asleep", lost: "dead", drain: "draining" },
  ready: { full: "busy", lost: "dead", sleep: "asleep", drain: "draining" },
  busy: { room: "ready", lost: "dead", sleep: "asleep", drain: "draining" },
  asleep: { lost: "dead", wake: "ready", drain: "draining" },
  draining: { stopped: "dead" },
  dead: { start: "starting", attached: "ready", "attached asleep": "asleep", lost: "dead", drain: "draining" },
};

const statusOf = (kind: EngineState): EngineStatus => {
  if (kind === "dead") return { kind, sinceMs: 1, why: "before", failure, returns: "never" };
  return kind === "busy" ? { kind, sinceMs: 1, why: "no room" } : { kind, sinceMs: 1 };
};

const CASES = (Object.keys(TABLE) as EngineState[]).flatMap((from) =>
  Object.keys(EVENTS).map((event) => [from, event, TABLE[from][event]] as const),
);

it.each(CASES)("%s, %s → %s", (from, event, to) => {
  const before = statusOf(from);
  const after = nextState(before, EVENTS[event] as EngineEvent, 2);
  if (to === undefined) return expect(after).toBe(before);
  expect(after.kind).toBe(to);
  expect(after).not.toBe(before);
});

it("says why: what it is full of, what it was lost by, and after a loss why it starts again", () => {
  const busy = nextState(statusOf("ready"), { kind: "load", full: "no room" }, 2);
  expect(busy).toEqual({ kind: "busy", sinceMs: 2, why: "no room" });
  const dead = nextState(busy, EVENTS.lost as EngineEvent, 3);
  expect(dead).toMatchObject({ kind: "dead", sinceMs: 3, why: "it broke", returns: "restart" });
  expect(nextState(dead, { kind: "start" }, 4)).toEqual({ kind: "starting", sinceMs: 4, why: "it broke" });
});

it("stays dead since the first reason, with the last one", () => {
  const dead = nextState(statusOf("ready"), EVENTS.lost as EngineEvent, 2);
  expect(nextState(dead, EVENTS.lost as EngineEvent, 3)).toBe(dead);
  const last: EngineEvent = { kind: "lost", why: "out of memory", failure, returns: "never" };
  expect(nextState(dead, last, 3)).toMatchObject({ sinceMs: 2, why: "out of memory", returns: "never" });
});
