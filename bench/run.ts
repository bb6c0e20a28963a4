// The benchmark: `npm run bench -- [--quick] [--only ID]… [--json FILE]`. Scenario → samples → table and JSON.
// A missed bar is printed, never an exit status: the machine may be busy, and people judge.

import { writeFile } from "node:fs/promises";
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
  readonly json: string | undefined;
}

function readOptions(argv: readonly string[]): Options {
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
    if (!ids.includes(id)) throw new TypeError(`no scenario "${id}"; there are ${ids.join(", ")}`);
  }
  return { quick: values.quick, only: values.only, json: values.json };
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
  if (json !== undefined) await writeFile(json, `${JSON.stringify(report, undefined, 2)}\n`);
}

try {
  await run(readOptions(process.argv.slice(2)));
} catch (error) {
  if (!(error instanceof TypeError)) throw error;
  console.error(`bench: ${error.message}`);
  process.exitCode = 1;
}
