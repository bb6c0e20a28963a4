// The order of candidates: by table for the cases with names, by property for what must hold of any field.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import type { AgentResult } from "../../actors/agent/result.ts";
import { patchKey } from "../../actors/council/patch.ts";
import { type RankedResult, rank } from "../../actors/council/ranking.ts";
import { WEIGHTS } from "../../actors/council/score-parts.ts";
import { agentResult, type ResultPlan } from "../support/agent-result.ts";

const task = { text: "Add hello_world() function to src/utils.py" };
const clean = { path: "src/utils.py", lines: ["def hello_world():", '    return "Hello, World!"'] };

function entry(results: readonly AgentResult[], agentId: string, text = task.text): RankedResult {
  const found = rank(results, { text }).entries.find((each) => each.agentId === agentId);
  if (found === undefined) throw new Error(`${agentId} is not ranked`);
  return found;
}

describe("the field of the demo", () => {
  const field = [
    agentResult({ agentId: "wrong", files: [clean], verified: false, tests: { passed: 3, failed: 1 } }),
    agentResult({ agentId: "sloppy", files: [clean, { path: "scratch.txt", lines: ["todo", "todo"] }] }),
    agentResult({ agentId: "clean", files: [clean] }),
  ];

  test("clean before sloppy before wrong, and the winner is named", () => {
    const ranking = rank(field, task);
    expect(ranking.entries.map((each) => [each.agentId, each.rank, each.success])).toEqual([
      ["clean", 1, true],
      ["sloppy", 2, true],
      ["wrong", 3, false],
    ]);
    expect(ranking.winner).toBe("clean");
  });

  test("what cost a candidate something is said", () => {
    expect(entry(field, "sloppy").reasons).toContain("scratch.txt looks left over.");
    expect(entry(field, "wrong").reasons).toEqual(["1 test fails.", "1 of 4 tests fail."]);
    expect(entry(field, "clean")).toMatchObject({ score: 1, reasons: [] });
  });

  test("the weights are a whole", () => {
    expect(Object.values(WEIGHTS).reduce((sum, weight) => sum + weight, 0)).toBeCloseTo(1);
  });
});

describe("nobody wins", () => {
  test("without candidates", () => expect(rank([], task)).toEqual({ entries: [], winner: null }));

  test("when none is verified, however good the rest looks", () => {
    const ranking = rank(
      [agentResult({ agentId: "a", verified: false }), agentResult({ agentId: "b", files: [] })],
      task,
    );
    expect(ranking.winner).toBeNull();
    expect(ranking.entries.map((each) => each.agentId)).toEqual(["a", "b"]);
  });

  test("when a candidate only says that it succeeded", () => {
    const liar = { ...agentResult({ verified: false }), success: true, finalState: "committed" as const };
    expect(rank([liar], task).winner).toBeNull();
    expect(rank([{ ...agentResult(), commit: null }], task).winner).toBeNull();
    expect(rank([{ ...agentResult(), diff: "" }], task).winner).toBeNull();
  });

  test("doing nothing scores nothing, although every test still passes", () => {
    expect(entry([agentResult({ agentId: "idle", files: [] })], "idle")).toMatchObject({ score: 0, rank: 1 });
  });
});

describe("parts", () => {
  const part = (
    plan: ResultPlan,
    key: keyof RankedResult["scoreParts"],
    others: readonly AgentResult[] = [],
    text?: string,
  ) => entry([agentResult({ ...plan, agentId: "it" }), ...others], "it", text).scoreParts[key];

  test.each([
    ["all pass", { passed: 4 }, 1],
    ["some fail", { passed: 3, failed: 1 }, 0.75],
    ["none ran", { passed: 0 }, 0],
    ["no counts, but a yes", { counts: null }, 1],
    ["no counts and a no", { counts: null, failed: 1 }, 0],
    ["the runner broke down", { passed: 4, completed: false }, 0],
  ])("tests: %s", (_, tests, expected) => expect(part({ tests }, "tests")).toBe(expected));

  test("tests: a test that others run counts as failing when it is skipped", () => {
    const other = agentResult({ agentId: "other", tests: { passed: 3, skipped: 1 } });
    expect(part({ tests: { passed: 2, skipped: 2 } }, "tests", [other])).toBeCloseTo(2 / 3);
  });

  test("applies: an uncommitted change is half of one", () => {
    expect(part({ committed: false, verified: false }, "applies")).toBe(0.5);
  });

  test("minimal: against the smallest verified change; a smaller unverified one does not count", () => {
    const lines = (count: number) => [
      { path: "src/utils.py", lines: Array.from({ length: count }, (_, n) => `x = ${n}`) },
    ];
    const smaller = agentResult({ agentId: "smaller", files: lines(1), verified: false });
    const small = agentResult({ agentId: "small", files: lines(5) });
    expect(part({ files: lines(10) }, "minimal", [smaller, small])).toBe(0.5);
    expect(part({ files: lines(10) }, "minimal", [])).toBe(1);
  });

  test("minimal: a tested change is hardly larger than an untested one", () => {
    const tests = { path: "tests/test_utils.py", lines: ["def test_it():", "    assert hello_world()"] };
    const untested = agentResult({ agentId: "untested", files: [clean] });
    expect(part({ files: [clean, tests] }, "minimal", [untested])).toBeCloseTo(0.8);
  });

  test.each([
    ["named by path", "src/utils.py", 1],
    ["a test", "tests/test_utils.py", 1],
    ["beside a named one", "src/other.py", 0.8],
    ["a backup", "src/utils.py.bak", 0.5],
    ["a log", "out/run.log", 0.5],
    ["a cache", "src/__pycache__/utils.cpython-312.pyc", 0.5],
    ["scratch", "scratch_notes.txt", 0.5],
    ["not scratch", "src/temperature.py", 0.8],
  ])("focus: %s", (_, path, expected) => {
    expect(part({ files: [clean, { path, lines: ["x"] }] }, "focus")).toBeCloseTo(expected);
  });

  test("focus: a task that names no file leaves all sources alone, not what is left over", () => {
    const text = "The login page crashes. Please fix it.";
    expect(part({ files: [{ path: "src/login.py", lines: ["x"] }] }, "focus", [], text)).toBe(1);
    expect(part({ files: [{ path: "login.log", lines: ["x"] }] }, "focus", [], text)).toBe(0.5);
  });

  test("focus: a file is named by its path, its base name, its folder; in quotes and before a full stop", () => {
    const others = [agentResult({ agentId: "other", files: [clean] })];
    for (const text of [
      "Change `src/utils.py` and debug.log.",
      "See ./src/utils.py, var/debug.log",
      "src/utils.py; var/",
    ]) {
      expect(part({ files: [{ path: "var/debug.log", lines: ["x"] }] }, "focus", others, text), text).toBe(1);
    }
  });

  test("focus: a stray slash or an empty quote names nothing", () => {
    const others = [agentResult({ agentId: "other", files: [clean] })];
    const text = 'In src/utils.py use either / or "" .';
    expect(part({ files: [{ path: "var/debug.log", lines: ["x"] }] }, "focus", others, text)).toBe(0.5);
  });

  test("focus: deleting tests is not focus", () => {
    expect(part({ files: [clean, { path: "tests/test_a.py", lines: [], deleted: 3 }] }, "focus")).toBe(0.5);
  });

  test("lint: findings on the lines it wrote, none on those that stood there", () => {
    const on = (line: number) => ({ path: "src/utils.py", line, message: "trailing white space" });
    expect(part({ files: [clean], lint: [on(1)] }, "lint")).toBe(1);
    expect(part({ files: [clean], lint: [on(1), on(2), on(3)] }, "lint")).toBeCloseTo(1 / 1.5);
  });
});

describe("ties", () => {
  const other = { path: "src/utils.py", lines: ["y = 1"] };

  test("fewer changed lines first", () => {
    const tests = (count: number) => ({ path: "tests/test_a.py", lines: Array(count).fill("x") });
    const short = agentResult({ agentId: "z", files: [tests(3)] });
    const shorter = agentResult({ agentId: "zz", files: [tests(2)] });
    expect(rank([short, shorter], task).entries.map((each) => each.score)).toEqual([1, 1]);
    expect(rank([short, shorter], task).winner).toBe("zz");
  });

  test("then fewer operations, then the id; the time it took says nothing", () => {
    const slow = { ...agentResult({ agentId: "a", operations: 5 }), durationMs: 9_000 };
    const busy = agentResult({ agentId: "0", files: [other], operations: 6 });
    expect(rank([busy, slow], task).winner).toBe("a");
    expect(rank([{ ...busy, operations: slow.operations }, slow], task).winner).toBe("0");
  });
});

describe("equal patches", () => {
  test("are one candidate with votes; layout does not part them", () => {
    const spaced = { path: "src/utils.py", lines: ["def hello_world():   ", "", '    return "Hello, World!"'] };
    const field = [
      agentResult({
        agentId: "a",
        files: [spaced],
        lint: [{ path: "src/utils.py", line: 2, message: "trailing space" }],
      }),
      agentResult({ agentId: "b", files: [clean] }),
      agentResult({
        agentId: "c",
        files: [{ path: "src/utils.py", lines: ["def hello_world(): ...", "pass", "pass"] }],
      }),
    ];
    expect(
      rank(field, task).entries.map(({ agentId, rank: place, votes, sameAs }) => [agentId, place, votes, sameAs]),
    ).toEqual([
      ["b", 1, 2, null],
      ["a", 1, 2, "b"],
      ["c", 2, 1, null],
    ]);
  });

  test("with unequal outcomes stay apart: one of the two verifications was luck", () => {
    const field = [agentResult({ agentId: "a" }), agentResult({ agentId: "b", verified: false, tests: { failed: 1 } })];
    expect(rank(field, task).entries.map((each) => each.sameAs)).toEqual([null, null]);
  });

  test("candidates without a change are not each other's votes", () => {
    const field = ["a", "b"].map((agentId) => agentResult({ agentId, files: [] }));
    expect(rank(field, task).entries.map((each) => each.votes)).toEqual([1, 1]);
  });

  test.each([
    ["indentation is meaning", "+  x\n", "+    x\n"],
    ["another file mode", "+x\n", "+x\n", "old mode 100644\nnew mode 100755\n"],
  ])("patchKey: %s", (_, one, two, mode = "") => {
    const diff = (line: string, head: string) =>
      `diff --git a/f b/f\n${head}index 1..2\n--- a/f\n+++ b/f\n@@ -1,1 +1,2 @@\n a\n${line}`;
    expect(patchKey(diff(one, ""))).not.toBe(patchKey(diff(two, mode)));
  });

  test("patchKey: binary files and what cannot be read are compared as they are", () => {
    const binary = (hash: string) => `diff --git a/b b/b\nindex 1..${hash} 100644\nBinary files a/b and b/b differ\n`;
    expect(patchKey(binary("2"))).not.toBe(patchKey(binary("3")));
    expect(patchKey("@@ nonsense 1")).not.toBe(patchKey("@@ nonsense 2"));
  });
});

describe("of any field", () => {
  const line = fc.constantFrom("x = 1", "y = 2", "  z", "", "return 1  ");
  const path = fc.constantFrom(
    "src/utils.py",
    "src/other.py",
    "tests/test_a.py",
    "run.log",
    "scratch.txt",
    "README.md",
  );
  const file = fc.record({ path, lines: fc.array(line, { maxLength: 6 }), deleted: fc.nat(4) });
  const plan = fc.record({
    files: fc.uniqueArray(file, { selector: (each) => each.path, maxLength: 4 }),
    verified: fc.boolean(),
    committed: fc.boolean(),
    operations: fc.nat(6),
    tests: fc.option(fc.record({ passed: fc.nat(5), failed: fc.nat(3), skipped: fc.nat(3), completed: fc.boolean() })),
    lint: fc.array(fc.record({ path, line: fc.integer({ min: 1, max: 8 }), message: fc.constant("bad") }), {
      maxLength: 4,
    }),
  });
  const field = fc
    .array(plan, { maxLength: 7 })
    .map((plans) => plans.map((each, index) => agentResult({ ...each, agentId: `agent-${index}` })));

  test("the order does not depend on the order of arrival", () => {
    const shuffled = field.chain((results) =>
      fc.tuple(fc.constant(results), fc.shuffledSubarray(results, { minLength: results.length })),
    );
    fc.assert(
      fc.property(shuffled, ([results, other]) => {
        expect(rank(other, task)).toEqual(rank(results, task));
      }),
    );
  });

  test("everyone once, scores in 0…1, ranks without gaps, verified above unverified, the winner first", () => {
    fc.assert(
      fc.property(field, (results) => {
        const { entries, winner } = rank(results, task);
        expect(entries.map((each) => each.agentId).sort()).toEqual(results.map((each) => each.agentId).sort());
        for (const [index, each] of entries.entries()) {
          const before = entries[index - 1];
          expect(each.score).toBeGreaterThanOrEqual(0);
          expect(each.score).toBeLessThanOrEqual(1);
          expect(each.score >= 0.5).toBe(each.success);
          for (const value of Object.values(each.scoreParts)) expect(value >= 0 && value <= 1).toBe(true);
          if (before) expect(Number(before.success)).toBeGreaterThanOrEqual(Number(each.success));
          expect(each.rank - (before?.rank ?? 0)).toBe(each.sameAs === null ? 1 : 0);
        }
        expect(winner).toBe(entries[0]?.success ? entries[0].agentId : null);
      }),
    );
  });

  test("adding junk never raises a score or a rank", () => {
    const junk = fc.constantFrom(
      "junk.log",
      "src/utils.py.bak",
      "scratch/a.txt",
      "src/unrelated.py",
      "tests/test_junk.py",
    );
    const size = fc.integer({ min: 1, max: 50 });
    fc.assert(
      fc.property(field, fc.nat(6), junk, size, (results, pick, junkPath, count) => {
        const target = results[pick % Math.max(1, results.length)];
        if (target === undefined || target.diff === "") return;
        const dirty = withFile(target, junkPath, count);
        const before = entry(results, target.agentId);
        const after = entry(
          results.map((each) => (each === target ? dirty : each)),
          target.agentId,
        );
        expect(after.score).toBeLessThanOrEqual(before.score);
      }),
      { numRuns: 300 },
    );
  });
});

function withFile(result: AgentResult, path: string, count: number): AgentResult {
  const extra = agentResult({ files: [{ path, lines: Array.from({ length: count }, (_, n) => `junk ${n}`) }] });
  const files = [...(result.diffStat?.files ?? []), ...(extra.diffStat?.files ?? [])];
  const added = (result.diffStat?.added ?? 0) + count;
  return {
    ...result,
    diff: result.diff + extra.diff,
    diffStat: { files, added, deleted: result.diffStat?.deleted ?? 0 },
  };
}
