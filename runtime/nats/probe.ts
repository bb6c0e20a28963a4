// Looks at a fleet's server as a node would use it, and leaves nothing there: for `flotilla doctor`. It judges nothing.
//
//     connect ─▶ round trip ─▶ streams ─▶ clock ─▶ a frame to itself ─▶ a key that expires ─▶ the nodes, twice
//
// PR1  It makes and mends no stream: what is missing is told. What it writes is one key that expires within seconds.
// PR2  The client of NATS is loaded by the call: the door of runtime/ names this file, and a process that is alone does not pay for it.
// PR3  The server's time is that of an answer, taken as the middle between asking and hearing: off by half a round trip at most.

import { type Clock, finishesWithin, sleep, systemClock } from "../clock.ts";
import type { NodeRecord } from "../node-record.ts";
import { systemRandom } from "../random.ts";
import type { Connection, NatsOptions, NatsServerFacts } from "./connection.ts";
import type { NatsStream, StoredMessage } from "./stream.ts";
import { type FleetNames, fleetNames } from "./subjects.ts";

export interface ProbeOptions extends Omit<NatsOptions, "name"> {
  /** Begins every name on the server. Default "flotilla". */
  readonly prefix?: string;
  /** Ends the probing. */
  readonly signal?: AbortSignal;
}

export interface FleetProbe {
  readonly server: NatsServerFacts;
  /** There and back to the server, the quickest of a few. */
  readonly roundTripMs: number;
  /** Names of the fleet's streams that are not there; undefined when this connection may not see them. */
  readonly missing: readonly string[] | undefined;
  /** This machine's clock minus the server's; undefined when no stream is there to ask for the time. */
  readonly aheadMs: number | undefined;
  /** What a node does and this connection could not, each in words. */
  readonly refused: readonly string[];
  /** Undefined when there is no stream to read them from. */
  readonly nodes: readonly NodeClock[] | undefined;
}

/** How the clock of a node stands to the server's. */
export interface NodeClock {
  readonly name: string;
  /** Its clock minus the server's. */
  readonly aheadMs: number;
  /** False: at least that, as far as its record tells; it may be ahead by more, and how far it is behind is not known. */
  readonly isExact: boolean;
}

/** A node's record as it is stored, and when the server stored it. */
export interface StoredNode {
  readonly record: NodeRecord;
  readonly storedMs: number;
}

const SAMPLES = 5;
/** Within it a node whose state changes tells a new report (NODE_REPORT_MIN_MS). */
const REPORT_MS = 1_100;
const HEAR_MS = 1_000;
const KEY_TTL_S = 2;
const NODES_MAX = 500;
const EMPTY = new Uint8Array(0);

/** Throws what connectNats throws; the signal's reason when it aborts. */
export async function probeFleet(options: ProbeOptions): Promise<FleetProbe> {
  const { connectNats } = await import("./connection.ts");
  const { NatsStream } = await import("./stream.ts");
  const { clock = systemClock, signal } = options;
  const names = fleetNames(options.prefix);
  const name = `doctor-${systemRandom.id()}`;
  const connection = await connectNats({ ...options, name });
  const end = () => void connection.close();
  signal?.addEventListener("abort", end, { once: true });
  try {
    signal?.throwIfAborted();
    const store = new NatsStream(connection, names.store, systemRandom);
    return await look({ connection, clock, names, name, store });
  } finally {
    signal?.removeEventListener("abort", end);
    await connection.close();
  }
}

/**
 * This machine's clock minus the server's, in milliseconds; undefined when the fleet's streams are not there yet. Throws what connectNats throws.
 */
export async function fleetClock({ clock = systemClock, ...options }: ProbeOptions): Promise<number | undefined> {
  const { connectNats } = await import("./connection.ts");
  const connection = await connectNats({ ...options, clock, name: `clock-${systemRandom.id()}` });
  try {
    const { stream } = fleetNames(options.prefix).store;
    return await aheadOf(clock, () => infoOf(connection, stream));
  } finally {
    await connection.close();
  }
}

interface Place {
  readonly connection: Connection;
  readonly clock: Clock;
  readonly names: FleetNames;
  readonly name: string;
  readonly store: NatsStream;
}

async function look(place: Place): Promise<FleetProbe> {
  const { connection, clock, names, store } = place;
  const roundTripMs = await quickest(clock, () => connection.nc.flush());
  const refused: string[] = [];
  const all = [names.store, names.events, names.results, names.blobs, names.queue].map(({ stream }) => stream);
  const missing = await tried(refused, `see the streams ${all.join(", ")}`, async () => {
    const times = await Promise.all(all.map((stream) => infoOf(connection, stream)));
    return all.filter((_, at) => times[at] === "absent");
  });
  const isThere = missing !== undefined && !missing.includes(names.store.stream);
  const aheadMs = isThere ? await aheadOf(clock, () => infoOf(connection, names.store.stream)) : undefined;
  await tried(refused, `send frames (${names.frames("*", "*")})`, () => sendFrame(place));
  if (isThere) await tried(refused, "write and hear of keys in the store", () => writeKey(place));
  const nodes = isThere ? await tried(refused, "read the nodes in the store", () => nodesOf(clock, store)) : undefined;
  return { server: connection.server, roundTripMs, missing, aheadMs, refused, nodes };
}

/** What `run` answers; undefined when it threw, and then why stands in `refused`. */
async function tried<Answer>(refused: string[], what: string, run: () => Promise<Answer>): Promise<Answer | undefined> {
  try {
    return await run();
  } catch (error) {
    refused.push(`${what}: ${(error as Error).message}`);
    return undefined;
  }
}

/** The server's time, in milliseconds since the epoch, when it looked at the stream. */
async function infoOf(connection: Connection, stream: string): Promise<number | "absent"> {
  const { API, fromApi, isApiError, readAnswer } = await import("./failures.ts");
  const what = `look at ${stream}`;
  const answer = readAnswer<{ ts: string }>((await connection.ask(what, `$JS.API.STREAM.INFO.${stream}`, EMPTY)).reply);
  if (!isApiError(answer)) return Date.parse(answer.ts);
  if (answer.error.err_code === API.streamNotFound) return "absent";
  throw fromApi(what, answer.error);
}

async function quickest(clock: Clock, run: () => Promise<unknown>): Promise<number> {
  let least = Number.POSITIVE_INFINITY;
  for (let sample = 0; sample < SAMPLES; sample++) {
    const startMs = clock.monotonic();
    await run();
    least = Math.min(least, clock.monotonic() - startMs);
  }
  return least;
}

/** Our clock minus the server's, by the quickest of a few answers (PR3). */
async function aheadOf(clock: Clock, ask: () => Promise<number | "absent">): Promise<number | undefined> {
  let best: { readonly tookMs: number; readonly aheadMs: number } | undefined;
  for (let sample = 0; sample < SAMPLES; sample++) {
    const [startMs, wallMs] = [clock.monotonic(), clock.now()];
    const serverMs = await ask().catch(() => "absent" as const);
    if (serverMs === "absent") continue;
    const tookMs = clock.monotonic() - startMs;
    if (best === undefined || tookMs < best.tookMs) best = { tookMs, aheadMs: wallMs + tookMs / 2 - serverMs };
  }
  return best?.aheadMs;
}

/** A frame to ourselves, as the transport sends it. */
async function sendFrame({ connection: { nc }, clock, names, name }: Place): Promise<void> {
  let refusal: Error | undefined;
  const isHeard = await finishesWithin(clock, HEAR_MS, (done) => {
    const subscription = nc.subscribe(names.frames(name, "*"), {
      callback: (error) => {
        refusal = error ?? undefined;
        subscription.unsubscribe();
        done();
      },
    });
    nc.publish(names.frames(name, name), EMPTY);
  });
  if (refusal !== undefined) throw refusal;
  if (!isHeard) throw new Error("what was sent did not come back, so the server forbids sending it");
}

/** A key that expires by itself, and hearing that it was written. */
async function writeKey({ clock, name, store }: Place): Promise<void> {
  const key = `doctor.${name}`;
  const heard = Promise.withResolvers<void>();
  const stop = store.listen(key, () => heard.resolve());
  try {
    await store.write(key, EMPTY, { expectedSequence: 0, ttlSeconds: KEY_TTL_S });
    const isHeard = await finishesWithin(clock, HEAR_MS, (done) => void heard.promise.then(done));
    if (!isHeard) throw new Error(`${store.names.tailPrefix}> said nothing of what was written`);
  } finally {
    stop();
  }
}

async function nodesOf(clock: Clock, store: NatsStream): Promise<readonly NodeClock[]> {
  const read = async () => {
    const { messages } = await store.next("node.*", 1, NODES_MAX);
    return messages.flatMap(storedNode);
  };
  const before = await read();
  if (before.length === 0) return [];
  await sleep(clock, REPORT_MS);
  return nodeClocks(before, await read());
}

function storedNode({ data, atMs, isGone }: StoredMessage): StoredNode[] {
  if (isGone) return [];
  try {
    const record = JSON.parse(new TextDecoder().decode(data)) as NodeRecord & { readonly left?: boolean };
    const isRunning = typeof record.name === "string" && record.left !== true && record.parent === undefined;
    return isRunning && Number.isFinite(record.startedMs) ? [{ record, storedMs: atMs }] : [];
  } catch {
    // A foreign key: membership says so where it matters.
    return [];
  }
}

/**
 * What two looks at the records tell of the nodes' clocks. A report that is new in the second was written when it was made: exact. An old
 * record is stored again at each renewal, so a moment in it can only be too early: a bound.
 */
export function nodeClocks(before: readonly StoredNode[], after: readonly StoredNode[]): readonly NodeClock[] {
  const earlier = new Map(before.map(({ record }) => [record.node, record.report?.atMs]));
  return after.map(({ record, storedMs }) => {
    const { node, name, startedMs, report } = record;
    const isExact = report !== undefined && earlier.has(node) && earlier.get(node) !== report.atMs;
    const ownMs = isExact ? report.atMs : Math.max(startedMs, report?.atMs ?? 0);
    return { name, aheadMs: ownMs - storedMs, isExact };
  });
}
