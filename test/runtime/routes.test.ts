// Messages for actors that may have moved: looked up once, in order, and nobody lost with another.

import { describe, expect, test } from "vitest";
import type { Address } from "../../runtime/address.ts";
import type { Receiver } from "../../runtime/calls.ts";
import { Message, NEVER } from "../../runtime/cell/message.ts";
import type { WireError } from "../../runtime/envelope.ts";
import { failure } from "../../runtime/failure.ts";
import { Routes, type RoutesOptions } from "../../runtime/routes.ts";
import { settle } from "../support/fake-clock.ts";

const at = (node: string): Address => ({ node, id: "1", type: "part", incarnation: 1, key: "name.d.x" });

function open() {
  const present = new Set(["new"]);
  const got: string[] = [];
  const ends: string[] = [];
  const lookups: PromiseWithResolvers<Address | WireError>[] = [];
  const receiver = (node: string): Receiver => ({
    copies: false,
    receive(message) {
      if (message.method === "throws") throw new Error("cannot be encoded");
      got.push(`${node} ${message.method}`);
      return undefined;
    },
  });
  const routes = new Routes({
    node: "here",
    host: { find: () => undefined, deadLetter: (_to: Address, method: string) => ends.push(`dead ${method}`) },
    peers: { find: receiver },
    isStaying: (node: string) => present.has(node),
    resolve: () => {
      const lookup = Promise.withResolvers<Address | WireError>();
      lookups.push(lookup);
      return lookup.promise;
    },
  } as unknown as RoutesOptions);
  const send = (method: string, isCast = false) => {
    const sink = {
      value: () => {},
      chunk: () => {},
      end: () => {},
      fail: ({ code }: WireError) => void ends.push(`${method} ${code}`),
    };
    const message = new Message(method, [], NEVER, [], isCast ? undefined : sink, undefined);
    routes.find(at("old"))?.receive(message, at("old"));
    return message;
  };
  return { send, got, ends, lookups, present };
}

describe("an actor whose node has gone", () => {
  test("is looked up once for all who ask meanwhile, and they go on in order (RT2)", async () => {
    const { send, got, lookups } = open();
    for (const method of ["a", "b", "c"]) send(method);
    await settle();
    send("d");
    expect(lookups).toHaveLength(1);
    lookups[0]?.resolve(at("new"));
    await settle();
    send("e");
    expect(got).toEqual(["new a", "new b", "new c", "new d", "new e"]);
    expect(lookups).toHaveLength(1);
  });

  test("is looked up again when its next place goes (RT3)", async () => {
    const { send, got, lookups, present } = open();
    send("a");
    lookups[0]?.resolve(at("new"));
    await settle();
    present.clear();
    present.add("newest");
    send("b");
    lookups[1]?.resolve(at("newest"));
    await settle();
    expect(got).toEqual(["new a", "newest b"]);
  });

  test("who gave up meanwhile is not sent on; a message that cannot be sent takes no other with it", async () => {
    const { send, got, ends, lookups } = open();
    send("a").cancel(failure("Cancelled", "given up"));
    send("throws");
    send("throws", true);
    send("b");
    lookups[0]?.resolve(at("new"));
    await settle();
    expect([got, ends]).toEqual([["new b"], ["throws ActorThrew", "dead throws"]]);
  });

  test("that is found nowhere: callers hear why, casts are dead letters, and the next one is looked up anew", async () => {
    const { send, ends, lookups } = open();
    send("a");
    send("b", true);
    lookups[0]?.resolve(failure("NoSuchActor", "gone"));
    await settle();
    send("c");
    lookups[1]?.reject(new Error("the store is away"));
    await settle();
    expect(ends).toEqual(["a NoSuchActor", "dead b", "c ActorThrew"]);
  });
});
