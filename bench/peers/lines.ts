// What a peer's process says and hears, one JSON object a line: first `Ready`, then one `Answer` for each `Ask` on its standard input.
// When its input ends it exits at once, so that none outlives the benchmark, however that ended: the server it would say goodbye to may
// have gone already.

import { createInterface } from "node:readline";
import type { Sample } from "../sample.ts";

export interface Ready {
  readonly ready: { readonly rows: readonly string[]; readonly versions: Readonly<Record<string, string>> };
}

/** One round of `row`, of about `ms` milliseconds where the row is measured by time; `quick` asks for less where it is by count. */
export interface Ask {
  readonly row: string;
  readonly ms: number;
  readonly quick: boolean;
}

/** An error loses the row, not the run. */
export type Answer = Sample | { readonly error: string };

export type Rows = Readonly<Record<string, (ms: number) => Promise<Sample>>>;

const print = (line: Ready | Answer) => process.stdout.write(`${JSON.stringify(line)}\n`);

/** Serves asks until standard input ends, and exits. */
export async function serve(versions: Readonly<Record<string, string>>, rows: Rows): Promise<never> {
  print({ ready: { rows: Object.keys(rows), versions } });
  for await (const line of createInterface({ input: process.stdin })) {
    const { row, ms }: Ask = JSON.parse(line);
    try {
      const run = rows[row];
      print(run === undefined ? { error: `no row ${row}` } : await run(ms));
    } catch (error) {
      print({ error: error instanceof Error ? error.message : String(error) });
    }
  }
  process.exit();
}
