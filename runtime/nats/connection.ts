// One connection to a NATS server with JetStream: made with checks, watched for loss, and asked through.
// It is not a port and knows no stream.
//
// C1  `connectNats` answers or refuses within about CONNECT_MAX_MS, with an error that says what is wrong with which server.
// C2  `isConnected` is synchronous. While it is false, `ask` fails at once with `Unavailable`: nats.js would only buffer and time out.
// C3  What was in flight when the connection was lost, or was not answered in ATTEMPT_MS, is asked again, unchanged, until OPERATION_MS
//     are over. So whoever asks must be able to bear that it is done twice: writes carry an id (stream.ts).
// C4  A server that vanishes never ends the connection, and nothing is thrown out of timers or iterators; it comes back by itself.

import { connect, type Msg, type MsgHdrs, type NatsConnection, type ServerInfo } from "@nats-io/transport-node";
import { type Clock, finishesWithin, sleep, systemClock } from "../clock.ts";
import { type FlotillaError, isFlotillaError } from "../errors.ts";
import { closedError } from "../port-errors.ts";
import { systemRandom } from "../random.ts";
import { authenticatorOf, type Credentials, parseServers } from "./credentials.ts";
import { fromApi, fromConnect, isApiError, natsError, readAnswer, unavailable } from "./failures.ts";
import { type Outcome, Requests } from "./requests.ts";

export interface NatsOptions extends Credentials {
  /** `nats://user:pass@host:port`, `tls://…`, `host:port`; several: an array, or joined by commas. */
  readonly servers: string | readonly string[];
  /** Shown in the server's lists of connections, and part of this connection's own reply subjects. Letters, digits, _ and -. */
  readonly name?: string;
  readonly clock?: Clock;
}

/** What is known about the server. */
export interface NatsServerFacts {
  readonly name: string;
  /** `host:port`, without credentials. */
  readonly address: string;
  readonly version: string;
  readonly apiLevel: number;
  /** Largest message it takes, headers included. */
  readonly payloadMaxBytes: number;
}

export const SERVER_MIN = "2.14.3";
export const API_LEVEL_MIN = 4;

/** The largest values and frames, and room for headers. */
export const PAYLOAD_MIN_BYTES = 640 * 1024;

const DIAL_MS = 3_000;
const CONNECT_MAX_MS = 5_000;
const ATTEMPT_MS = 2_000;
const OPERATION_MS = 5_000;
/** Between two tries of one operation while the server has nobody to answer it. */
const PAUSE_MS = 50;
const CLOSE_MS = 1_000;
const EMPTY = new Uint8Array(0);

/** Connects and checks the server. Throws ServerUnreachable, ServerNotNats, ServerRefused, ServerTooOld, ServerPayloadSmall, ServerWithoutJetStream, InvalidOption. */
export async function connectNats(options: NatsOptions): Promise<Connection> {
  const clock = options.clock ?? systemClock;
  const addresses = parseServers(options.servers);
  const shown = addresses.servers.join(", ");
  const name = options.name ?? `flotilla-${systemRandom.id()}`;
  const inbox = `_I.${name}.${systemRandom.id()}`;
  const nc = await dial(options, addresses, name, inbox).catch((error: unknown) => {
    throw fromConnect(shown, error);
  });
  const connection = new Connection(nc, inbox, clock);
  try {
    checkVersion(shown, nc.info?.version ?? "0.0.0");
    checkPayload(shown, nc.info?.max_payload ?? 0);
    connection.server = await inspect(connection, shown, nc.info as ServerInfo);
  } catch (error) {
    await connection.close();
    throw error;
  }
  return connection;
}

function dial(
  options: NatsOptions,
  { servers, isTls, credentials }: ReturnType<typeof parseServers>,
  name: string,
  inbox: string,
): Promise<NatsConnection> {
  const { user, pass, token, creds, nkeySeed } = options;
  const given = { user, pass, token, creds, nkeySeed };
  const hasGiven = Object.values(given).some((value) => value !== undefined);
  const authenticator = authenticatorOf((hasGiven ? given : credentials) as Credentials);
  return connect({
    servers: [...servers],
    name,
    inboxPrefix: inbox,
    timeout: DIAL_MS,
    maxReconnectAttempts: -1,
    reconnectTimeWait: 250,
    reconnectJitter: 250,
    pingInterval: 2_000,
    maxPingOut: 2,
    noAsyncTraces: true,
    // An operator who changes passwords must not end every process for good (C4).
    ignoreAuthErrorAbort: true,
    ...(isTls ? { tls: {} } : {}),
    ...(authenticator === undefined ? {} : { authenticator }),
  });
}

function checkVersion(shown: string, version: string): void {
  const parts = (text: string) => text.split(/[.-]/, 3).map((part) => Number.parseInt(part, 10) || 0);
  const [wanted, found] = [parts(SERVER_MIN), parts(version)];
  const at = wanted.findIndex((part, index) => part !== found[index]);
  if (at < 0 || (found[at] ?? 0) > (wanted[at] ?? 0)) return;
  throw tooOld(`the server at ${shown} is nats-server ${version}; ${SERVER_MIN} or newer is needed`, { version });
}

function checkPayload(shown: string, maxBytes: number): void {
  if (maxBytes >= PAYLOAD_MIN_BYTES) return;
  const message = `the server at ${shown} takes messages of up to ${maxBytes} bytes; ${PAYLOAD_MIN_BYTES} are needed: set max_payload in its config`;
  throw natsError("ServerPayloadSmall", message, { data: { maxBytes, minBytes: PAYLOAD_MIN_BYTES } });
}

const tooOld = (problem: string, data: object): FlotillaError =>
  natsError(
    "ServerTooOld",
    `${problem}: older ones accept expiring keys and fenced writes and silently do not honour them. Get a newer one: go install github.com/nats-io/nats-server/v2@v2.15.2`,
    { data: { ...data, versionMin: SERVER_MIN, apiLevelMin: API_LEVEL_MIN } },
  );

/** Asks the JetStream that answers, which in a leaf node's case is not the server we dialled. */
async function inspect(connection: Connection, shown: string, info: ServerInfo): Promise<NatsServerFacts> {
  const outcome = await connection.askOnce("$JS.API.INFO", EMPTY, CONNECT_MAX_MS - DIAL_MS);
  if (outcome.kind === "refused") throw outcome.error;
  if (outcome.kind === "nobody") {
    throw natsError("ServerWithoutJetStream", `the server at ${shown} runs without JetStream`);
  }
  if (outcome.kind === "lost") throw natsError("ServerUnreachable", `the server at ${shown} was lost at once`);
  const answer = readAnswer<{ api: { level?: number } }>(outcome.reply);
  if (isApiError(answer)) throw fromApi(`JetStream at ${shown}`, answer.error);
  const apiLevel = answer.api.level ?? 0;
  if (apiLevel < API_LEVEL_MIN) {
    const { version } = info;
    throw tooOld(`JetStream at ${shown} has API level ${apiLevel} (server ${version}); ${API_LEVEL_MIN} is needed`, {
      version,
      apiLevel,
    });
  }
  const { server_name: name, version, max_payload: payloadMaxBytes } = info;
  return { name, address: connection.nc.getServer(), version, apiLevel, payloadMaxBytes };
}

/**
 * nats.js leaves the socket of a connection that it is just making: to a server that stands still, whose machine accepts and which says nothing,
 * that would keep the process alive for ever.
 */
function dropSocket(nc: NatsConnection): void {
  const { protocol } = nc as unknown as { readonly protocol?: { readonly transport?: { discard?(): void } } };
  protocol?.transport?.discard?.();
}

export class Connection {
  /** The connection of nats.js, for the message path: publishing while `isConnected` is false vanishes. */
  readonly nc: NatsConnection;
  /** Subjects below it are this connection's own; no other client may listen there. */
  readonly inbox: string;
  readonly clock: Clock;
  /** Set by connectNats before anybody sees the connection. */
  server: NatsServerFacts = { name: "", address: "", version: "", apiLevel: 0, payloadMaxBytes: 0 };
  readonly #requests: Requests;
  readonly #listeners = new Set<(isConnected: boolean) => void>();
  #isConnected = true;
  #isClosed = false;

  constructor(nc: NatsConnection, inbox: string, clock: Clock) {
    this.nc = nc;
    this.inbox = inbox;
    this.clock = clock;
    this.#requests = new Requests(nc, `${inbox}.r`, clock);
    void this.#observe();
    void nc.closed().then(() => this.#turn(false));
  }

  /** Whether the server can be reached, as far as is known now: a silent partition shows after 4 to 6 seconds (C2). */
  get isConnected(): boolean {
    return this.#isConnected;
  }

  /** Calls back on each loss and each return, until the answered function is called. */
  onState(listener: (isConnected: boolean) => void): () => void {
    this.#listeners.add(listener);
    return () => void this.#listeners.delete(listener);
  }

  /** Resolves once connected; at once when it is, or when the connection is closed or the signal aborts. */
  whenConnected(signal?: AbortSignal): Promise<void> {
    return new Promise((resolve) => {
      if (this.#isConnected || this.#isClosed || signal?.aborted) return resolve();
      const done = () => {
        forget();
        signal?.removeEventListener("abort", done);
        resolve();
      };
      const forget = this.onState((isConnected) => (isConnected || this.#isClosed) && done());
      signal?.addEventListener("abort", done);
    });
  }

  /** One attempt, as it ended. `take`: see Requests.ask. */
  askOnce(
    subject: string,
    payload: Uint8Array,
    timeoutMs = ATTEMPT_MS,
    headers?: MsgHdrs,
    take?: (reply: Msg) => boolean,
  ): Promise<Outcome> {
    return this.#requests.ask(subject, payload, headers, timeoutMs, take);
  }

  /** Asks until answered (C3). `attempts` above 1 means: an earlier one may have been done. Throws Unavailable, Closed, ServerRefused. */
  async ask(
    what: string,
    subject: string,
    payload: Uint8Array,
    headers?: MsgHdrs,
    begin?: () => (reply: Msg) => boolean,
  ): Promise<{ readonly reply: Msg; readonly attempts: number }> {
    this.check(what);
    const endMs = this.clock.monotonic() + OPERATION_MS;
    for (let attempts = 1; ; attempts++) {
      const leftMs = endMs - this.clock.monotonic();
      const outcome = await this.askOnce(subject, payload, Math.min(ATTEMPT_MS, leftMs), headers, begin?.());
      if (outcome.kind === "answered") return { reply: outcome.reply, attempts };
      if (outcome.kind === "refused") throw refusal(what, outcome.error);
      if (this.#isClosed) throw closedError("connection to NATS");
      await this.#pause(endMs);
      if (this.clock.monotonic() >= endMs) {
        const known = outcome.kind === "nobody" ? "nobody takes it there" : "whether it was done is not known";
        throw unavailable(`${what}: no answer from the server in ${OPERATION_MS} ms; ${known}`);
      }
    }
  }

  /** Throws unless operations can be begun now (C2). */
  check(what: string): void {
    if (this.#isClosed) throw closedError("connection to NATS");
    if (!this.#isConnected)
      throw unavailable(`${what}: the connection to the NATS server is lost; it is being renewed`);
  }

  /** Ends the connection after what was published has left, within a second. May be called twice. */
  async close(): Promise<void> {
    if (this.#isClosed) return this.nc.closed().then(() => {});
    this.#isClosed = true;
    this.#requests.close();
    if (this.#isConnected) {
      await finishesWithin(this.clock, CLOSE_MS, (done) => void this.nc.flush().then(done, done));
    }
    await this.nc.close().catch(() => {});
    dropSocket(this.nc);
    this.#turn(false);
    for (const listener of [...this.#listeners]) listener(false);
    this.#listeners.clear();
  }

  /** Waits for the connection, at least a moment, and not beyond `endMs`. */
  async #pause(endMs: number): Promise<void> {
    const leftMs = Math.max(0, endMs - this.clock.monotonic());
    await sleep(this.clock, Math.min(PAUSE_MS, leftMs));
    const waiting = new AbortController();
    const connected = this.whenConnected(waiting.signal);
    await finishesWithin(this.clock, Math.max(0, leftMs - PAUSE_MS), (done) => void connected.then(done));
    waiting.abort();
  }

  async #observe(): Promise<void> {
    for await (const status of this.nc.status()) {
      if (status.type === "disconnect" || status.type === "close") this.#turn(false);
      else if (status.type === "reconnect") this.#turn(true);
      else if (status.type === "error") this.#heardError(status.error);
    }
  }

  #heardError(error: Error): void {
    const { subject } = error as { subject?: unknown };
    if (error.name === "PermissionViolationError" && typeof subject === "string") this.#requests.refuse(subject, error);
  }

  #turn(isConnected: boolean): void {
    if (this.#isConnected === isConnected || (isConnected && this.#isClosed)) return;
    this.#isConnected = isConnected;
    if (!isConnected) this.#requests.lose();
    for (const listener of [...this.#listeners]) listener(isConnected);
  }
}

const refusal = (what: string, error: Error): FlotillaError =>
  isFlotillaError(error) ? error : natsError("ServerRefused", `${what}: ${error.message}`, { cause: error });
