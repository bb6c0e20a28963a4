// The Prometheus text format → samples. It knows no metric's meaning (engine-facts.ts) and fetches nothing (engine-monitor.ts).
//
// EX1  No text makes it throw: a line that is none is passed over and counted.
// EX2  Work and memory are bounded by METRICS_MAX_CHARS; what lies beyond is not read, and the page says that it was cut.

/** One measured value. */
export interface Sample {
  readonly name: string;
  readonly labels: Readonly<Record<string, string>>;
  /** May be NaN or infinite: that is the server's to say. */
  readonly value: number;
}

export interface MetricsPage {
  readonly samples: readonly Sample[];
  /** Lines that are neither a sample nor a comment. */
  readonly malformed: number;
  /** Whether the text was longer than is read (EX2). */
  readonly cut: boolean;
}

/** A vLLM with one model has 70 thousand characters; with sixteen engines behind it about a million. */
export const METRICS_MAX_CHARS = 4 * 1024 * 1024;

const NO_LABELS: Readonly<Record<string, string>> = Object.freeze({});
const VALUE = /^\s*([^\s]+)(?:\s+-?\d+)?\s*(?:#.*)?$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Reads a page of metrics. `wanted`, when given, says by its name whether a sample is worth keeping: most of a page is histograms. */
export function parseMetrics(text: string, wanted?: (name: string) => boolean): MetricsPage {
  const cut = text.length > METRICS_MAX_CHARS;
  const lines = (cut ? text.slice(0, METRICS_MAX_CHARS) : text).split("\n");
  // The last line may be half of one.
  if (cut) lines.pop();
  const reader = new LineReader(wanted);
  const samples: Sample[] = [];
  let malformed = 0;
  for (const line of lines) {
    if (isEmpty(line)) continue;
    const sample = reader.read(line);
    if (sample === undefined) malformed++;
    else if (sample !== "unwanted") samples.push(sample);
  }
  return { samples, malformed, cut };
}

const isEmpty = (line: string): boolean => line === "" || line[0] === "#" || /^\s*(#|$)/.test(line);

class LineReader {
  // One's own: these patterns remember where they are.
  readonly #name = /\s*([a-zA-Z_:][a-zA-Z0-9_:]*)[ \t]*/y;
  readonly #label = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(?:,|(?=\}))/y;
  readonly #end = /\s*\}/y;
  readonly #wanted: ((name: string) => boolean) | undefined;

  constructor(wanted: ((name: string) => boolean) | undefined) {
    this.#wanted = wanted;
  }

  read(line: string): Sample | "unwanted" | undefined {
    this.#name.lastIndex = 0;
    const name = this.#name.exec(line)?.[1];
    if (name === undefined) return undefined;
    if (this.#wanted?.(name) === false) return "unwanted";
    let at = this.#name.lastIndex;
    let labels = NO_LABELS;
    if (line[at] === "{") {
      labels = this.#labels(line, at + 1);
      if (!this.#end.test(line)) return undefined;
      at = this.#end.lastIndex;
    }
    const value = parseValue(VALUE.exec(line.slice(at))?.[1]);
    return value === undefined ? undefined : { name, labels, value };
  }

  /** What follows "{"; leaves `#end` where they end. */
  #labels(line: string, from: number): Readonly<Record<string, string>> {
    const labels: Record<string, string> = {};
    let at = from;
    this.#label.lastIndex = at;
    for (let found = this.#label.exec(line); found !== null; found = this.#label.exec(line)) {
      const [, key = "", value = ""] = found;
      // Defined, not assigned: a label called __proto__ is a label.
      Object.defineProperty(labels, key, {
        value: unescaped(value),
        enumerable: true,
        configurable: true,
        writable: true,
      });
      at = this.#label.lastIndex;
    }
    this.#end.lastIndex = at;
    return labels;
  }
}

const unescaped = (text: string): string =>
  text.includes("\\") ? text.replace(/\\(.)/g, (_, char: string) => (char === "n" ? "\n" : char)) : text;

function parseValue(text: string | undefined): number | undefined {
  if (text === undefined) return undefined;
  if (NUMBER.test(text)) return Number(text);
  switch (text.toLowerCase()) {
    case "nan":
      return Number.NaN;
    case "+inf":
    case "inf":
      return Number.POSITIVE_INFINITY;
    case "-inf":
      return Number.NEGATIVE_INFINITY;
    default:
      return undefined;
  }
}
