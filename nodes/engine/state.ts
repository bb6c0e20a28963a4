// The states of a model server and what leads from one to another. Pure: values in, a value out; engine.ts carries it out.
//
//     loadable ──start──▶ starting ──attached──▶ ready ◀─load─▶ busy
//                          ▲    │                 │ ▲            │
//                        start  │ lost        sleep wake         │ lost
//                          │    ▼                 ▼ │            ▼
//                         dead ◀───────────────  asleep  ────▶ (dead; attached leads back to ready)
//
//     any ──drain──▶ draining ──stopped──▶ dead
//
// ES1  An event that changes nothing gives the same object back.
// ES2  Nothing but `stopped` leads out of `draining`: a server that is leaving is not called ready again, whatever it answers.
// ES3  A state says why it is what it is wherever there is something to say, and `dead` always does.

import type { EngineState, FlotillaError } from "../../runtime/index.ts";

/** How a dead server comes back: started again by us, found to answer again (one that we do not run), or not before somebody starts it. */
export type Return = "restart" | "answer" | "never";

export type EngineStatus =
  | {
      readonly kind: Exclude<EngineState, "dead">;
      /** Milliseconds since the epoch. */
      readonly sinceMs: number;
      /** In `starting` after a loss: what was lost. In `busy`: of what. */
      readonly why?: string;
    }
  | {
      readonly kind: "dead";
      readonly sinceMs: number;
      readonly why: string;
      readonly failure: FlotillaError;
      readonly returns: Return;
    };

export type EngineEvent =
  | { readonly kind: "start" }
  | { readonly kind: "attached"; readonly isAsleep: boolean }
  /** Why it can take no more; absent: it can. */
  | { readonly kind: "load"; readonly full?: string }
  | { readonly kind: "lost"; readonly why: string; readonly failure: FlotillaError; readonly returns: Return }
  | { readonly kind: "sleep" }
  | { readonly kind: "wake" }
  | { readonly kind: "drain" }
  | { readonly kind: "stopped"; readonly failure: FlotillaError };

export function nextState(status: EngineStatus, event: EngineEvent, nowMs: number): EngineStatus {
  const to = (kind: Exclude<EngineState, "dead">, why?: string): EngineStatus =>
    status.kind === kind && status.why === why ? status : { kind, sinceMs: nowMs, ...(why !== undefined && { why }) };
  const { kind } = status;
  if (event.kind === "stopped") {
    if (kind !== "draining") return status;
    return { kind: "dead", sinceMs: nowMs, why: "it was stopped", failure: event.failure, returns: "never" };
  }
  if (kind === "draining") return status;
  switch (event.kind) {
    case "drain":
      return to("draining");
    case "start":
      return kind === "loadable" || kind === "dead" ? to("starting", status.why) : status;
    case "attached":
      return kind === "starting" || kind === "dead" ? to(event.isAsleep ? "asleep" : "ready") : status;
    case "load":
      return kind === "ready" || kind === "busy" ? to(event.full === undefined ? "ready" : "busy", event.full) : status;
    case "sleep":
      return kind === "ready" || kind === "busy" ? to("asleep") : status;
    case "wake":
      return kind === "asleep" ? to("ready") : status;
    case "lost":
      return kind === "loadable" ? status : lost(status, event, nowMs);
  }
}

/** Dead for a new reason is dead since the first. */
function lost(status: EngineStatus, event: EngineEvent & { kind: "lost" }, nowMs: number): EngineStatus {
  const { why, failure, returns } = event;
  const isDead = status.kind === "dead";
  if (isDead && status.why === why && status.returns === returns) return status;
  return { kind: "dead", sinceMs: isDead ? status.sinceMs : nowMs, why, failure, returns };
}
