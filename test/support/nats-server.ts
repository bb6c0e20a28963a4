// Real nats-servers for tests: one for each test file, on a free port, with its data in a folder that goes with it.
//
//     const nats = natsForTests();                    at the top of a file or suite
//     test.skipIf(nats.missing !== undefined)(…)      or describe.skipIf(…)
//     nats.options                                    what connectNats takes

import { rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, inject } from "vitest";
import { type NatsServer, type NatsServerOptions, startNatsServer } from "../../nodes/index.ts";
import { systemRandom } from "../../runtime/index.ts";
import { NATS_PROGRAM, type NatsProgram } from "./nats-program.ts";

const program = (): NatsProgram => inject(NATS_PROGRAM) as NatsProgram;

/** Why tests that need a server cannot run; undefined when they can. */
export function natsMissing(): string | undefined {
  const found = program();
  return "missing" in found ? found.missing : undefined;
}

/** Path of the program; only where natsMissing() says that there is one. */
export function natsPath(): string {
  const found = program();
  if ("missing" in found) throw new Error(found.missing);
  return found.path;
}

export interface TestServer extends NatsServer, AsyncDisposable {
  /** Where its config and data are. */
  readonly folder: string;
  /** For connectNats. */
  readonly options: { readonly servers: string; readonly user: string; readonly pass: string };
}

/** A server that ends, and whose folder goes, when it is disposed of. */
export async function openNats(options: Omit<NatsServerOptions, "folder" | "program"> = {}): Promise<TestServer> {
  const folder = join(tmpdir(), `flotilla-nats-${systemRandom.id()}`);
  const server = await startNatsServer({ ...options, folder, program: natsPath() });
  return Object.assign(server, {
    folder,
    options: { servers: server.servers, user: server.user, pass: server.pass },
    [Symbol.asyncDispose]: async () => {
      await server.stop();
      await rm(folder, { recursive: true, force: true });
    },
  });
}

export interface FileServer {
  readonly missing: string | undefined;
  /** The file's server; only inside tests and hooks. */
  readonly server: TestServer;
  readonly options: TestServer["options"];
  /** A fleet prefix that nobody else uses. */
  prefix(): string;
}

/** The server of one test file, started before its tests and ended after them. */
export function natsForTests(options: Omit<NatsServerOptions, "folder" | "program"> = {}): FileServer {
  let server: TestServer | undefined;
  const missing = natsMissing();
  const running = (): TestServer => {
    if (server === undefined) throw new Error("the server runs only while tests do");
    return server;
  };
  beforeAll(async () => {
    if (missing === undefined) server = await openNats(options);
  });
  afterAll(() => server?.[Symbol.asyncDispose]());
  return {
    missing,
    get server() {
      return running();
    },
    get options() {
      return running().options;
    },
    prefix: () => `t-${systemRandom.id()}`,
  };
}
