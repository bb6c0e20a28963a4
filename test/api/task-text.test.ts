// What a person reads after a task, and that nothing an agent wrote can drive their terminal.

import { describe, expect, it } from "vitest";
import type { AgentResult, TaskOutcome } from "../../actors/index.ts";
import { rank } from "../../actors/index.ts";
import { clip, formatMs, makePaper, plain, table, wrap } from "../../api/paper.ts";
import { progressLine } from "../../api/progress.ts";
import { type FinishedTask, taskText } from "../../api/task-text.ts";
import { taskView } from "../../api/views.ts";
import { agentResult } from "../support/agent-result.ts";

const paper = makePaper(80, false);

function finished(results: readonly AgentResult[], more: Partial<FinishedTask> = {}): FinishedTask {
  const outcome: TaskOutcome = {
    taskId: "t1",
    status: "completed",
    ranking: rank(results, { text: "Add x to src/utils.py" }),
    results,
    missing: [],
    duplicates: 0,
    durationMs: 1_000,
  };
  const branch = outcome.ranking.winner === null ? null : "flotilla/t1";
  const repository = { path: "/home/me/my project", head: "a".repeat(40), branch: "main" };
  const rest = {
    taskId: "t1",
    text: "Add x",
    role: "DEV",
    outcome,
    repository,
    branch,
    applied: null,
    keptIn: null,
    durationMs: 1_000,
  };
  return { ...rest, ...more };
}

const TWO = [
  agentResult({ agentId: "agent-dev-001" }),
  agentResult({
    agentId: "agent-dev-002",
    verified: false,
    tests: { passed: 1, failed: 1 },
    files: [{ path: "scratch.txt", lines: ["a", "b"] }],
  }),
];

describe("taskText", () => {
  it("has the ranking, the winner's diff, and what to do next", () => {
    const text = taskText(finished(TWO), paper);
    expect(text).toMatch(/^1 {2}agent-dev-001 +1\.00 .* winner$/m);
    expect(text).toMatch(/^2 {2}agent-dev-002 +0\.\d\d .* not verified$/m);
    expect(text).toContain("Winner: agent-dev-001");
    expect(text).toContain("+x = 1");
    expect(text).toContain("git -C '/home/me/my project' merge flotilla/t1");
  });

  it("fits 80 columns but for diffs and paths", () => {
    const lines = taskText(finished(TWO), paper).split("\n");
    expect(lines.filter((line) => line.length > 80 && !/^[ +-]|\//.test(line))).toEqual([]);
  });

  it("says why nobody won, and who never answered", () => {
    const failed = {
      ...agentResult({ verified: false, files: [] }),
      error: { code: "EmptyPlan", message: "It had no plan." },
    };
    const task = finished([failed]);
    const missing = [{ agentId: "agent-dev-002", reason: "deadline", message: "It had not answered." }] as const;
    const text = taskText({ ...task, outcome: { ...task.outcome, missing } }, paper);
    expect(text).toContain("No winner");
    expect(text).toContain("agent-dev-001: It had no plan. (EmptyPlan)");
    expect(text).toMatch(/- {2}agent-dev-002 {2}It had not answered\./);
    expect(text).not.toContain("Next");
  });

  it("shows the merge instead of asking for it, and cuts a long diff", () => {
    const lines = Array.from({ length: 300 }, (_, index) => `line ${index}`);
    const long = [agentResult({ files: [{ path: "src/utils.py", lines }] })];
    const text = taskText(finished(long, { applied: "b".repeat(40) }), paper);
    expect(text).toContain("Merged      into main as bbbbbbbbbbbb");
    expect(text).not.toContain("Next");
    expect(text).toMatch(/… \d+ more lines; all of them: git show flotilla\/t1/);
  });

  it("says on which node each agent and the collector were, and where a clone was kept", () => {
    const place = { node: "gpu-2", attempt: 2, keptIn: "/srv/flotilla-kept-x/clone" };
    const [first, second] = TWO.map((result, index) => ({
      ...result,
      place: index === 0 ? { node: "gpu-1", attempt: 1 } : place,
    }));
    const task = finished([first ?? agentResult(), second ?? agentResult()]);
    const outcome = { ...task.outcome, collectedOn: "third" };
    const text = taskText({ ...task, outcome }, paper);
    expect(text).toContain(
      "Agents      agent-dev-001 on gpu-1\n            agent-dev-002 on gpu-2 (attempt 2), clone /srv/flotilla-kept-x/clone\nCollector   on third\n",
    );
    expect(taskText(task, paper)).not.toContain("Collector");
    const view = taskView(outcome, "DEV", "m", 5);
    expect([view.collector, ...view.results.map(({ node }) => node)]).toEqual(["third", "gpu-1", "gpu-2"]);
  });

  it("colours only where asked to", () => {
    expect(taskText(finished(TWO), paper)).not.toContain("\u001b");
    expect(taskText(finished(TWO), makePaper(80, true))).toContain("\u001b[32m+x = 1\u001b[39m");
  });

  it("spells out what would drive a terminal", () => {
    const evil = [
      agentResult({ files: [{ path: "src/utils.py", lines: ["\u001b]0;owned\u0007\u001b[2Jx\u202e\u200b"] }] }),
    ];
    const text = taskText(finished(evil), paper);
    expect(text).toContain("x<U+202E><U+200B>");
    expect(text.replaceAll("\n", "")).not.toMatch(/\p{Cc}|\p{Cf}/u);
  });
});

describe("taskView", () => {
  it("lists those without an answer last, without rank", () => {
    const { outcome } = finished(TWO);
    const missing = [{ agentId: "agent-dev-003", reason: "deadline", message: "Too late." }] as const;
    const view = taskView({ ...outcome, status: "partial", missing }, "DEV", "mock", 5);
    expect(view).toMatchObject({ taskId: "t1", status: "partial", winner: "agent-dev-001", durationMs: 5 });
    expect(view.results.map(({ agentId, rank }) => [agentId, rank])).toEqual([
      ["agent-dev-001", 1],
      ["agent-dev-002", 2],
      ["agent-dev-003", null],
    ]);
    expect(view.results[2]).toMatchObject({ finalState: "failed", error: { code: "deadline", message: "Too late." } });
  });
});

describe("progressLine", () => {
  const agentId = "agent-dev-001";
  const line = (progress: Parameters<typeof step>[0]) => progressLine(step(progress), 1_234, paper);
  const step = (progress: { outcome: "ok" | "failed"; error?: string }) =>
    ({
      kind: "agent",
      agentId,
      progress: { kind: "step", agentId, tool: "tests.pytest", durationMs: 512, ...progress },
    }) as const;

  it("tells time, agent, step, outcome and milliseconds", () => {
    expect(line({ outcome: "ok" })).toBe("  1.2s  agent-dev-001     tests.pytest    ok      512 ms");
  });

  it("stays on one line of the terminal, whatever went wrong", () => {
    const text = line({ outcome: "failed", error: "one\ntwo ".repeat(50) }) ?? "";
    expect(text.length).toBeLessThanOrEqual(80);
    expect(text).toMatch(/…$/);
    expect(text).not.toContain("\n");
  });

  it("says nothing of what the next line tells", () => {
    expect(progressLine({ kind: "started", agentId, attempt: 1 }, 0, paper)).toBeUndefined();
    expect(progressLine({ kind: "lost", agentId, message: "gone" }, 0, paper)).toContain("gone");
  });

  it("says where an agent of a fleet is, and why it has to wait in whole", () => {
    const started = { kind: "started", agentId, node: "gpu-1" } as const;
    expect(progressLine({ ...started, attempt: 1 }, 0, paper)).toMatch(/agent-dev-001 +starts +on gpu-1$/);
    expect(progressLine({ ...started, attempt: 2 }, 0, paper)).toMatch(/starts +on gpu-1, attempt 2$/);
    const why = `gpu-1: ${"the model is loading\n".repeat(5)}weights`;
    const text = progressLine({ kind: "waiting", agentId, why }, 0, paper) ?? "";
    expect(text).toMatch(/waits +gpu-1: the model is loading .+ weights$/);
    expect(text).not.toContain("\n");
  });
});

describe("paper", () => {
  it("cuts, wraps, aligns and counts", () => {
    expect(clip("  a \n b  ", 10)).toBe("a b");
    expect(clip("abcdef", 4)).toBe("abc…");
    expect(wrap("one two three", 7)).toEqual(["one two", "three"]);
    expect(
      table(
        [
          ["a", "10"],
          ["bbb", "9"],
        ],
        [1],
      ),
    ).toEqual(["a    10", "bbb   9"]);
    expect([formatMs(12.4), formatMs(61_000)]).toEqual(["12 ms", "61.0 s"]);
    expect(plain("tab\tline\nend\r")).toBe("tab\tline\nend<U+000D>");
    expect([makePaper(10, false).columns, makePaper(500, false).columns]).toEqual([60, 120]);
  });
});
