// The NATS transport keeps the Transport contract against a real server, and tells of a connection that broke.

import { headers } from "@nats-io/transport-node";
import { afterAll, beforeAll, describe, expect, test } from "vitest";
import { type Connection, connectNats } from "../../../runtime/nats/connection.ts";
import { fleetNames } from "../../../runtime/nats/subjects.ts";
import { NatsTransport } from "../../../runtime/nats/transport.ts";
import { bytes, text } from "../../contracts/contract.ts";
import { transportContract } from "../../contracts/transport.ts";
import { hearing } from "../../support/listener.ts";
import { natsForTests } from "../../support/nats-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const nats = natsForTests();

describe.skipIf(nats.missing !== undefined)(`a real server (${nats.missing ?? "there"})`, () => {
  transportContract("NATS", async () => {
    const names = fleetNames(nats.prefix());
    const connections: Connection[] = [];
    return {
      async join(node) {
        const connection = await connectNats({ ...nats.options, name: node });
        connections.push(connection);
        return new NatsTransport(connection, names, node);
      },
      close: async () => void (await Promise.all(connections.map((connection) => connection.close()))),
    };
  });

  describe("and", () => {
    let north: Connection;
    let south: Connection;
    const names = fleetNames("faults");
    beforeAll(async () => {
      [north, south] = await Promise.all([connectNats(nats.options), connectNats(nats.options)]);
    });
    afterAll(() => Promise.all([north?.close(), south?.close()]));

    test("frames with headers are dropped: no node sends any (NT2)", async () => {
      const transport = new NatsTransport(south, names, "south");
      const got: (string | undefined)[] = [];
      await transport.listen(hearing((_from, frame) => void got.push(text(frame))));
      const stored = headers();
      stored.set("Nats-Stream", "KV_flotilla_store");
      north.nc.publish(names.frames("south", "north"), bytes("evil"), { headers: stored });
      north.nc.publish(names.frames("south", "north"), bytes("good"));
      await waitUntil("the good frame arrived", () => got.length > 0);
      expect(got).toEqual(["good"]);
      await transport.close();
    });

    test("a server that is killed is told as broken; nothing is taken until it is restored (NT3)", async () => {
      const [sender, receiver] = [new NatsTransport(north, names, "n2"), new NatsTransport(south, names, "s2")];
      const told: string[] = [];
      const got: (string | undefined)[] = [];
      await sender.listen({
        ...hearing(),
        broken: () => void told.push("broken"),
        restored: () => void told.push("restored"),
      });
      await receiver.listen(hearing((_from, frame) => void got.push(text(frame))));
      await nats.server.kill();
      await waitUntil("the loss was told", () => told.length === 1);
      expect(sender.send("s2", bytes("lost"))).toBe(false);
      await nats.server.restart();
      await waitUntil("both are back", () => told.length === 2 && south.isConnected);
      await south.nc.flush();
      expect(sender.send("s2", bytes("back"))).toBe(true);
      await waitUntil("the frame arrived", () => got.length === 1);
      expect([told, got]).toEqual([["broken", "restored"], ["back"]]);
    });
  });
});
