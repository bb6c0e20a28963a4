// A person's text as one token of a subject (subject.ts): actor names, node names, reminder names. One way only: whoever needs the text
// again stores it in the value.
//
// TK1  Different texts have different tokens; a token never exceeds TOKEN_MAX, so three of them and a prefix fit a subject.

import { createHash } from "node:crypto";

/** Longer ones become their hash, marked by what base64url never begins with. */
export const TOKEN_MAX = 60;

export function token(text: string): string {
  const encoded = Buffer.from(text).toString("base64url");
  return encoded.length <= TOKEN_MAX ? encoded : `=${createHash("sha256").update(text).digest("base64url")}`;
}
