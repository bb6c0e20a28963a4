// Agent results made by hand: a verified one-line change unless told otherwise, with a diff and a diffStat that agree.

import type { AgentResult, DiffStat } from "../../actors/agent/result.ts";
import type { TestReport } from "../../tools/index.ts";

export interface ChangedFile {
  readonly path: string;
  /** Lines added to a new file, or after the first line of an old one. */
  readonly lines: readonly string[];
  readonly deleted?: number;
}

export interface TestPlan {
  readonly passed?: number;
  readonly failed?: number;
  readonly skipped?: number;
  readonly completed?: boolean;
  readonly counts?: null;
}

export interface ResultPlan {
  readonly agentId?: string;
  readonly taskId?: string;
  readonly files?: readonly ChangedFile[];
  readonly verified?: boolean;
  /** What its tests said; `counts: null` for a runner without counts, null for none run. */
  readonly tests?: TestPlan | null;
  readonly lint?: readonly { path: string; line: number; message: string }[];
  readonly operations?: number;
  readonly committed?: boolean;
}

export function agentResult(plan: ResultPlan = {}): AgentResult {
  const { verified = true, committed = true, files = [{ path: "src/utils.py", lines: ["x = 1"] }] } = plan;
  const success = verified && committed && files.length > 0;
  return {
    taskId: plan.taskId ?? "task-1",
    agentId: plan.agentId ?? "agent-dev-001",
    role: "DEV",
    success,
    operations: Array.from({ length: plan.operations ?? 5 }, () => operation),
    auditTrail: [],
    finalState: finalStateOf(verified, committed, files.length > 0),
    commit: committed && files.length > 0 ? "c".repeat(40) : null,
    diffStat: statOf(files),
    diff: files.map(diffOf).join(""),
    verification: {
      verified,
      findings: verified ? [] : ["1 test fails."],
      tests: plan.tests === null ? undefined : testReport(plan.tests),
      lint: plan.lint ?? [],
    },
    error: success ? null : { code: "NotVerified", message: "1 test fails." },
    reasoning: [],
    usage: { inputTokens: 0, outputTokens: 0, modelCalls: 1 },
    durationMs: 10,
  };
}

const operation = { tool: "files", operation: "read", success: true, durationMs: 1 };

const finalStateOf = (verified: boolean, committed: boolean, changed: boolean): AgentResult["finalState"] =>
  !changed ? "unchanged" : !committed ? "uncommitted" : verified ? "committed" : "rejected";

function testReport(plan: TestPlan = {}): TestReport {
  const { passed = 4, failed = 0, skipped = 0, completed = true } = plan;
  const counts = plan.counts === null ? null : { passed, failed, skipped };
  return { runner: "pytest", completed, success: completed && failed === 0, counts, failures: [], reason: "" };
}

function statOf(files: readonly ChangedFile[]): DiffStat {
  const stats = files.map((file) => ({ path: file.path, added: file.lines.length, deleted: file.deleted ?? 0 }));
  const sum = (key: "added" | "deleted") => stats.reduce((total, stat) => total + stat[key], 0);
  return { files: stats, added: sum("added"), deleted: sum("deleted") };
}

function diffOf(file: ChangedFile): string {
  const removed = Array.from({ length: file.deleted ?? 0 }, (_, index) => `-gone ${index}\n`).join("");
  const added = file.lines.map((line) => `+${line}\n`).join("");
  const hunk = `@@ -1,${1 + (file.deleted ?? 0)} +1,${1 + file.lines.length} @@\n first\n${removed}${added}`;
  return `diff --git a/${file.path} b/${file.path}\nindex 1111111..2222222 100644\n--- a/${file.path}\n+++ b/${file.path}\n${hunk}`;
}
