// What the storage ports (store, event log, blobs) throw, in every form of them.
// Expected outcomes are not here: a lost race is a `conflict`, a missing key is `undefined`.

import { type ErrorKind, errorsFrom, runtimeError } from "./errors.ts";

const PORT_ERRORS = {
  InvalidSubject: {
    retryable: false,
    remedy: "Use dotted tokens of letters, digits, _ = / and -; encode other text first.",
  },
  ReaderLagged: {
    retryable: true,
    remedy: "Start again from the beginning of what is kept, and read faster or keep more.",
  },
  StorageFull: {
    retryable: true,
    remedy: "Delete what is no longer needed, or raise the bound that the message names.",
  },
  ValueTooLarge: { retryable: false, remedy: "Put large bytes into blobs and keep their hash, or split them." },
} satisfies Record<string, ErrorKind>;

/** The storage ports' own codes, for docs and for those who check that they are listed. */
export const portErrors: Readonly<Record<keyof typeof PORT_ERRORS, ErrorKind>> = PORT_ERRORS;

export const portError = errorsFrom(PORT_ERRORS);

/** What every port throws when it is used after close. */
export const closedError = (what: string) => runtimeError("Closed", `the ${what} is closed`);

/** Throws `InvalidOption` unless `value` is a whole number from `min` to `max`. */
export function checkWhole(name: string, value: number, min: number, max: number = Number.MAX_SAFE_INTEGER): void {
  if (Number.isInteger(value) && value >= min && value <= max) return;
  throw runtimeError("InvalidOption", `${name} must be a whole number from ${min} to ${max}; got ${value}`, {
    data: { name, min, max, got: value },
  });
}

/** Throws `ValueTooLarge` when `bytes` is longer than `maxBytes`. */
export function checkSize(name: string, bytes: Uint8Array, maxBytes: number): void {
  if (bytes.byteLength <= maxBytes) return;
  throw portError("ValueTooLarge", `${name} has ${bytes.byteLength} bytes; at most ${maxBytes} fit`, {
    data: { name, bytes: bytes.byteLength, maxBytes },
  });
}
