// Where messages for an actor with an entry go once it lives elsewhere than its handles say.

import { describe, expect, test } from "vitest";
import type { Address } from "../../runtime/address.ts";
import { Message, NEVER } from "../../runtime/cell/message.ts";
import type { Host } from "../../runtime/host.ts";
import type { Peers } from "../../runtime/peers.ts";
import { Routes } from "../../runtime/routes.ts";
import { settle } from "../support/fake-clock.ts";

const KEY = "name.default.x";
const OLD: Address = { node: "a", id: "2", type: "t", incarnation: 1, key: KEY };
const NEW: Address = { node: "b", id: "7", type: "t", incarnation: 1, key: KEY };

/** Routes of a third node, whose peers only note what they are given. */
function open(present: Set<string>, resolve: () => Address) {
  const sent: string[] = [];
  let lookups = 0;
  const peerOf = (node: string) => ({
    copies: false,
    receive: ({ method }: Message, to: Address) => void sent.push(`${method} to ${to.id} on ${node}`),
  });
  const routes = new Routes({
    node: "c",
    host: { find: () => undefined } as unknown as Host,
    peers: { find: peerOf } as unknown as Peers,
    isStaying: (node) => present.has(node),
    resolve: async () => {
      lookups++;
      return resolve();
    },
  });
  const send = (method: string) =>
    routes.find(OLD)?.receive(new Message(method, [], NEVER, [], undefined, undefined), OLD);
  return { routes, sent, send, lookups: () => lookups };
}

describe("an actor that was moved", () => {
  test("gets every message at its new address, in order, after one look", async () => {
    const { sent, send, lookups } = open(new Set(["b"]), () => NEW);
    for (const method of ["one", "two"]) send(method);
    await settle();
    for (const method of ["three", "four"]) send(method);
    expect(sent).toEqual(["one", "two", "three", "four"].map((method) => `${method} to 7 on b`));
    expect(lookups()).toBe(1);
  });

  test("is looked up when its old node, still there, says that it has left; old news changes nothing", async () => {
    const { routes, sent, send, lookups } = open(new Set(["a", "b"]), () => NEW);
    send("one");
    routes.left(KEY, "a", "2");
    send("two");
    await settle();
    routes.left(KEY, "a", "2");
    send("three");
    expect(sent).toEqual(["one to 2 on a", "two to 7 on b", "three to 7 on b"]);
    expect(lookups()).toBe(1);
  });
});
