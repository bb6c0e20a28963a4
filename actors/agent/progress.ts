// What an agent tells while it works, as plain data: for progress lines and pages, not for decisions.

import type { Outcome } from "../../tools/index.ts";

export type AgentProgress =
  /** A model is being asked; `round` counts from 1. */
  | { readonly kind: "planning"; readonly agentId: string; readonly round: number }
  | {
      readonly kind: "planned";
      readonly agentId: string;
      readonly steps: number;
      readonly reasoning: string;
    }
  | {
      readonly kind: "step";
      readonly agentId: string;
      readonly tool: string;
      readonly outcome: Outcome;
      readonly durationMs: number;
      /** One sentence; absent when the outcome is `ok`. */
      readonly error?: string;
    }
  | {
      readonly kind: "verified";
      readonly agentId: string;
      readonly verified: boolean;
      readonly findings: readonly string[];
    };
