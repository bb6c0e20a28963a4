// One line for each thing that happens in a council, as it happens.

import type { AgentProgress, CouncilProgress } from "../actors/index.ts";
import { clip, formatMs, type Paper } from "./paper.ts";

const AGENT_WIDTH = 16;
const STEP_WIDTH = 14;

/** What happened in a word, whether it went well (undefined: not yet known), and the rest. */
type Told = readonly [step: string, good: boolean | undefined, detail: string];

/**
 * "  1.2s  agent-dev-001     tests.pytest    failed   512 ms  2 of 3 tests failed"; undefined for what the next line tells anyway.
 * `atMs` counts from the start of the task.
 */
export function progressLine(event: CouncilProgress, atMs: number, paper: Paper): string | undefined {
  const told = tell(event);
  if (told === undefined) return undefined;
  const [step, good, detail] = told;
  const { colour, columns } = paper;
  const time = `${(atMs / 1_000).toFixed(1).padStart(5)}s`;
  const agent = clip(event.agentId, AGENT_WIDTH).padEnd(AGENT_WIDTH);
  const text = clip(detail, columns - time.length - AGENT_WIDTH - STEP_WIDTH - 6);
  const shown = good === undefined ? colour.dim(text) : good ? text : colour.yellow(text);
  return `${colour.dim(time)}  ${agent}  ${clip(step, STEP_WIDTH).padEnd(STEP_WIDTH)}  ${shown}`.trimEnd();
}

function tell(event: CouncilProgress): Told | undefined {
  if (event.kind === "lost") return ["lost", false, event.message];
  return event.kind === "agent" ? tellAgent(event.progress) : undefined;
}

function tellAgent(progress: AgentProgress): Told {
  switch (progress.kind) {
    case "planning":
      return ["asks the model", undefined, `round ${progress.round}`];
    case "planned":
      return ["plans", true, `${progress.steps} ${progress.steps === 1 ? "step" : "steps"}: ${progress.reasoning}`];
    case "step": {
      const error = progress.error === undefined ? "" : `  ${progress.error}`;
      const head = `${progress.outcome.padEnd(6)} ${formatMs(progress.durationMs).padStart(7)}`;
      return [progress.tool, progress.outcome === "ok", `${head}${error}`];
    }
    case "verified":
      return progress.verified ? ["verified", true, ""] : ["not verified", false, progress.findings.join(" ")];
  }
}
