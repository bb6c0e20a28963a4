// Values as GPU tools print them: "40960 MiB", " 37 C ", "N/A", "[Not Supported]", "[Unknown Error]", { "value": 12, "unit": "MB" }.
// What is no number is absent, never 0 (GP2).

const NUMBER = /^\s*(-?\d+(?:\.\d+)?)\s*(?:[A-Za-z%]+)?\s*$/;
const MIB = 2 ** 20;

/** The number that a tool printed, whatever its unit; undefined where it printed none. */
export function numberIn(value: unknown): number | undefined {
  if (typeof value === "number") return Number.isFinite(value) ? value : undefined;
  if (typeof value === "string") {
    const digits = NUMBER.exec(value)?.[1];
    return digits === undefined ? undefined : Number(digits);
  }
  return isRecord(value) ? numberIn(value.value) : undefined;
}

/** A number of mebibytes, as bytes. */
export function mebibytesIn(value: unknown): number | undefined {
  const count = numberIn(value);
  return count === undefined ? undefined : count * MIB;
}

/** A number of hundredths, as a share of one. */
export function percentIn(value: unknown): number | undefined {
  const percent = numberIn(value);
  return percent === undefined ? undefined : percent / 100;
}

/** A text that says something. */
export function textIn(value: unknown): string | undefined {
  const text = typeof value === "string" ? value.trim() : "";
  return text === "" || /^\[?(N\/A|None|Not Supported|Unknown Error|Requested functionality.*)\]?$/i.test(text)
    ? undefined
    : text;
}

export function isRecord(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === "object" && value !== null && !Array.isArray(value);
}

/** What lies under `path`; undefined where the way ends. */
export function valueAt(tree: unknown, ...path: readonly string[]): unknown {
  return path.reduce((node, name) => (isRecord(node) ? node[name] : undefined), tree);
}

/** `key: value` when there is a value: for objects whose absent fields must be absent. */
export function given<Key extends string, Value>(key: Key, value: Value | undefined): { [K in Key]?: Value } {
  return value === undefined ? {} : ({ [key]: value } as { [K in Key]: Value });
}

/** The JSON in what a tool printed; tools print warnings before it. */
export function jsonIn(text: string): unknown {
  const start = text.search(/[[{]/);
  try {
    return start < 0 ? undefined : (JSON.parse(text.slice(start)) as unknown);
  } catch {
    return undefined;
  }
}

/** "0000:3b:00" of "00000000:3B:00.0": domain, bus and device as the kernel's log writes them. */
export function pciOf(address: string | undefined): string | undefined {
  const [, domain = "", rest] = /^([0-9a-f]{4,8}):([0-9a-f]{2}:[0-9a-f]{2})(?:\.\d+)?$/i.exec(address ?? "") ?? [];
  return rest === undefined ? undefined : `${domain.slice(-4)}:${rest}`.toLowerCase();
}
