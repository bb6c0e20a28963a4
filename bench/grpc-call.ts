// Calls of the RPC door by gRPC with JSON messages, over one HTTP/2 connection: as little client as can be, so that the door is what is
// measured. One call at a time is made with it; streams and packed messages are not known to it.

import { connect } from "node:http2";

const PREFIX_BYTES = 5;

export interface GrpcConnection {
  /** "fleet.orchestrator.v1.OrchestratorService/Deliberate". Rejects with the status that is not OK. */
  call(method: string, message: object): Promise<Record<string, unknown>>;
  close(): void;
}

export function openGrpc(url: string, token: string): GrpcConnection {
  const session = connect(url);
  return {
    async call(method, message) {
      const json = Buffer.from(JSON.stringify(message));
      const prefix = Buffer.alloc(PREFIX_BYTES);
      prefix.writeUInt32BE(json.length, 1);
      const stream = session.request({
        ...{ ":method": "POST", ":path": `/${method}`, "content-type": "application/grpc+json", te: "trailers" },
        authorization: `Bearer ${token}`,
      });
      let status: unknown;
      stream.on("trailers", (trailers) => (status = trailers["grpc-status"]));
      stream.on("response", (headers) => (status ??= headers["grpc-status"]));
      stream.end(Buffer.concat([prefix, json]));
      const chunks: Buffer[] = [];
      for await (const chunk of stream) chunks.push(chunk as Buffer);
      if (status !== "0") throw new Error(`${method}: gRPC status ${status}`);
      return JSON.parse(Buffer.concat(chunks).subarray(PREFIX_BYTES).toString()) as Record<string, unknown>;
    },
    close: () => session.close(),
  };
}
