// Stands in for `connect({ servers })` until that is there: today's runtime over a bare NATS transport, one publish for each frame.
// Names, membership and tasks stay in each process. Deleted when fleet.ts and remote-node.ts can call connect.

import { connect as dial } from "@nats-io/transport-node";
import { type ActorSystem, type ConnectOptions, connect, type Transport } from "../../runtime/index.ts";

import { loginOf } from "./login.ts";

export interface FleetOptions extends ConnectOptions {
  readonly servers: string;
  readonly node: string;
}

export async function connectFleet({ servers, node, ...options }: FleetOptions): Promise<ActorSystem> {
  const connection = await dial({ ...loginOf(servers), noAsyncTraces: true });
  const transport: Transport = {
    frameMaxBytes: 1024 * 1024,
    async listen(receive) {
      connection.subscribe(`bench.node.${node}`, {
        callback: (_error, { reply = "", data }) => receive(reply, data.slice()),
      });
      await connection.flush();
    },
    send(to, frame) {
      connection.publish(`bench.node.${to}`, frame.slice(), { reply: node });
      return true;
    },
    close: () => connection.close(),
  };
  const placer = {
    place: (request: { readonly node?: string }) =>
      ({ kind: "placed", node: request.node ?? node, score: 1, reasons: [] }) as const,
  };
  return connect({ ...options, node, ports: { transport, placer } });
}
