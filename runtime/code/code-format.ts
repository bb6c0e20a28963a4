// A bundle as it lies in the blobs: one line of JSON that says what it was made for, then the ESM text. Its name is its SHA-256.
//
//     {"format":1,"flotilla":"0.1.0","protocol":1}\n
//     import { defineActor } from "./flotilla-runtime.mjs"; …
//
// CF1  The line is read before anything runs: a node refuses a bundle that another flotilla made.

import { readFileSync } from "node:fs";
import { PROTOCOL_VERSION } from "../codec.ts";
import { codeError } from "./errors.ts";

const FORMAT = 1;

/** What a bundle was made with, and what a node runs. */
export interface CodeVersions {
  readonly flotilla: string;
  readonly protocol: number;
}

/** Those of this process. */
export function ownVersions(): CodeVersions {
  const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8"));
  return { flotilla: String(version), protocol: PROTOCOL_VERSION };
}

const inWords = ({ flotilla, protocol }: CodeVersions): string => `flotilla ${flotilla} (protocol ${protocol})`;

export function packCode(text: string, versions: CodeVersions): Uint8Array {
  const { flotilla, protocol } = versions;
  return Buffer.from(`${JSON.stringify({ format: FORMAT, flotilla, protocol })}\n${text}`);
}

function headerIn(line: string): (CodeVersions & { readonly format: number }) | undefined {
  try {
    const { format, flotilla, protocol } = JSON.parse(line);
    const isOurs = typeof format === "number" && typeof flotilla === "string" && typeof protocol === "number";
    return isOurs ? { format, flotilla, protocol } : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The text of a bundle that was made for `own`. `label` names it in errors.
 * Throws CodeCorrupt when the bytes are no bundle, VersionSkew when another flotilla made them (CF1).
 */
export function unpackCode(bytes: Uint8Array, own: CodeVersions, label: string): string {
  const end = bytes.indexOf(10);
  const header = end < 0 ? undefined : headerIn(Buffer.from(bytes.subarray(0, end)).toString());
  if (header === undefined)
    throw codeError("CodeCorrupt", `${label} is no bundle of actors`, { data: { code: label } });
  if (header.format !== FORMAT || header.flotilla !== own.flotilla || header.protocol !== own.protocol) {
    const message = `${label} was bundled by ${inWords(header)} and the node runs ${inWords(own)}; install the same on both`;
    throw codeError("VersionSkew", message, { data: { theirs: header.flotilla, ours: own.flotilla, code: label } });
  }
  return Buffer.from(bytes.subarray(end + 1)).toString();
}
