// Streams on the server: looked for, made when missing, checked when there.
// It reads and writes no messages.
//
// P1  Any number of processes may ensure the same stream at once; one makes it, all accept it.
// P2  Limits of a stream that is there are its administrator's: they are accepted as they are. What our invariants rest on (`shape`) must
//     hold; where it does not, it is mended if this connection may, and named in a StreamDiffers error if not.

import { isFlotillaError } from "../errors.ts";
import type { Connection } from "./connection.ts";
import { API, fromApi, isApiError, natsError, readAnswer } from "./failures.ts";
import type { StreamNames } from "./subjects.ts";

/** What our invariants rest on, in the words of the JetStream API. */
export type StreamShape = Readonly<Record<string, boolean | number | string | readonly string[] | object>>;

/** What an administrator may choose otherwise. */
export interface StreamLimits {
  readonly max_msgs?: number;
  readonly max_bytes?: number;
  /** Nanoseconds. */
  readonly max_age?: number;
  readonly duplicate_window?: number;
  readonly num_replicas?: number;
}

/** How far an acknowledged write is safe: `fast` survives any process, `durable` a power cut too, `replicated` the loss of a machine. */
export type Durability = "fast" | "durable" | "replicated";

export interface Provision {
  readonly durability: Durability;
  readonly replicas: number;
}

interface StreamInfo {
  readonly config: Readonly<Record<string, unknown>> & { readonly num_replicas: number };
}

/** Shape shared by all our streams: kept on disk, read directly, and told again under `tailPrefix` when stored. */
export const commonShape = (names: StreamNames): StreamShape => ({
  subjects: [`${names.subjectPrefix}>`],
  retention: "limits",
  storage: "file",
  allow_direct: true,
  republish: { src: `${names.subjectPrefix}>`, dest: `${names.tailPrefix}>` },
});

/** Throws StreamDiffers, StorageFull, ServerRefused, Unavailable. */
export async function ensureStream(
  connection: Connection,
  names: StreamNames,
  shape: StreamShape,
  limits: StreamLimits,
): Promise<Provision> {
  const call = (verb: string, body: object) => callApi(connection, `${verb}.${names.stream}`, body);
  const wanted = { name: names.stream, ...shape, ...limits };
  let info = await call("INFO", {});
  info ??= (await call("CREATE", wanted).catch(notHis(names))) ?? (await call("INFO", {}));
  if (info === undefined) {
    throw natsError("ServerFailed", `stream ${names.stream} is neither there nor can it be made`);
  }
  const differences = differencesOf(shape, info.config);
  if (differences.length > 0) info = await mend(connection, names, shape, info, differences);
  const replicas = info.config.num_replicas;
  return { replicas, durability: durabilityOf(connection.server.name, replicas) };
}

/** A node's credentials may not make streams: whoever reads of it must learn who has to. */
const notHis = (names: StreamNames) => (error: unknown) => {
  if (!isFlotillaError(error, "ServerRefused")) throw error;
  const problem = `stream ${names.stream} is not there, and this connection may not make it`;
  throw natsError("ServerRefused", `${problem}: an administrator's has to connect once, as flotilla up does`, {
    data: { stream: names.stream },
    cause: error,
  });
};

async function mend(
  connection: Connection,
  names: StreamNames,
  shape: StreamShape,
  info: StreamInfo,
  differences: readonly string[],
): Promise<StreamInfo> {
  const differs = (cause?: unknown) =>
    natsError("StreamDiffers", `stream ${names.stream} is not as it must be: ${differences.join("; ")}`, {
      data: { stream: names.stream, differences },
      cause,
    });
  try {
    const mended = await callApi(connection, `UPDATE.${names.stream}`, { ...info.config, ...shape });
    if (mended !== undefined) return mended;
  } catch (error) {
    throw differs(error);
  }
  throw differs();
}

/** Undefined: there is no such stream, or another with this name was made first. */
async function callApi(connection: Connection, call: string, body: object): Promise<StreamInfo | undefined> {
  const payload = new TextEncoder().encode(JSON.stringify(body));
  const [operation = "", stream = ""] = call.split(".");
  const what = `${operation === "CREATE" ? "making" : operation === "UPDATE" ? "changing" : "looking at"} the stream ${stream}`;
  const { reply } = await connection.ask(what, `$JS.API.STREAM.${call}`, payload);
  const answer = readAnswer<StreamInfo>(reply);
  if (!isApiError(answer)) return answer;
  const number = answer.error.err_code;
  if (number === API.streamNotFound || number === API.nameInUse) return undefined;
  throw fromApi(what, answer.error);
}

/** Each field in which `found` is not what `shape` says, in words. */
export function differencesOf(shape: StreamShape, found: Readonly<Record<string, unknown>>): readonly string[] {
  return Object.entries(shape).flatMap(([field, wanted]) => {
    const got = found[field];
    return holds(wanted, got) ? [] : [`${field} is ${JSON.stringify(got)}, expected ${JSON.stringify(wanted)}`];
  });
}

/** Whether `got` has all that `wanted` names; the server leaves out what is false or zero, and adds fields of its own. */
function holds(wanted: unknown, got: unknown): boolean {
  if (Array.isArray(wanted)) {
    return Array.isArray(got) && wanted.length === got.length && wanted.every((item, at) => holds(item, got[at]));
  }
  if (typeof wanted === "object" && wanted !== null) {
    const inside = (got ?? {}) as Record<string, unknown>;
    return Object.entries(wanted).every(([field, value]) => holds(value, inside[field]));
  }
  return wanted === got || (got === undefined && (wanted === false || wanted === 0));
}

/**
 * A client cannot ask a server when it syncs, so servers that we start say it in their name (nodes/nats-server.ts). Of others the weaker is
 * said: `fast` promises less.
 */
function durabilityOf(serverName: string, replicas: number): Durability {
  if (replicas > 1) return "replicated";
  return serverName.startsWith("flotilla-durable-") ? "durable" : "fast";
}
