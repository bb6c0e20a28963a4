// Which servers connectNats takes and refuses, and what it says; and what a connection does while its server is away.

import { describe, expect, test } from "vitest";
import { NATS_SERVER_MIN } from "../../../nodes/index.ts";
import { type Connection, connectNats, SERVER_MIN } from "../../../runtime/nats/connection.ts";
import { parseServers } from "../../../runtime/nats/credentials.ts";
import { caught, codeOf } from "../../support/caught.ts";
import { natsForTests, openNats } from "../../support/nats-server.ts";
import { pauseProcess } from "../../support/paused-process.ts";
import { greetAsNats, listenTcp } from "../../support/tcp-listener.ts";
import { waitUntil } from "../../support/wait-until.ts";

const nats = natsForTests();
const EMPTY = new Uint8Array(0);
const REFUSED_WITHIN_MS = 5_500;

/** The error of connecting, which must come in time (C1). */
async function refusal(options: Parameters<typeof connectNats>[0]) {
  const startMs = performance.now();
  const error = await caught(connectNats(options));
  expect(performance.now() - startMs).toBeLessThan(REFUSED_WITHIN_MS);
  return error;
}

describe.concurrent("connectNats refuses", () => {
  test("an address where nobody listens", async () => {
    const gone = await listenTcp(() => {});
    await gone[Symbol.asyncDispose]();
    const error = await refusal({ servers: `127.0.0.1:${gone.port}` });
    expect(error).toMatchObject({ code: "ServerUnreachable", retryable: true });
    expect(error.message).toContain(`127.0.0.1:${gone.port}`);
  });

  test("a host that does not exist", async () => {
    expect((await refusal({ servers: "nats://no-such-host.invalid:4222" })).code).toBe("ServerUnreachable");
  });

  test.for([
    ["says nothing", () => {}],
    ["speaks HTTP", (socket: { write(text: string): void }) => socket.write("HTTP/1.1 400 Bad Request\r\n\r\n")],
    ["hangs up", (socket: { destroy(): void }) => socket.destroy()],
  ] as const)("what %s and is no NATS server", async ([, greet]) => {
    await using other = await listenTcp(greet as never);
    expect(await refusal({ servers: `127.0.0.1:${other.port}` })).toMatchObject({ code: "ServerNotNats" });
  });

  test.for(["2.9.10", "2.14.2", "1.4.1"])(
    "a server of version %s, and says how to get a newer one",
    async (version) => {
      await using old = await listenTcp(greetAsNats(version));
      const error = await refusal({ servers: `127.0.0.1:${old.port}` });
      expect(error).toMatchObject({ code: "ServerTooOld", retryable: false, data: { version, versionMin: "2.14.3" } });
      expect(error.message).toContain(version);
      expect(error.message).toContain(SERVER_MIN);
      expect(error.message).toContain("go install github.com/nats-io/nats-server/v2@v2.15.2");
    },
  );

  test.for(["", "http://127.0.0.1:4222", "nats://", "nats://a b", "nats://user:secret@:4222"])(
    "the address %j, without repeating what is secret in it",
    async (servers) => {
      const error = await caught(connectNats({ servers }));
      expect(error.code).toBe("InvalidOption");
      expect(error.message).not.toContain("secret");
    },
  );
});

test("addresses are read with their credentials, and options go first", () => {
  expect(parseServers("nats://u:p%40ss@one:1, two")).toEqual({
    servers: ["one:1", "two:4222"],
    isTls: false,
    credentials: { user: "u", pass: "p@ss" },
  });
  expect(parseServers(["tls://to%2Fken@[::1]:5"])).toEqual({
    servers: ["[::1]:5"],
    isTls: true,
    credentials: { token: "to/ken" },
  });
});

test("nodes/ finds servers by the version that the runtime wants", () => {
  expect(NATS_SERVER_MIN).toBe(SERVER_MIN);
});

describe.skipIf(nats.missing !== undefined)(`a real server (${nats.missing ?? "there"})`, () => {
  test("takes the credentials as options or in the address, and says what it is", async () => {
    const { servers, user, pass } = nats.options;
    const connections = await Promise.all([
      connectNats({ servers, user, pass, name: "me" }),
      connectNats({ servers: servers.replace("//", `//${user}:${pass}@`) }),
    ]);
    for (const connection of connections) {
      expect(connection.isConnected).toBe(true);
      expect(connection.server.version).toMatch(/^2\.(1[4-9]|[2-9]\d)\./);
      expect(connection.server.apiLevel).toBeGreaterThanOrEqual(4);
      expect(connection.server.payloadMaxBytes).toBe(1024 * 1024);
      await connection.close();
      await connection.close();
      expect(connection.isConnected).toBe(false);
      await expect(connection.ask("x", "$JS.API.INFO", EMPTY)).rejects.toMatchObject({ code: "Closed" });
    }
    expect(connections[0].inbox).not.toBe(connections[1].inbox);
  });

  test("refuses wrong and missing credentials without naming them", async () => {
    const { servers, user } = nats.options;
    for (const options of [{ servers }, { servers, user, pass: "wrong-secret" }, { servers, token: "wrong-secret" }]) {
      const error = await refusal(options);
      expect(error).toMatchObject({ code: "ServerRefused", retryable: false });
      expect(error.message).not.toContain("wrong-secret");
    }
  });

  test("is refused without JetStream", async () => {
    await using bare = await openNats({ hasJetStream: false });
    expect(await refusal(bare.options)).toMatchObject({ code: "ServerWithoutJetStream" });
  });
});

const ask = (connection: Connection) => connection.ask("account", "$JS.API.INFO", EMPTY);

describe.skipIf(nats.missing !== undefined)(
  `a server that goes and comes (${nats.missing ?? "there"})`,
  { concurrent: true },
  () => {
    test("fails at once while it is away, and works again after (C2, C4)", async () => {
      await using server = await openNats();
      const connection = await connectNats(server.options);
      const states: boolean[] = [];
      const forget = connection.onState((isConnected) => states.push(isConnected));
      await server.kill();
      await waitUntil("the loss is seen", () => !connection.isConnected);
      const startMs = performance.now();
      expect(await caught(ask(connection))).toMatchObject({ code: "Unavailable", retryable: true });
      expect(performance.now() - startMs).toBeLessThan(100);
      await server.restart();
      await waitUntil("the return is seen", () => connection.isConnected);
      await ask(connection);
      expect(states).toEqual([false, true]);
      forget();
      await connection.close();
      expect(states).toEqual([false, true]);
    });

    test("asks again what was in hand when it went (C3)", async () => {
      await using server = await openNats();
      const connection = await connectNats(server.options);
      // A stopped process takes requests and answers none: they are in hand when it is killed.
      await pauseProcess(server.pid);
      const asked = Array.from({ length: 20 }, () => ask(connection));
      const killed = server.kill();
      await killed;
      await server.restart();
      await Promise.all(asked);
      await connection.close();
    });

    test("gives up in its own time when it stays away (C3)", async () => {
      await using server = await openNats();
      const connection = await connectNats(server.options);
      await pauseProcess(server.pid);
      const startMs = performance.now();
      expect(await codeOf(ask(connection))).toBe("Unavailable");
      expect(performance.now() - startMs).toBeLessThan(7_000);
      process.kill(server.pid, "SIGCONT");
      await connection.close();
    });

    test("close is prompt while it is away", async () => {
      await using server = await openNats();
      const connection = await connectNats(server.options);
      await server.kill();
      await waitUntil("the loss is seen", () => !connection.isConnected);
      const startMs = performance.now();
      await connection.close();
      expect(performance.now() - startMs).toBeLessThan(1_500);
    });
  },
);
