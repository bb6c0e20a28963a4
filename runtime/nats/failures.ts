// What a NATS server may answer, as errors of the house: the one place where codes of nats.js and JetStream are read.
// A lost race is not here: it is a value (`conflict`, `fenced`).

import { errors, type Msg } from "@nats-io/transport-node";
import { type ErrorKind, errorsFrom, type FlotillaError, isFlotillaError, runtimeError } from "../errors.ts";
import { portError } from "../port-errors.ts";

const NATS_ERRORS = {
  ServerUnreachable: {
    retryable: true,
    remedy: "Start a NATS server there (flotilla server --folder DIR), or correct the address.",
  },
  ServerNotNats: { retryable: false, remedy: "Give the address and port of a NATS server." },
  ServerRefused: { retryable: false, remedy: "Correct the user, password, token or permissions of this connection." },
  ServerTooOld: {
    retryable: false,
    remedy: "Run nats-server 2.14.3 or newer: go install github.com/nats-io/nats-server/v2@v2.15.2",
  },
  ServerPayloadSmall: { retryable: false, remedy: "Set max_payload: 1MB, the server's default, in its config." },
  ServerWithoutJetStream: {
    retryable: false,
    remedy: "Start the server with JetStream (a jetstream block in its config, or -js), and allow it for this account.",
  },
  StreamDiffers: {
    retryable: false,
    remedy: "Let an account that may change streams connect once, or use another fleet prefix.",
  },
  ServerFailed: { retryable: true, remedy: "Read what the server answered in the message, and its log." },
} satisfies Record<string, ErrorKind>;

export const natsError = errorsFrom(NATS_ERRORS);

export const unavailable = (message: string, cause?: unknown): FlotillaError =>
  runtimeError("Unavailable", message, cause === undefined ? {} : { cause });

/** The error object inside a JetStream answer. */
export interface ApiError {
  readonly code: number;
  readonly err_code?: number;
  readonly description?: string;
}

/** JetStream's own numbers (server/errors.json) that decide something. */
export const API = {
  noMessageFound: 10037,
  nameInUse: 10058,
  streamNotFound: 10059,
  wrongLastMessageId: 10070,
  wrongLastSequence: 10071,
  /** A clustered stream has another write on the same subject in hand: ask again. */
  wrongLastSequenceUnknown: 10164,
} as const;

const NO_JETSTREAM: ReadonlySet<number> = new Set([10035, 10039, 10076]);
const FULL: ReadonlySet<number> = new Set([10002, 10023, 10028, 10047, 10077, 10110]);
const TOO_LARGE: ReadonlySet<number> = new Set([10053, 10054, 10097]);

/** The error that stands for a JetStream refusal of `what`. */
export function fromApi(what: string, error: ApiError): FlotillaError {
  const number = error.err_code ?? 0;
  const message = `${what}: the server answered "${error.description ?? "an error"}" (${number || error.code})`;
  const data = { what, apiCode: number };
  if (NO_JETSTREAM.has(number)) return natsError("ServerWithoutJetStream", message, { data });
  if (FULL.has(number)) return portError("StorageFull", message, { data });
  if (TOO_LARGE.has(number)) return portError("ValueTooLarge", message, { data });
  if (error.code === 503 || error.code === 408) return unavailable(message);
  return natsError("ServerFailed", message, { data });
}

/** Parses a JSON answer of JetStream: the answer, or the error in it. */
export function readAnswer<Answer extends object>(reply: Msg): Answer | { readonly error: ApiError } {
  try {
    return reply.json<Answer | { error: ApiError }>();
  } catch {
    return { error: { code: 500, description: `no JSON: ${reply.string().slice(0, 200)}` } };
  }
}

export const isApiError = (answer: object): answer is { readonly error: ApiError } =>
  "error" in answer && answer.error !== undefined;

const SOCKET_CODES = /ECONNREFUSED|ENOTFOUND|EAI_AGAIN|EHOSTUNREACH|ENETUNREACH|ETIMEDOUT|ECONNRESET|EPIPE/;

/** The error that stands for a connection which did not come about. `servers` is text for people. */
export function fromConnect(servers: string, error: unknown): FlotillaError {
  if (isFlotillaError(error)) return error;
  const said = error instanceof Error ? error.message || error.name : String(error);
  const cause = error instanceof Error ? error.cause : undefined;
  const code = String((error as { code?: unknown } | undefined)?.code ?? (cause as { code?: unknown })?.code ?? "");
  if (error instanceof errors.AuthorizationError || error instanceof errors.UserAuthenticationExpiredError) {
    return natsError("ServerRefused", `the server at ${servers} refused the credentials: ${said}`, { cause: error });
  }
  if (SOCKET_CODES.test(code) || /connection refused/i.test(said)) {
    return natsError("ServerUnreachable", `no server answers at ${servers} (${code || said})`, { cause: error });
  }
  return natsError("ServerNotNats", `what answers at ${servers} is no NATS server, or too slow: ${said}`, {
    cause: error,
  });
}
