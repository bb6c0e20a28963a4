// One line for each thing an agent does, as it happens.

import type { AgentProgress } from "../actors/index.ts";
import { clip, formatMs, type Paper } from "./paper.ts";

const AGENT_WIDTH = 16;
const STEP_WIDTH = 14;

/** "   1.2s  agent-dev-001     tests.pytest  failed  512 ms  2 of 3 tests failed". `atMs` counts from the start of the task. */
export function progressLine(event: AgentProgress, atMs: number, paper: Paper): string {
  const { colour, columns } = paper;
  const [step, good, detail] = describe(event);
  const time = `${(atMs / 1_000).toFixed(1).padStart(6)}s`;
  const agent = clip(event.agentId, AGENT_WIDTH).padEnd(AGENT_WIDTH);
  const used = time.length + AGENT_WIDTH + STEP_WIDTH + 6;
  const text = clip(detail, columns - used);
  const shown = good === undefined ? colour.dim(text) : good ? text : colour.yellow(text);
  return `${colour.dim(time)}  ${agent}  ${clip(step, STEP_WIDTH).padEnd(STEP_WIDTH)}  ${shown}`.trimEnd();
}

/** What happened in one word, whether it went well (undefined: not yet known), and the rest. */
function describe(event: AgentProgress): readonly [step: string, good: boolean | undefined, detail: string] {
  switch (event.kind) {
    case "planning":
      return ["asks", undefined, `the model, round ${event.round}`];
    case "planned":
      return ["plans", true, `${event.steps} ${event.steps === 1 ? "step" : "steps"}: ${event.reasoning}`];
    case "step": {
      const ok = event.outcome === "ok";
      const error = event.error === undefined ? "" : `  ${event.error}`;
      return [event.tool, ok, `${event.outcome.padEnd(6)}  ${formatMs(event.durationMs).padStart(7)}${error}`];
    }
    case "verified":
      return event.verified ? ["verified", true, ""] : ["not verified", false, event.findings.join(" ")];
  }
}
