// A listener on 127.0.0.1 that says what a test tells it to say: what is no NATS server, or an old one.

import { createServer, type Socket } from "node:net";

export interface Listener extends AsyncDisposable {
  readonly port: number;
}

/** Calls `greet` with each connection. */
export async function listenTcp(greet: (socket: Socket) => void): Promise<Listener> {
  const sockets = new Set<Socket>();
  const server = createServer((socket) => {
    sockets.add(socket);
    socket.on("error", () => {});
    socket.on("close", () => sockets.delete(socket));
    greet(socket);
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const address = server.address();
  if (address === null || typeof address === "string") throw new Error("no port");
  return {
    port: address.port,
    [Symbol.asyncDispose]: () =>
      new Promise((resolve) => {
        for (const socket of sockets) socket.destroy();
        server.close(() => resolve());
      }),
  };
}

/** A server that greets as nats-server of this version and answers pings, and knows nothing else. */
export const greetAsNats =
  (version: string, max_payload = 1_048_576) =>
  (socket: Socket) => {
    const info = { server_id: "X", server_name: "old", version, proto: 1, max_payload, headers: true };
    socket.write(`INFO ${JSON.stringify(info)}\r\n`);
    socket.on("data", (data) => {
      if (data.toString("latin1").includes("PING\r\n")) socket.write("PONG\r\n");
    });
  };
