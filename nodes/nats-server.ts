// A nats-server as a child of this process, with a config written for it. Finding the program is nats-program.ts's part.
//
// W1  It listens on 127.0.0.1 unless told otherwise, for users that are in no argument list; the config is readable by its owner alone.
//     On other addresses it lets in keys only: what is sent there is not encrypted, and a signature gives no secret away.
// W2  It ends when its owner ends, however that happens: a shell between them holds the owner's pipe and ends the server when it closes.
// W3  Its name says how it syncs (`flotilla-durable-…`), because a client cannot ask: runtime/nats/provision.ts reads it.
// W4  The folder is the caller's: config and data stay in it, for a next start with the same folder. One server uses it at a time.

import { spawn } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { createInterface } from "node:readline";
import { type Clock, nodePermissions, systemClock } from "../runtime/index.ts";
import type { FleetCredentials } from "./credentials.ts";
import { nodeError } from "./errors.ts";
import { CONFIG_FILE, freeFolder, PID_FILE } from "./nats-folder.ts";
import { findNatsServer } from "./nats-program.ts";

export interface NatsServerOptions {
  /** For config and data; made when missing. */
  readonly folder: string;
  /** 0, the default: a free one. */
  readonly port?: number;
  /** `fast`: disk writes are synced every two minutes. `durable`: before each is acknowledged, about ten times slower. */
  readonly mode?: "fast" | "durable";
  /** Of the user `flotilla`, who may do anything. Default: a random one for each server; with `credentials` there is no such user. */
  readonly pass?: string;
  /** Lets these two in in place of the user with a password: the administrator, and nodes with what they need (makeCredentials). */
  readonly credentials?: FleetCredentials;
  /** The fleet whose nodes the credentials are for. Default "flotilla". */
  readonly prefix?: string;
  /** The address to listen on, with `credentials` only. Default 127.0.0.1. */
  readonly host?: string;
  /** Told of what takes long (finding or building the program), in a sentence. */
  readonly say?: (line: string) => void;
  /** Path of the program; default: findNatsServer(). */
  readonly program?: string;
  /** Most bytes of streams on disk. Default: the server's own, three quarters of what is free. */
  readonly storageMaxBytes?: number;
  readonly hasJetStream?: boolean;
  readonly clock?: Clock;
}

export interface NatsServer {
  /** `nats://127.0.0.1:port`, or with the `host` it was given; without credentials. */
  readonly servers: string;
  readonly port: number;
  /** Both empty for a server that was given `credentials`. */
  readonly user: string;
  readonly pass: string;
  /** Of the server itself, at present; 0 while it does not run. */
  readonly pid: number;
  /** Resolves when it has ended, however; a restart gives another one. */
  readonly ended: Promise<void>;
  /** Last lines of its log. */
  readonly log: readonly string[];
  /** Ends it in order, and by force after 5 seconds. May be called twice. */
  stop(): Promise<void>;
  /** Ends it at once, as `kill -9` does. */
  kill(): Promise<void>;
  /** Starts it again on the same port, folder and credentials, after stopping it if it runs. */
  restart(): Promise<void>;
}

const READY_MAX_MS = 20_000;
const STOP_MAX_MS = 5_000;
const LOG_LINES = 60;
const USER = "flotilla";
const LOOPBACK = "127.0.0.1";
/** Addresses to listen on that are none to connect to. */
const EVERYWHERE: ReadonlySet<string> = new Set(["0.0.0.0", "::"]);
const PAYLOAD_MAX_BYTES = 1024 * 1024;

const ORPHAN_MAX_S = 3;

/**
 * $1 program, $2 config. The watcher ends with the pipe; killed first when the server ends by itself, so it never hits another process. A server
 * that does not end when it is asked, as one that is paused, is killed.
 */
const GUARD = `exec 3<&0
"$1" -c "$2" </dev/null 3<&- &
server=$!
(
  cat <&3 >/dev/null
  kill -TERM "$server"
  polls=0
  while [ "$polls" -lt ${ORPHAN_MAX_S * 10} ] && kill -0 "$server"; do polls=$((polls + 1)); sleep 0.1; done
  kill -KILL "$server"
) 2>/dev/null &
watcher=$!
exec 3<&-
wait "$server"
status=$?
kill "$watcher"
exit "$status"`;

/** Starts a server and waits until it is ready. Throws NatsServerMissing, NatsServerFailed, NatsFolderInUse, HostNeedsCredentials. */
export async function startNatsServer(options: NatsServerOptions): Promise<NatsServer> {
  const { host, credentials } = options;
  if (host !== undefined && host !== LOOPBACK && credentials === undefined) {
    const message = `a server that listens on ${host} would send its password there in the clear`;
    throw nodeError("HostNeedsCredentials", message, { data: { host } });
  }
  const program = options.program ?? (await findNatsServer(options.say === undefined ? {} : { say: options.say }));
  await mkdir(options.folder, { recursive: true });
  const server = new Child(program, options);
  await server.restart();
  return server;
}

/** The written config; JSON strings are valid in it. */
export function natsServerConfig(options: NatsServerOptions, name: string, port: number, pass: string): string {
  const { folder, mode = "fast", storageMaxBytes, hasJetStream = true, host = LOOPBACK } = options;
  const jetstream = [
    `  store_dir: ${JSON.stringify(join(folder, "jetstream"))}`,
    `  sync_interval: ${mode === "durable" ? "always" : '"2m"'}`,
    ...(storageMaxBytes === undefined ? [] : [`  max_file_store: ${storageMaxBytes}`]),
  ];
  return [
    `server_name: ${JSON.stringify(name)}`,
    `pid_file: ${JSON.stringify(join(folder, PID_FILE))}`,
    `listen: ${JSON.stringify(`${inAddress(host)}:${port === 0 ? -1 : port}`)}`,
    `authorization { users: [${usersOf(options, pass).join(", ")}] }`,
    `max_payload: ${PAYLOAD_MAX_BYTES}`,
    'write_deadline: "10s"',
    'lame_duck_duration: "30s"',
    'lame_duck_grace_period: "1s"',
    ...(hasJetStream ? ["jetstream {", ...jetstream, "}"] : []),
    "",
  ].join("\n");
}

function usersOf({ credentials, prefix }: NatsServerOptions, pass: string): readonly string[] {
  if (credentials === undefined) return [`{ user: ${JSON.stringify(USER)}, password: ${JSON.stringify(pass)} }`];
  const { admin, node } = credentials;
  const { publish, subscribe } = nodePermissions(prefix);
  const permissions = JSON.stringify({ publish: { allow: publish }, subscribe: { allow: subscribe } });
  return [`{ nkey: ${admin.publicKey} }`, `{ nkey: ${node.publicKey}, permissions: ${permissions} }`];
}

/** The last thing that it called an error, else the last that it said at all. */
function lastWords(log: readonly string[]): string {
  const line = log.findLast((each) => /\[(FTL|ERR)\]/.test(each)) ?? log.at(-1);
  return line === undefined ? "it said nothing" : line.replace(/^\[\d+\] \S+ \S+ \[\w+\] /, "");
}

const inAddress = (host: string): string => (host.includes(":") ? `[${host}]` : host);

class Child implements NatsServer {
  readonly user: string;
  readonly pass: string;
  readonly #program: string;
  readonly #options: NatsServerOptions;
  readonly #clock: Clock;
  readonly #name: string;
  #ended: Promise<void> = Promise.resolve();
  #port: number;
  #pid = 0;
  #log: string[] = [];

  constructor(program: string, options: NatsServerOptions) {
    this.#program = program;
    this.#options = options;
    const hasKeys = options.credentials !== undefined;
    this.user = hasKeys ? "" : USER;
    this.pass = hasKeys ? "" : (options.pass ?? randomBytes(24).toString("base64url"));
    this.#clock = options.clock ?? systemClock;
    this.#port = options.port ?? 0;
    this.#name = `flotilla-${options.mode ?? "fast"}-${randomBytes(4).toString("hex")}`;
  }

  get servers(): string {
    const { host = LOOPBACK } = this.#options;
    return `nats://${EVERYWHERE.has(host) ? LOOPBACK : inAddress(host)}:${this.#port}`;
  }

  get port(): number {
    return this.#port;
  }

  get pid(): number {
    return this.#pid;
  }

  get ended(): Promise<void> {
    return this.#ended;
  }

  get log(): readonly string[] {
    return this.#log;
  }

  async restart(): Promise<void> {
    await this.stop();
    const { folder } = this.#options;
    await freeFolder(folder, this.#clock);
    const config = join(folder, CONFIG_FILE);
    await writeFile(config, natsServerConfig(this.#options, this.#name, this.#port, this.pass), { mode: 0o600 });
    await this.#start(config);
  }

  async stop(): Promise<void> {
    if (this.#pid === 0) return this.#ended;
    this.#signal("SIGTERM");
    const late = this.#clock.schedule(STOP_MAX_MS, () => this.#signal("SIGKILL"), true);
    await this.#ended;
    late.cancel();
  }

  async kill(): Promise<void> {
    this.#signal("SIGKILL");
    await this.#ended;
  }

  #signal(signal: NodeJS.Signals): void {
    if (this.#pid === 0) return;
    try {
      process.kill(this.#pid, signal);
    } catch {
      // It has ended by itself; its exit is on its way.
    }
  }

  #start(config: string): Promise<void> {
    this.#log = [];
    // A session of its own: Ctrl-C in the owner's terminal must reach the owner first.
    const guard = spawn("sh", ["-c", GUARD, "sh", this.#program, config], {
      stdio: ["pipe", "ignore", "pipe"],
      detached: true,
    });
    guard.stdin?.on("error", () => {});
    return new Promise((resolve, reject) => {
      const fail = (problem: string) => {
        reject(
          nodeError("NatsServerFailed", `${this.#program} ${problem}: ${lastWords(this.#log)}`, {
            data: { log: this.#log },
          }),
        );
      };
      const late = this.#clock.schedule(
        READY_MAX_MS,
        () => {
          guard.stdin?.destroy();
          fail(`was not ready within ${READY_MAX_MS} ms`);
        },
        true,
      );
      this.#ended = new Promise((end) => {
        guard.once("error", (error) => this.#log.push(error.message));
        guard.once("close", (status) => {
          late.cancel();
          this.#pid = 0;
          guard.stdin?.destroy();
          fail(`ended with status ${status}`);
          end();
        });
      });
      createInterface({ input: guard.stderr as NodeJS.ReadableStream }).on("line", (line) => {
        if (!this.#hear(line)) return;
        late.cancel();
        resolve();
      });
    });
  }

  /** Keeps the line and what it says; true when the server is ready. */
  #hear(line: string): boolean {
    this.#log.push(line);
    if (this.#log.length > LOG_LINES) this.#log.shift();
    const [, pid, said = ""] = /^\[(\d+)\] \S+ \S+ \[\w+\] (.*)$/.exec(line) ?? [];
    if (pid !== undefined) this.#pid = Number(pid);
    const port = /^Listening for client connections on \S+:(\d+)$/.exec(said)?.[1];
    if (port !== undefined) this.#port = Number(port);
    return said === "Server is ready";
  }
}
