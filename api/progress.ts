// One line for each thing that happens in a council, as it happens.

import type { AgentProgress, CouncilProgress } from "../actors/index.ts";
import { clip, formatMs, type Paper } from "./paper.ts";

const AGENT_WIDTH = 16;
const STEP_WIDTH = 14;

interface Told {
  /** What happened, in a word. */
  readonly step: string;
  /** Whether it went well; undefined while nobody knows. */
  readonly good: boolean | undefined;
  /** In columns, as it is. */
  readonly figures?: string;
  /** The rest, in as many words as fit. */
  readonly text: string;
  /** Whether the rest is said whole, over the end of the line: without it a person does not know what to do. */
  readonly isWhole?: boolean;
}

/**
 * "  1.2s  agent-dev-001     tests.pytest    failed   512 ms  2 of 3 tests failed"; undefined for what the next line tells anyway.
 * `atMs` counts from the start of the task.
 */
export function progressLine(event: CouncilProgress, atMs: number, paper: Paper): string | undefined {
  const told = tell(event);
  if (told === undefined) return undefined;
  const { step, good, figures = "", text, isWhole = false } = told;
  const { colour, columns } = paper;
  const time = `${(atMs / 1_000).toFixed(1).padStart(5)}s`;
  const agent = clip(event.agentId, AGENT_WIDTH).padEnd(AGENT_WIDTH);
  const room = isWhole
    ? Number.POSITIVE_INFINITY
    : columns - time.length - AGENT_WIDTH - STEP_WIDTH - figures.length - 6;
  const rest = figures + clip(text, room);
  const shown = good === undefined ? colour.dim(rest) : good ? rest : colour.yellow(rest);
  return `${colour.dim(time)}  ${agent}  ${clip(step, STEP_WIDTH).padEnd(STEP_WIDTH)}  ${shown}`.trimEnd();
}

function tell(event: CouncilProgress): Told | undefined {
  switch (event.kind) {
    case "agent":
      return tellAgent(event.progress);
    case "waiting":
      return { step: "waits", good: undefined, text: event.why, isWhole: true };
    case "started": {
      const again = event.attempt > 1 ? `, attempt ${event.attempt}` : "";
      return event.node === undefined
        ? undefined
        : { step: "starts", good: undefined, text: `on ${event.node}${again}` };
    }
    case "again":
      return { step: "begins anew", good: false, text: event.message, isWhole: true };
    case "lost":
      return { step: "lost", good: false, text: event.message, isWhole: true };
    case "answered":
      return undefined;
  }
}

function tellAgent(progress: AgentProgress): Told {
  switch (progress.kind) {
    case "planning":
      return { step: "asks the model", good: undefined, text: `round ${progress.round}` };
    case "planned": {
      const steps = progress.steps === 1 ? "1 step" : `${progress.steps} steps`;
      return { step: "plans", good: true, text: `${steps}: ${progress.reasoning}` };
    }
    case "step": {
      const { tool, outcome, durationMs, error = "" } = progress;
      const figures = `${outcome.padEnd(6)} ${formatMs(durationMs).padStart(7)}  `;
      return { step: tool, good: outcome === "ok", figures, text: error };
    }
    case "verified": {
      const { verified, findings } = progress;
      return { step: verified ? "verified" : "not verified", good: verified, text: findings.join(" ") };
    }
  }
}
