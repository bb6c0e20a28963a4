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
const NAME = /[a-zA-Z_:][a-zA-Z0-9_:]*/y;
const LABEL = /\s*([a-zA-Z_][a-zA-Z0-9_]*)\s*=\s*"((?:[^"\\\n]|\\.)*)"\s*(,|(?=\}))/y;
const VALUE = /^\s*([^\s]+)(?:\s+-?\d+)?\s*(?:#.*)?$/;
const NUMBER = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:[eE][+-]?\d+)?$/;

/** Reads a page of metrics. `wanted`, when given, says by its name whether a sample is worth keeping: most of a page is histograms. */
export function parseMetrics(text: string, wanted?: (name: string) => boolean): MetricsPage {
  const cut = text.length > METRICS_MAX_CHARS;
  const lines = (cut ? text.slice(0, METRICS_MAX_CHARS) : text).split("\n");
  // The last line may be half of one.
  if (cut) lines.pop();
  const samples: Sample[] = [];
  let malformed = 0;
  for (const line of lines) {
    if (isBlank(line) || line.trimStart().startsWith("#")) continue;
    const sample = parseLine(line, wanted);
    if (sample === undefined) malformed++;
    else if (sample !== "unwanted") samples.push(sample);
  }
  return { samples, malformed, cut };
}

const isBlank = (line: string): boolean => line === "" || line.trim() === "";

function parseLine(line: string, wanted?: (name: string) => boolean): Sample | "unwanted" | undefined {
  const start = line.length - line.trimStart().length;
  NAME.lastIndex = start;
  const name = NAME.exec(line)?.[0];
  if (name === undefined) return undefined;
  if (wanted !== undefined && !wanted(name)) return "unwanted";
  let at = start + name.length;
  while (line[at] === " " || line[at] === "\t") at++;
  const labels: Record<string, string> | undefined = line[at] === "{" ? {} : undefined;
  if (labels !== undefined) {
    at = parseLabels(line, at + 1, labels);
    if (at < 0) return undefined;
  }
  const value = parseValue(VALUE.exec(line.slice(at))?.[1]);
  return value === undefined ? undefined : { name, labels: labels ?? NO_LABELS, value };
}

/** Fills `labels` from what follows "{"; the place after "}", or -1. */
function parseLabels(line: string, from: number, labels: Record<string, string>): number {
  let at = from;
  for (;;) {
    LABEL.lastIndex = at;
    const found = LABEL.exec(line);
    if (found === null) break;
    const [whole, key, value] = found as unknown as [string, string, string];
    // Defined, not assigned: a label called __proto__ is a label.
    Object.defineProperty(labels, key, {
      value: unescaped(value),
      enumerable: true,
      configurable: true,
      writable: true,
    });
    at += whole.length;
  }
  while (line[at] === " " || line[at] === "\t") at++;
  return line[at] === "}" ? at + 1 : -1;
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
