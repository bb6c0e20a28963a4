// The benchmark: `npm run bench -- [--peers] [--growth] [--quick] [--only ID]… [--json FILE]`. Scenario → samples → table and JSON.
// A missed bar is printed, never an exit status: the machine may be busy, and people judge. A row of ours that failed is one.

import { measureGrowth } from "./growth.ts";
import { currentLoad, describeMachine, describeVersions } from "./machine.ts";
import { type Missing, measure, type Peers, type Row } from "./measurement.ts";
import { type Options, readOptions, USAGE } from "./options.ts";
import { PeerProcess } from "./peers/peer-process.ts";
import { PROGRAMS } from "./peers/programs.ts";
import { formatMachine, formatTable, type Report, toJson } from "./report.ts";
import { NotMeasured, type PeerName, type Scenario, type Setting } from "./scenario.ts";
import { daemonActorMemory, daemonActors } from "./scenarios/daemon-actors.ts";
import { daemonCpu, daemonEngineCpu, daemonFirstStart, daemonMemory, daemonStart } from "./scenarios/daemon-idle.ts";
import { daemonLoss, engineExit, engineHang } from "./scenarios/daemon-loss.ts";
import { spawnCold, spawnThread, spawnWarm } from "./scenarios/daemon-spawn.ts";
import { directTokens, streamOverhead, streamTokens } from "./scenarios/daemon-stream.ts";
import { pipelinedCalls, sequentialCalls } from "./scenarios/local-calls.ts";
import { localSpawn } from "./scenarios/local-spawn.ts";
import { localStream } from "./scenarios/local-stream.ts";
import { localActorMemory, outstandingMemory, remoteActorMemory } from "./scenarios/memory.ts";
import { placementOne, placementRate, placementWhole } from "./scenarios/placement.ts";
import {
  remoteEchoLarge,
  remoteEchoSmall,
  remoteMany,
  remotePipelined,
  remoteSequential,
} from "./scenarios/remote-calls.ts";
import { remoteSpawnProcess, remoteSpawnProcessCold, remoteSpawnShared } from "./scenarios/remote-spawn.ts";
import { remoteStream } from "./scenarios/remote-stream.ts";
import { contextActor, contextHere } from "./scenarios/services-context.ts";
import { deliberateCall, deliberateGrpc } from "./scenarios/services-deliberate.ts";
import { drain } from "./scenarios/services-drain.ts";
import { planDispatched, storySeen } from "./scenarios/services-flow.ts";
import { jobResult, jobRunning, workspaceReady } from "./scenarios/services-workspace.ts";
import { durableTasks, tasks } from "./scenarios/tasks.ts";
import { BenchServer } from "./server.ts";

const SCENARIOS: readonly Scenario[] = [
  pipelinedCalls,
  sequentialCalls,
  localSpawn,
  localStream,
  localActorMemory,
  remoteSequential,
  remotePipelined,
  remoteEchoSmall,
  remoteEchoLarge,
  remoteMany,
  remoteStream,
  remoteSpawnShared,
  remoteSpawnProcess,
  remoteSpawnProcessCold,
  tasks,
  durableTasks,
  outstandingMemory,
  remoteActorMemory,
  placementRate,
  placementOne,
  placementWhole,
  daemonStart,
  daemonFirstStart,
  daemonMemory,
  daemonCpu,
  daemonEngineCpu,
  daemonActors,
  daemonActorMemory,
  spawnWarm,
  spawnCold,
  spawnThread,
  streamOverhead,
  streamTokens,
  directTokens,
  engineExit,
  engineHang,
  daemonLoss,
  storySeen,
  planDispatched,
  workspaceReady,
  jobRunning,
  jobResult,
  contextHere,
  contextActor,
  drain,
  deliberateGrpc,
  deliberateCall,
];

/** Rounds thrown away first: the compilers have then seen the hot functions. */
const ROUNDS = {
  full: { warmUps: 3, rounds: 9 },
  quick: { warmUps: 1, rounds: 3 },
  once: { warmUps: 0, rounds: 1 },
} as const;
const ROUND_MS = { full: 1_000, quick: 250 } as const;

/** Every peer, started and idle, or the reason why it cannot be. */
async function startPeers(servers: string, started: AsyncDisposableStack): Promise<Peers> {
  const peers = new Map<PeerName, PeerProcess | Missing>();
  for (const [name, command] of Object.entries(PROGRAMS) as [PeerName, (typeof PROGRAMS)[PeerName]][]) {
    process.stderr.write(`${name} …\n`);
    try {
      peers.set(name, started.use(await PeerProcess.start(await command(servers))));
    } catch (error) {
      if (!(error instanceof NotMeasured)) throw error;
      peers.set(name, { notMeasured: error.message });
    }
  }
  return peers;
}

async function measureAll(wanted: readonly Scenario[], setting: Setting, peers: Peers): Promise<Row[]> {
  const rows: Row[] = [];
  for (const scenario of wanted) {
    process.stderr.write(`${scenario.id} …\n`);
    const isShort = setting.quick || scenario.steady === true;
    const count = scenario.once ? ROUNDS.once : isShort ? ROUNDS.quick : ROUNDS.full;
    rows.push(await measure(scenario, setting, peers, count));
  }
  return rows;
}

async function run({ quick, only, peers, json }: Options): Promise<Report> {
  const wanted = SCENARIOS.filter((scenario) => only.length === 0 || only.includes(scenario.id));
  await using running = new AsyncDisposableStack();
  const server = running.use(new BenchServer());
  const setting = { quick, roundMs: quick ? ROUND_MS.quick : ROUND_MS.full, servers: server.url };
  const started = peers ? await startPeers(await server.url(), running) : new Map();
  const before = currentLoad();
  const rows = await measureAll(wanted, setting, started);
  const report: Report = {
    machine: describeMachine(),
    load: { before, after: currentLoad() },
    versions: { ...describeVersions(), ...versionsOf(started) },
    rows,
  };
  const bars = new Map(wanted.map((scenario) => [scenario.id, scenario.bars] as const));
  console.log(`${formatTable(rows, bars)}\n\n${formatMachine(report)}`);
  await json?.writeFile(`${JSON.stringify(toJson(report), undefined, 2)}\n`);
  await json?.close();
  return report;
}

const versionsOf = (peers: Peers): Readonly<Record<string, string>> =>
  Object.assign({}, ...[...peers.values()].map((peer) => ("versions" in peer ? peer.versions : {})));

async function main(argv: readonly string[]): Promise<number> {
  const ids = SCENARIOS.map((scenario) => scenario.id);
  const options = await readOptions(argv, ids).catch((error: Error) => error);
  if (options instanceof Error) {
    console.error(`bench: ${options.message}\n${USAGE}`);
    return 1;
  }
  if (options.growth) {
    await measureGrowth(options.quick);
    return 0;
  }
  const { rows } = await run(options);
  return rows.some(({ own }) => "failed" in own) ? 1 : 0;
}

// So that `exit` listeners run, which remove what would be left behind.
for (const [signal, number] of [
  ["SIGINT", 2],
  ["SIGTERM", 15],
] as const)
  process.once(signal, () => process.exit(128 + number));
process.exitCode = await main(process.argv.slice(2));
