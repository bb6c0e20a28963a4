// Amounts of resources: read from text, counted in whole units, and shown to people.
//
// AU1  Amounts are added and compared in whole units only, so that no sum drifts: bytes for names that end in Bytes, millionths for all others.
// AU2  A whole of a GPU is UNITS_IN_ONE: a third is 333,333 of them, so three thirds fit into one.

import type { Amounts, FlotillaError, Refusal } from "../../runtime/index.ts";
import { byteSize, parseByteSize } from "../byte-size.ts";
import { nodeError } from "../errors.ts";

export const UNITS_IN_ONE = 1_000_000;
const AMOUNT_MAX = 1e9;
const NAME = /^[A-Za-z][A-Za-z0-9_.-]{0,63}$/;
/** Short names of the command line. */
const SHORT: ReadonlyMap<string, string> = new Map([
  ["memory", "memoryBytes"],
  ["gpuMemory", "gpuMemoryBytes"],
]);

export const isBytes = (name: string): boolean => name.endsWith("Bytes");

/** Whole units of an amount (AU1), at least one of what is not 0; undefined for what is no amount. */
export function unitsOf(name: string, amount: unknown): number | undefined {
  if (typeof amount !== "number" || !(amount >= 0)) return undefined;
  const max = isBytes(name) ? Number.MAX_SAFE_INTEGER : AMOUNT_MAX;
  if (amount > max) return undefined;
  const units = isBytes(name) ? Math.ceil(amount) : Math.round(amount * UNITS_IN_ONE);
  return amount > 0 ? Math.max(1, units) : 0;
}

export const amountOf = (name: string, units: number): number => (isBytes(name) ? units : units / UNITS_IN_ONE);

export const amountInWords = (name: string, units: number): string =>
  isBytes(name) ? byteSize(units) : String(amountOf(name, units));

/**
 * "cpus=8,gpus=2,licence=3,memory=64GiB" as amounts; `memory` and `gpuMemory` are short for memoryBytes and gpuMemoryBytes. An empty text is
 * none. Throws AmountsInvalid.
 */
export function parseAmounts(text: string): Amounts {
  const amounts: Record<string, number> = {};
  for (const part of text.split(",").map((each) => each.trim())) {
    if (part === "" && text.trim() === "") break;
    const [, short = "", value = ""] = /^([^=]+)=(.+)$/.exec(part) ?? [];
    const name = SHORT.get(short.trim()) ?? short.trim();
    const amount = isBytes(name) ? parseByteSize(value) : numberOf(value.trim());
    if (!NAME.test(name)) throw invalid(`"${part}" is no name=number`);
    if (amount === undefined || unitsOf(name, amount) === undefined) throw invalid(`${name}: "${value}" is no amount`);
    if (Object.hasOwn(amounts, name)) throw invalid(`${name} is there twice`);
    amounts[name] = amount;
  }
  return amounts;
}

const numberOf = (text: string): number | undefined => (/^\d+(\.\d+)?$/.test(text) ? Number(text) : undefined);

export const invalid = (what: string): FlotillaError => nodeError("AmountsInvalid", `resources: ${what}`);

export const refused = (reason: string, passes: boolean): Refusal => ({ kind: "refused", reason, passes });
