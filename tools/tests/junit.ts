// Reads JUnit XML, the one report format most runners share. It is not a validator of the format: runners differ, so only
// what they agree on is used (testcase, failure, error, skipped).
//
// X1  The file was written by code under test: no entity is declared or expanded (a DOCTYPE is ignored, the five standard
//     entities and character references are decoded here), its size is bounded by the caller, and a cut file is refused.
// X2  A test that is both skipped and failed is skipped: that is how runners report an expected failure.

import { XMLParser, XMLValidator } from "fast-xml-parser";
import { z } from "zod";
import type { ReadReport, TestCase } from "./report.ts";

const parser = new XMLParser({
  ignoreAttributes: false,
  attributeNamePrefix: "@",
  processEntities: false,
  parseTagValue: false,
  parseAttributeValue: false,
  trimValues: false,
  isArray: (name) => ["testsuites", "testsuite", "testcase", "failure", "error", "skipped"].includes(name),
});

const note = z.union([
  z.string().transform((text) => ({ message: "", text })),
  z
    .object({ "@message": z.string().default(""), "#text": z.string().default("") })
    .transform((parsed) => ({ message: parsed["@message"], text: parsed["#text"] })),
]);

const testCase = z.object({
  "@name": z.string().default(""),
  "@classname": z.string().default(""),
  failure: z.array(note).default([]),
  error: z.array(note).default([]),
  skipped: z.array(z.unknown()).default([]),
});

const suite = z.object({
  testcase: z.array(testCase).default([]),
  get testsuite() {
    return z.array(z.union([suite, z.string().transform(() => ({ testcase: [], testsuite: [] }))])).default([]);
  },
});

type Suite = z.output<typeof suite>;

const document = z.union([
  z.object({ testsuites: z.array(z.union([suite, z.string().transform(() => ({ testcase: [], testsuite: [] }))])) }),
  z.object({ testsuite: z.array(suite) }),
]);

const ENTITIES: Readonly<Record<string, string>> = { lt: "<", gt: ">", amp: "&", quot: '"', apos: "'" };
const CODE_POINT_MAX = 0x10ffff;

/** Standard entities and character references become characters; anything else stays as it was written (X1). */
function decode(text: string): string {
  return text.replace(/&(?:#x([0-9a-f]{1,6})|#([0-9]{1,7})|(\w{2,4}));/gi, (whole, hex, decimal, name) => {
    if (name !== undefined) return ENTITIES[name] ?? whole;
    const point = hex === undefined ? Number(decimal) : Number.parseInt(hex, 16);
    return point <= CODE_POINT_MAX ? String.fromCodePoint(point) : whole;
  });
}

function messageOf(notes: readonly z.output<typeof note>[]): string {
  const parts = notes.map(({ message, text }) => (text.includes(message) ? text : `${message}\n${text}`));
  return decode(parts.join("\n").trim());
}

function caseOf(parsed: z.output<typeof testCase>): TestCase {
  const [place, title] = [decode(parsed["@classname"]), decode(parsed["@name"])];
  const name = place === "" || place === title ? title : `${place}::${title}`;
  if (parsed.skipped.length > 0) return { name, outcome: "skipped", message: "" };
  const troubles = [...parsed.failure, ...parsed.error];
  if (troubles.length === 0) return { name, outcome: "passed", message: "" };
  return { name, outcome: "failed", message: messageOf(troubles) || "the runner gave no message" };
}

const casesIn = (parsed: Suite): TestCase[] => [...parsed.testcase.map(caseOf), ...parsed.testsuite.flatMap(casesIn)];

/** The test cases of a JUnit file, named `classname::name`; never throws. */
export function parseJunit(xml: string): ReadReport {
  const unreadable = (why: string): ReadReport => ({
    kind: "unreadable",
    reason: `wrote a report that is not JUnit XML (${why})`,
  });
  try {
    const valid = XMLValidator.validate(xml);
    if (valid !== true) return unreadable(`line ${valid.err.line}: ${valid.err.msg}`);
    const parsed = document.safeParse(parser.parse(xml));
    if (!parsed.success) return unreadable("no testsuite in it");
    const suites = "testsuites" in parsed.data ? parsed.data.testsuites : parsed.data.testsuite;
    return { kind: "cases", cases: suites.flatMap(casesIn) };
  } catch (error) {
    return unreadable(error instanceof Error ? error.message : String(error));
  }
}
