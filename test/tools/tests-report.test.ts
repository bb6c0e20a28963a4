// The verdict rule and the readers of report files, on reports that real runners wrote (fixtures/). No runner is started here.

import { readFile } from "node:fs/promises";
import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { parseCargo } from "../../tools/tests/cargo.ts";
import { parseCaseList } from "../../tools/tests/case-list.ts";
import { parseGo } from "../../tools/tests/go.ts";
import { parseJest } from "../../tools/tests/jest.ts";
import { parseJunit } from "../../tools/tests/junit.ts";
import {
  judge,
  judgeStatus,
  type ReadReport,
  type RunEnd,
  summaryOf,
  type TestCase,
} from "../../tools/tests/report.ts";

const fixture = (name: string) => readFile(new URL(`fixtures/${name}`, import.meta.url), "utf8");
const casesOf = (read: ReadReport) => read.cases ?? [];
const named = (read: ReadReport) => casesOf(read).map(({ name, outcome }) => `${outcome} ${name}`);

const passing: TestCase = { name: "a", outcome: "passed", message: "" };
const failing: TestCase = { name: "b", outcome: "failed", message: "1 is not 2" };
const skipped: TestCase = { name: "c", outcome: "skipped", message: "" };
const ended = (exitCode: number | null, more: Partial<RunEnd> = {}): RunEnd => ({
  exitCode,
  timedOut: false,
  cancelled: false,
  durationMs: 1_500,
  failedStatus: 1,
  ...more,
});
const cases = (...list: TestCase[]): ReadReport => ({ kind: "cases", cases: list });

describe("judge", () => {
  test.each<[string, RunEnd, ReadReport, { completed: boolean; success: boolean; reason: RegExp }]>([
    ["all passed", ended(0), cases(passing, skipped), { completed: true, success: true, reason: /^$/ }],
    ["one failed", ended(1), cases(passing, failing), { completed: true, success: false, reason: /^$/ }],
    [
      "status 0, report has a failure",
      ended(0),
      cases(failing),
      { completed: false, success: false, reason: /status 0/ },
    ],
    [
      "status 1, report has none",
      ended(1),
      cases(passing),
      { completed: false, success: false, reason: /no failing test/ },
    ],
    ["nothing collected", ended(0), cases(), { completed: false, success: false, reason: /found no tests/ }],
    ["all skipped", ended(0), cases(skipped), { completed: false, success: false, reason: /ran no test: all 1/ }],
    [
      "another status",
      ended(5),
      cases(passing, failing),
      { completed: false, success: false, reason: /exit status 5/ },
    ],
    ["a signal", ended(null), cases(passing), { completed: false, success: false, reason: /signal/ }],
    [
      "time-out",
      ended(null, { timedOut: true }),
      cases(passing),
      { completed: false, success: false, reason: /within 1.5 s/ },
    ],
    [
      "cancelled",
      ended(null, { cancelled: true }),
      cases(passing),
      { completed: false, success: false, reason: /cancelled/ },
    ],
    [
      "no report, status 0",
      ended(0),
      { kind: "unreadable", reason: "left no report" },
      { completed: false, success: false, reason: /left no report/ },
    ],
    [
      "cut report, status 0",
      ended(0),
      { kind: "unreadable", reason: "cut", cases: [passing] },
      { completed: false, success: false, reason: /cut/ },
    ],
  ])("%s", (_, end, read, expected) => {
    const report = judge("pytest", end, read);
    expect(report).toMatchObject({ completed: expected.completed, success: expected.success });
    expect(report.reason).toMatch(expected.reason);
  });

  test("success means: status 0, at least one passed, none failed, for any end and any cases", () => {
    const anyCase = fc.constantFrom(passing, failing, skipped);
    const anyEnd = fc.record({
      exitCode: fc.constantFrom(0, 1, 2, 101, null),
      timedOut: fc.boolean(),
      cancelled: fc.boolean(),
      durationMs: fc.nat(),
      failedStatus: fc.constantFrom(1, 101),
    });
    fc.assert(
      fc.property(anyEnd, fc.array(anyCase), fc.boolean(), (end, list, readable) => {
        const read: ReadReport = readable ? cases(...list) : { kind: "unreadable", reason: "broken", cases: list };
        const report = judge("x", end, read);
        const plainYes =
          readable &&
          end.exitCode === 0 &&
          !end.timedOut &&
          !end.cancelled &&
          list.includes(passing) &&
          !list.includes(failing);
        expect(report.success).toBe(plainYes);
        expect(report.completed).toBe(report.reason === "");
      }),
    );
  });

  test("failures are bounded, their true number is kept, terminal codes are gone", () => {
    const many = Array.from(
      { length: 80 },
      (_, at): TestCase => ({ name: `t${at}`, outcome: "failed", message: `\u001b[31m${"x".repeat(9_000)}` }),
    );
    const report = judge("pytest", ended(1), cases(...many));
    expect(report.counts?.failed).toBe(80);
    expect(report.failures).toHaveLength(50);
    expect(Buffer.byteLength(report.failures[0]?.message ?? "")).toBeLessThanOrEqual(2_000);
    expect(report.failures[0]?.message).toMatch(/^x+\n… \d+ bytes cut …\nx+$/);
  });

  test("a runner that tells only its status has no counts, and says so", () => {
    const { durationMs, timedOut, cancelled } = ended(0);
    const yes = judgeStatus("make", { exitCode: 0, durationMs, timedOut, cancelled }, "");
    const no = judgeStatus("make", { exitCode: 2, durationMs, timedOut, cancelled }, "boom");
    expect(yes).toMatchObject({ completed: true, success: true, counts: null, failures: [] });
    expect(no).toMatchObject({ completed: true, success: false, counts: null });
    expect(no.failures[0]?.message).toContain("boom");
    expect(summaryOf(yes)).toBe("make: passed (counts unknown: only an exit status)");
  });
});

describe("JUnit XML", () => {
  test("pytest's, as pytest 9 wrote it", async () => {
    const read = parseJunit(await fixture("pytest.xml"));
    expect(named(read)).toEqual([
      "passed tests.test_a::test_ok",
      "failed tests.test_a::test_bad",
      "skipped tests.test_a::test_skip",
      "failed tests.test_a::test_teardown",
      "failed tests.test_a::test_teardown",
      "failed tests.test_a.TestK::test_m",
      "passed tests.test_a::test_p[a::b]",
      "failed tests.test_a::test_p[<&>]",
      "skipped tests.test_a::test_x",
    ]);
    expect(casesOf(read)[1]?.message).toContain("one & <two>");
  });

  test("vitest's, as vitest 5 wrote it", async () => {
    const read = parseJunit(await fixture("vitest.xml"));
    expect(named(read)).toEqual([
      "passed a.test.js::ok",
      "failed a.test.js::d > bad",
      "skipped a.test.js::s",
      "skipped a.test.js::t",
      "failed b.test.js",
    ]);
    expect(casesOf(read)[4]?.message).toContain("Cannot find package 'nothere'");
  });

  test("one suite without a root around it, and suites in suites", () => {
    expect(named(parseJunit('<testsuite><testcase name="a"/></testsuite>'))).toEqual(["passed a"]);
    const nested =
      '<testsuites><testsuite><testsuite><testcase name="a" classname="c"><error/></testcase></testsuite></testsuite></testsuites>';
    expect(named(parseJunit(nested))).toEqual(["failed c::a"]);
  });

  test("entities of a document type are not expanded", () => {
    const bomb =
      '<?xml version="1.0"?><!DOCTYPE x [<!ENTITY a "aaaaaaaaaa"><!ENTITY b "&a;&a;&a;">]><testsuites><testsuite><testcase name="&a;"><failure>&a;&b; &lt;&#65;&#x42;</failure></testcase></testsuite></testsuites>';
    expect(casesOf(parseJunit(bomb))).toEqual([{ name: "&a;", outcome: "failed", message: "&a;&b; <AB" }]);
  });

  test("an external entity reads no file", () => {
    const external =
      '<!DOCTYPE x [<!ENTITY a SYSTEM "file:///etc/passwd">]><testsuites><testsuite><testcase name="&a;"/></testsuite></testsuites>';
    const read = parseJunit(external);
    expect(JSON.stringify(read)).not.toContain("root:");
  });

  test("a report cut anywhere is refused, never read as fewer tests", async () => {
    const whole = await fixture("pytest.xml");
    fc.assert(
      fc.property(fc.integer({ min: 0, max: whole.length - 2 }), (length) => {
        expect(parseJunit(whole.slice(0, length)).kind).toBe("unreadable");
      }),
      { numRuns: 200 },
    );
  });

  test("any text is read without throwing", () => {
    const piece = fc.constantFrom(
      "<testsuites>",
      "</testsuites>",
      "<testsuite>",
      "</testsuite>",
      "<testcase name='a'>",
      "</testcase>",
      "<failure/>",
      "&lt;",
      "&#x110000;",
      "<![CDATA[",
      "]]>",
      "<!DOCTYPE x>",
      "__proto__",
      " ",
    );
    fc.assert(fc.property(fc.array(fc.oneof(piece, fc.string())), (pieces) => void parseJunit(pieces.join(""))));
  });
});

describe("other reports", () => {
  test("jest's JSON, as jest 30 wrote it", async () => {
    const read = parseJest(await fixture("jest.json"), "/project");
    expect(named(read)).toEqual([
      "passed a.test.js::ok",
      "failed a.test.js::d bad",
      "skipped a.test.js::s",
      "skipped a.test.js::t",
      "failed b.test.js",
    ]);
    expect(casesOf(read)[4]?.message).toContain("Cannot find module 'nothere'");
    expect(parseJest("{}", "/").kind).toBe("unreadable");
    expect(
      parseJest((await fixture("jest.json")).replace('"wasInterrupted": false', '"wasInterrupted": true'), "/").kind,
    ).toBe("unreadable");
  });

  test("go's events, as go 1.26 wrote them: a subtest, a skip, a panic", async () => {
    const read = parseGo(await fixture("go.jsonl"));
    expect(read.kind).toBe("cases");
    expect(named(read)).toEqual([
      "passed example.com/p.TestOK",
      "failed example.com/p.TestBad/sub",
      "failed example.com/p.TestBad",
      "skipped example.com/p.TestSkip",
      "failed example.com/p.TestPanic",
    ]);
    expect(casesOf(read)[4]?.message).toContain("panic: boom");
  });

  test("go's events: a test that never ended, a package that failed by itself", () => {
    const line = (event: object) => JSON.stringify(event);
    const run = line({ Action: "run", Package: "p", Test: "TestA" });
    expect(parseGo(run)).toMatchObject({ kind: "unreadable", reason: "ended while p.TestA ran" });
    const failed = [
      run,
      line({ Action: "pass", Package: "p", Test: "TestA" }),
      line({ Action: "output", Package: "p", Output: "os.Exit" }),
      line({ Action: "fail", Package: "p" }),
    ];
    expect(casesOf(parseGo(failed.join("\n")))).toEqual([
      { name: "p.TestA", outcome: "passed", message: "" },
      { name: "p", outcome: "failed", message: "os.Exit" },
    ]);
  });

  test("Rust's events: a suite that never ended", () => {
    const started =
      '{ "type": "suite", "event": "started", "test_count": 2 }\n{ "type": "test", "name": "a", "event": "ok" }\nnoise\n';
    expect(parseCargo(started)).toMatchObject({ kind: "unreadable", cases: [{ name: "a", outcome: "passed" }] });
    expect(parseCargo(`${started}{ "type": "suite", "event": "ok", "passed": 1 }`).kind).toBe("cases");
  });

  test("our own reporters' JSON", () => {
    expect(parseCaseList('{"tests":[{"name":"a","outcome":"passed","message":""}]}').kind).toBe("cases");
    expect(parseCaseList('{"tests":[{"name":"a"').kind).toBe("unreadable");
    expect(parseCaseList('{"tests":[{"name":"a","outcome":"fine","message":""}]}').kind).toBe("unreadable");
  });
});
