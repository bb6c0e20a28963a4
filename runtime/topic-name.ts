// The names of topics: a person's dotted text as a subject of the event log, and back. Pure.
// They are not actor names, which nobody reads back from a key.
//
//     orders.new        topic.orders.new            what a subject allows stays readable, for those who look at the server
//     orders.für.a b    topic.orders.=ZsO8cg.=YSBi  the rest is base64url behind "=", with which no readable token begins
//     orders.*          topic.orders.*              only in subscriptions: one token; a last ">" takes one or more
//
// TN1  Different topics have different subjects, and a subject gives its topic back.
// TN2  A name that has no such subject (an empty part, a wild card where one topic is meant, too long) is refused with the reason.

import { runtimeError } from "./errors.ts";
import { SUBJECT_MAX } from "./subject.ts";

const PREFIX = "topic.";
const READABLE = /^[\w-]+$/;

function refuse(topic: unknown, expected: string): never {
  const shown = typeof topic === "string" ? JSON.stringify(topic.slice(0, SUBJECT_MAX)) : String(topic);
  throw runtimeError("InvalidOption", `topic ${shown}: expected ${expected}`, { data: { option: "topic", expected } });
}

function tokensOf(topic: string): string[] {
  if (typeof topic !== "string") refuse(topic, "a text");
  const tokens = topic.split(".");
  if (tokens.includes("")) refuse(topic, "parts joined by single dots, none of them empty");
  // Bytes have no form for half of a surrogate pair: two such names would become one.
  if (!topic.isWellFormed()) refuse(topic, "well-formed Unicode");
  return tokens;
}

const encode = (token: string): string =>
  READABLE.test(token) ? token : `=${Buffer.from(token).toString("base64url")}`;

const decode = (token: string): string =>
  token.startsWith("=") ? Buffer.from(token.slice(1), "base64url").toString() : token;

function joined(topic: string, tokens: readonly string[]): string {
  const subject = PREFIX + tokens.join(".");
  if (subject.length > SUBJECT_MAX) {
    refuse(
      topic,
      `at most ${SUBJECT_MAX - PREFIX.length} characters of letters, digits, _ and -; others count for more`,
    );
  }
  return subject;
}

/** The subject under which events of one topic are kept. Throws InvalidOption (TN2). */
export function subjectOf(topic: string): string {
  const tokens = tokensOf(topic);
  if (tokens.some((token) => token === "*" || token === ">"))
    refuse(topic, "the name of one topic; * and > are for subscriptions");
  return joined(topic, tokens.map(encode));
}

/** The filter that takes the events of a topic, or of all that a pattern with `*` and a last `>` names. Throws InvalidOption (TN2). */
export function filterOf(pattern: string): string {
  const tokens = tokensOf(pattern);
  if (tokens.slice(0, -1).includes(">")) refuse(pattern, "> as the last part only");
  return joined(
    pattern,
    tokens.map((token) => (token === "*" || token === ">" ? token : encode(token))),
  );
}

/** The topic of a subject that `subjectOf` made. */
export const topicOf = (subject: string): string => subject.slice(PREFIX.length).split(".").map(decode).join(".");
