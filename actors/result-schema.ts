// The schema of an agent's result where it comes from another process: parsed before it is believed.
// It is not what a result means (agent/result.ts).

import { z } from "zod";
import type { AgentResult } from "./agent/result.ts";

const count = z.number().min(0);
const problem = z.object({ code: z.string(), message: z.string() });

const operation = z.object({
  tool: z.string(),
  operation: z.string(),
  success: z.boolean(),
  durationMs: count,
  error: z.string().exactOptional(),
});

const auditEntry = z.object({
  sequence: count,
  atMs: z.number(),
  agentId: z.string(),
  role: z.string(),
  taskId: z.string(),
  traceId: z.string(),
  tool: z.string(),
  operation: z.string(),
  params: z.unknown(),
  outcome: z.enum(["ok", "failed", "denied", "invalid", "unknown", "timeout", "cancelled", "defect"]),
  durationMs: count,
  bytes: count,
  error: problem.exactOptional(),
});

const testReport = z.object({
  runner: z.string(),
  completed: z.boolean(),
  success: z.boolean(),
  counts: z.object({ passed: count, failed: count, skipped: count }).nullable(),
  failures: z.array(z.object({ name: z.string(), message: z.string() })),
  reason: z.string(),
});

const verification = z.object({
  verified: z.boolean(),
  findings: z.array(z.string()),
  tests: testReport.optional(),
  lint: z.array(z.object({ path: z.string(), line: z.number(), message: z.string() })),
});

const diffStat = z.object({
  files: z.array(z.object({ path: z.string(), added: count, deleted: count })),
  added: count,
  deleted: count,
});

export const resultSchema: z.ZodType<AgentResult> = z.object({
  taskId: z.string(),
  agentId: z.string(),
  role: z.string(),
  success: z.boolean(),
  operations: z.array(operation),
  auditTrail: z.array(auditEntry),
  finalState: z.enum(["committed", "rejected", "uncommitted", "unchanged", "failed"]),
  commit: z.string().nullable(),
  diffStat: diffStat.nullable(),
  diff: z.string(),
  verification: verification.nullable(),
  error: problem.nullable(),
  reasoning: z.array(z.string()),
  usage: z.object({ inputTokens: count, outputTokens: count, modelCalls: count }),
  durationMs: count,
  place: z
    .object({
      node: z.string(),
      attempt: z.int().min(1),
      bundle: z.string().exactOptional(),
      keptIn: z.string().exactOptional(),
    })
    .exactOptional(),
});
