// Replies of a model server that come through its daemon: how much later each chunk is here than when the server is asked directly, and how many
// tokens a second pass. The server is simulated, in a process of its own; through the daemon is over NATS, by the actor that other nodes use.
//
// DS1  The delay is taken between two replies that the server writes at the same moments, read by one process on one clock: of one that is asked
//      directly and one that comes through the daemon, the chunks of one step of the engine are those that arrive closest to each other.

import { MODELS_ACTOR, Models } from "../../nodes/index.ts";
import { type ActorSystem, connect, systemClock } from "../../runtime/index.ts";
import { engineState, until } from "../fleet-view.ts";
import { type BenchDaemon, type BenchSim, SIM_MODEL, startDaemon, startSim } from "../flotilla-process.ts";
import { repeat } from "../load.ts";
import type { Bar, Running, Scenario, Setting } from "../scenario.ts";
import { percentile } from "../stats.ts";

const US_IN_MS = 1_000;
/** Many times what a chunk may be late, so that it is clear which step it is of. */
const STEP_MS = 10;
const TIMED_TOKENS = { full: 100, quick: 40 } as const;
/** The direct reply begins before the other and ends after it. */
const SPARE_TOKENS = 200;
const STREAMS = 8;
const TOKENS_EACH = 4_000;

interface Rig {
  readonly sim: BenchSim;
  readonly daemon: BenchDaemon;
  readonly system: ActorSystem;
  stop(): Promise<void>;
}

async function startRig(servers: string, simFlags: readonly string[]): Promise<Rig> {
  await using started = new AsyncDisposableStack();
  const sim = await startSim(simFlags);
  started.use(sim.process);
  const daemon = await startDaemon(servers, ["--adopt", sim.url]);
  started.use(daemon.process);
  const system = await connect({ servers });
  started.use(system);
  await until("the daemon has the model server", () => engineState(system, daemon.node) === "ready");
  const kept = started.move();
  return { sim, daemon, system, stop: () => kept.disposeAsync() };
}

const bodyOf = (tokens: number) => ({
  model: SIM_MODEL,
  messages: [{ role: "user", content: "Count." }],
  max_tokens: tokens,
  ignore_eos: true,
});

/** Each item is how many chunks of the reply have come together. */
async function* direct({ sim }: Rig, tokens: number, signal?: AbortSignal): AsyncGenerator<number> {
  const answer = await fetch(`${sim.url}/v1/chat/completions`, {
    method: "POST",
    headers: { "content-type": "application/json" },
    body: JSON.stringify({ ...bodyOf(tokens), stream: true }),
    ...(signal !== undefined && { signal }),
  });
  if (answer.body === null || !answer.ok) throw new Error(`the model server answers ${answer.status}`);
  const decoder = new TextDecoder();
  for await (const bytes of answer.body) yield decoder.decode(bytes, { stream: true }).split("\n\n").length - 1;
}

async function* throughDaemon({ system, daemon }: Rig, tokens: number): AsyncGenerator<number> {
  const models = await system.get(MODELS_ACTOR, Models, daemon.node);
  for await (const chunks of models.chat({ body: bodyOf(tokens) })) yield chunks.length;
}

/** How long after the other reply's each chunk came that came through the daemon, in µs, sorted (DS1). */
async function delays(rig: Rig, tokens: number): Promise<number[]> {
  const [theirs, ours]: [number[], number[]] = [[], []];
  const over = new AbortController();
  const begun = Promise.withResolvers<void>();
  const reading = (async () => {
    for await (const _ of direct(rig, tokens + SPARE_TOKENS, over.signal)) {
      theirs.push(systemClock.monotonic());
      begun.resolve();
    }
  })().catch((error: unknown) => {
    if (!over.signal.aborted) throw error;
  });
  await Promise.race([begun.promise, reading]);
  for await (const _ of throughDaemon(rig, tokens)) ours.push(systemClock.monotonic());
  over.abort();
  await reading;
  const nearest = (at: number) =>
    theirs.reduce((best, each) => (Math.abs(at - each) < Math.abs(at - best) ? each : best));
  // The first chunk is the beginning of a reply, and the last its end.
  const between = ours.slice(1, -1);
  return between.map((at) => (at - nearest(at)) * US_IN_MS).sort((a, b) => a - b);
}

export const streamOverhead: Scenario = {
  id: "daemon.stream.overhead",
  unit: "µs/chunk",
  bars: [{ of: "value", atMost: 1_000 }],
  async start({ quick, servers }) {
    const rig = await startRig(await servers(), ["--decode-ms-per-token", String(STEP_MS)]);
    return {
      async round() {
        const sorted = await delays(rig, quick ? TIMED_TOKENS.quick : TIMED_TOKENS.full);
        const p50Us = percentile(sorted, 0.5);
        return { value: p50Us, p50Us, p99Us: percentile(sorted, 0.99) };
      },
      stop: rig.stop,
    };
  },
};

type Ask = (rig: Rig, tokens: number) => AsyncIterable<number>;

async function count(reply: AsyncIterable<number>): Promise<number> {
  let chunks = 0;
  for await (const more of reply) chunks += more;
  if (chunks < TOKENS_EACH) throw new Error(`${chunks} chunks came of a reply of ${TOKENS_EACH} tokens`);
  return TOKENS_EACH;
}

/** Prints the processor time that a token costs each process, so that it can be seen whose was the limit. */
async function startStreams({ roundMs, servers }: Setting, id: string, ask: Ask): Promise<Running> {
  const rig = await startRig(await servers(), []);
  const used = () => [rig.sim.process.cpuMs(), rig.daemon.process.cpuMs(), ownCpuMs()];
  let tokens = 0;
  const work = async () => {
    const counts = await Promise.all(Array.from({ length: STREAMS }, () => count(ask(rig, TOKENS_EACH))));
    const sum = counts.reduce((sum, tokens) => sum + tokens, 0);
    tokens += sum;
    return sum;
  };
  const before = used();
  return {
    round: () => repeat(roundMs, work),
    async stop() {
      const costs = used().map((ms, at) => (((ms - (before[at] ?? 0)) * US_IN_MS) / tokens).toFixed(1));
      const [server, daemon, reader] = costs;
      console.error(`${id}: µs of a core for a token: model server ${server}, daemon ${daemon}, this reader ${reader}`);
      await rig.stop();
    },
  };
}

const ownCpuMs = (): number => {
  const { user, system } = process.cpuUsage();
  return (user + system) / US_IN_MS;
};

const streams = (id: string, bars: readonly Bar[], ask: Ask): Scenario => ({
  id,
  unit: "tokens/s",
  bars,
  start: (setting) => startStreams(setting, id, ask),
});

export const streamTokens = streams("daemon.stream.tokens", [{ of: "value", atLeast: 100_000 }], throughDaemon);
/** What the server alone gives to the same reader. */
export const directTokens = streams("daemon.stream.tokens.direct", [], direct);
