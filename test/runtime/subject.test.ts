// Subjects and filters: the table of what is taken, and two rules over all of them.

import fc from "fast-check";
import { describe, expect, test } from "vitest";
import { checkFilter, checkSubject, matchesSubject, SUBJECT_MAX } from "../../runtime/subject.ts";

describe("matchesSubject (SU2)", () => {
  test.each([
    [">", "a", true],
    [">", "a.b.c", true],
    ["a", "a", true],
    ["a", "a.b", false],
    ["a.b", "a", false],
    ["a.>", "a.b", true],
    ["a.>", "a.b.c", true],
    ["a.>", "a", false],
    ["a.>", "ab.c", false],
    ["*", "a", true],
    ["*", "a.b", false],
    ["a.*.c", "a.b.c", true],
    ["a.*.c", "a.b.d", false],
    ["*.*.>", "a.b", false],
    ["*.*.>", "a.b.c.d", true],
  ])("%s on %s: %s", (filter, subject, taken) => {
    expect(matchesSubject(filter, subject)).toBe(taken);
  });

  const token = fc.stringMatching(/^[A-Za-z0-9_=/-]{1,6}$/);
  const tokens = fc.array(token, { minLength: 1, maxLength: 5 });

  test("every valid subject is a filter that takes itself, and any of its tokens may be a *", () => {
    fc.assert(
      fc.property(tokens, fc.nat(), (parts, at) => {
        const subject = parts.join(".");
        checkSubject(subject);
        checkFilter(subject);
        expect(matchesSubject(subject, subject)).toBe(true);
        expect(matchesSubject(parts.with(at % parts.length, "*").join("."), subject)).toBe(true);
      }),
    );
  });

  test("a filter ending in > takes exactly what starts with the rest and goes on", () => {
    fc.assert(
      fc.property(tokens, tokens, (head, subject) => {
        const taken = subject.length > head.length && head.every((each, at) => each === subject[at]);
        expect(matchesSubject(`${head.join(".")}.>`, subject.join("."))).toBe(taken);
        expect(matchesSubject(`${head.join(".")}.>`, [...head, ...subject].join("."))).toBe(true);
      }),
    );
  });
});

describe("what is refused (SU1, SU2)", () => {
  test.each(["", ".", "a.", ".a", "a..b", "a b", "a\n", "*", "a.>", "é", "x".repeat(SUBJECT_MAX + 1)])(
    "subject %j",
    (subject) => {
      expect(() => checkSubject(subject)).toThrow(expect.objectContaining({ code: "InvalidSubject" }));
    },
  );

  test.each(["", "a.", ">.a", "a>", "**", "a*.b", "a.>.b"])("filter %j", (filter) => {
    expect(() => checkFilter(filter)).toThrow(expect.objectContaining({ code: "InvalidSubject" }));
  });

  test("the pattern takes no longer on a long wrong subject", () => {
    expect(() => checkFilter(`${"a.".repeat(99)}!`)).toThrow();
  });
});
