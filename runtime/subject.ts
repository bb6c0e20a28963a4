// Subjects: dotted names of store keys and events, and the filters that choose among them. Pure.
// They are not actor names: whoever puts a person's text into a subject encodes it first.
//
// SU1  A subject is tokens of A-Z a-z 0-9 _ = / - joined by dots, at most SUBJECT_MAX characters in all: what a NATS key allows.
// SU2  In a filter the token `*` stands for any one token, and a last token `>` for one or more: `lease.>` takes lease.a and lease.a.b,
//      but neither lease nor leases.a. `>` alone takes everything.

import { portError } from "./port-errors.ts";

/** Servers bound a control line at 4,096 bytes with the reply subject in it; long names would fail only there, and only sometimes. */
export const SUBJECT_MAX = 200;

const SUBJECT = /^[\w=/-]+(?:\.[\w=/-]+)*$/;
const FILTER = /^(?:(?:[\w=/-]+|\*)\.)*(?:[\w=/-]+|\*|>)$/;

/** Throws `InvalidSubject` unless `subject` obeys SU1. */
export function checkSubject(subject: string): void {
  if (subject.length > SUBJECT_MAX || !SUBJECT.test(subject)) refuse("subject", subject);
}

/** Throws `InvalidSubject` unless `filter` obeys SU2. */
export function checkFilter(filter: string): void {
  if (filter.length > SUBJECT_MAX || !FILTER.test(filter)) refuse("filter", filter);
}

/** Whether a valid `filter` takes a valid `subject` (SU2). */
export function matchesSubject(filter: string, subject: string): boolean {
  if (filter === ">" || filter === subject) return true;
  const wanted = filter.split(".");
  const tokens = subject.split(".");
  if (wanted.at(-1) === ">") {
    wanted.pop();
    if (tokens.length <= wanted.length) return false;
  } else if (tokens.length !== wanted.length) return false;
  return wanted.every((token, at) => token === "*" || token === tokens[at]);
}

function refuse(what: "subject" | "filter", given: string): never {
  throw portError(
    "InvalidSubject",
    `not a ${what}: ${JSON.stringify(given.slice(0, SUBJECT_MAX))}; expected at most ${SUBJECT_MAX} characters of dotted tokens of letters, digits, _ = / and -`,
    { data: { [what]: given.slice(0, SUBJECT_MAX) } },
  );
}
