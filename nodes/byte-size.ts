// Amounts of bytes as people write and read them: "64GiB", "1.5 GiB". GiB and the like are powers of 1024, GB and the like of 1000.

const UNITS: Readonly<Record<string, number>> = {
  "": 1,
  B: 1,
  KB: 1e3,
  MB: 1e6,
  GB: 1e9,
  TB: 1e12,
  KIB: 2 ** 10,
  MIB: 2 ** 20,
  GIB: 2 ** 30,
  TIB: 2 ** 40,
};
const SHOWN = ["TiB", "GiB", "MiB", "KiB"] as const;

/** Whole bytes of "64GiB", "1.5 TB" or "1024"; undefined for anything else, and for what is no exact number any more (2^53). */
export function parseByteSize(text: string): number | undefined {
  const [, count, unit = ""] = /^(\d+(?:\.\d+)?)\s*([A-Za-z]*)$/.exec(text.trim()) ?? [];
  const factor = UNITS[unit.toUpperCase()];
  if (count === undefined || factor === undefined) return undefined;
  const bytes = Math.round(Number(count) * factor);
  return Number.isSafeInteger(bytes) ? bytes : undefined;
}

/** "1.5 GiB": in the largest unit that leaves at least one, with two digits after the point at most. */
export function byteSize(bytes: number): string {
  const unit = SHOWN.find((name) => bytes >= (UNITS[name.toUpperCase()] ?? 0));
  if (unit === undefined) return `${bytes} B`;
  return `${Number((bytes / (UNITS[unit.toUpperCase()] ?? 1)).toFixed(2))} ${unit}`;
}
