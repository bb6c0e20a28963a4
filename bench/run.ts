// The benchmark: `npm run bench -- [--quick] [--only ID]… [--json FILE]`. Scenario → samples → table and JSON.
// A missed bar is printed, never an exit status: the machine may be busy, and people judge.

import { type FileHandle, open } from "node:fs/promises";
import { parseArgs } from "node:util";
import { currentLoad, describeMachine, describeVersions } from "./machine.ts";
import { formatMachine, formatTable, type Report, type Row } from "./report.ts";
import type { Scenario } from "./scenario.ts";
import { idleActor } from "./scenarios/idle-actor.ts";
import { pipelinedCalls, sequentialCalls } from "./scenarios/local-calls.ts";
import { localSpawn } from "./scenarios/local-spawn.ts";
import { localStream } from "./scenarios/local-stream.ts";
import { summarize } from "./stats.ts";

const SCENARIOS: readonly Scenario[] = [pipelinedCalls, sequentialCalls, localSpawn, localStream, idleActor];

/** Rounds thrown away first: the compiler has then seen the hot functions. */
const WARM_UPS = { full: 3, quick: 1 } as const;
const ROUNDS = { full: 9, quick: 3 } as const;

interface Options {
  readonly quick: boolean;
  readonly only: readonly string[];
  readonly json: FileHandle | undefined;
}

/** Opens the JSON file before anything is measured: a wrong path must not cost the minutes of a run. */
async function readOptions(argv: readonly string[]): Promise<Options> {
  const { values } = parseArgs({
    args: [...argv],
    options: {
      quick: { type: "boolean", default: false },
      only: { type: "string", multiple: true, default: [] },
      json: { type: "string" },
    },
  });
  const ids = SCENARIOS.map((scenario) => scenario.id);
  for (const id of values.only) {
    if (!ids.includes(id)) throw new Error(`no scenario "${id}"; there are ${ids.join(", ")}`);
  }
  const json = values.json === undefined ? undefined : await open(values.json, "w");
  return { quick: values.quick, only: values.only, json };
}

async function measure(scenario: Scenario, quick: boolean): Promise<Row> {
  const length = quick ? "quick" : "full";
  const running = await scenario.start(quick);
  try {
    for (let round = 0; round < WARM_UPS[length]; round++) await running.round();
    const samples: number[] = [];
    for (let round = 0; round < ROUNDS[length]; round++) samples.push(await running.round());
    return { id: scenario.id, unit: scenario.unit, ...summarize(samples), ratios: {} };
  } finally {
    await running.stop();
  }
}

async function run({ quick, only, json }: Options): Promise<void> {
  const wanted = SCENARIOS.filter((scenario) => only.length === 0 || only.includes(scenario.id));
  const before = currentLoad();
  const rows: Row[] = [];
  for (const scenario of wanted) {
    process.stderr.write(`${scenario.id} …\n`);
    rows.push(await measure(scenario, quick));
  }
  const report: Report = {
    machine: describeMachine(),
    load: { before, after: currentLoad() },
    versions: describeVersions(),
    rows,
  };
  const bars = new Map(wanted.flatMap(({ id, bar }) => (bar === undefined ? [] : [[id, bar] as const])));
  console.log(`${formatTable(rows, bars)}\n\n${formatMachine(report)}`);
  await json?.writeFile(`${JSON.stringify(report, undefined, 2)}\n`);
  await json?.close();
}

async function main(argv: readonly string[]): Promise<number> {
  const options = await readOptions(argv).catch((error: Error) => error);
  if (options instanceof Error) {
    console.error(`bench: ${options.message}`);
    return 1;
  }
  await run(options);
  return 0;
}

process.exitCode = await main(process.argv.slice(2));
