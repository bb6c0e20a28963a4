// The same program on a fleet: two members of one fleet on a real server, a node that hosts and a script that asks.

import { createHash } from "node:crypto";
import { describe, expect, test } from "vitest";
import {
  type ActorSystem,
  actorContext,
  type ConnectOptions,
  connect,
  defineActor,
  type Handle,
} from "../../../runtime/index.ts";
import { Counter as Shipped } from "../../fixtures/code/counter.ts";
import { caught } from "../../support/caught.ts";
import { natsForTests } from "../../support/nats-server.ts";
import { waitUntil } from "../../support/wait-until.ts";

const nats = natsForTests();
const MEGABYTE = 1024 * 1024;

const Keeper = defineActor(
  "keeper",
  class {
    #kept: unknown[] = [];
    keep(value: unknown): number {
      return this.#kept.push(value);
    }
    kept(): unknown[] {
      return this.#kept;
    }
    sum(bytes: Uint8Array): string {
      return createHash("sha256").update(bytes).digest("hex");
    }
    large(bytes: number): Uint8Array {
      return new Uint8Array(bytes).fill(7);
    }
    where(): string {
      return actorContext().address.node;
    }
    async *count(to: number) {
      for (let at = 0; at < to; at++) yield at;
    }
    async askOther(other: Handle<typeof Keeper>, value: string): Promise<number> {
      return other.keep(value);
    }
  },
);

async function openFleet(node: ConnectOptions = {}) {
  const prefix = nats.prefix();
  const common = { ...nats.options, prefix, lease: "fast" } as const;
  const host = await connect({ ...common, name: "host", accepts: true, actors: [Keeper], ...node });
  const script = await connect({ ...common, name: "script" });
  await waitUntil("they see each other", () => script.nodes().length === 2 && host.nodes().length === 2);
  return {
    host,
    script,
    async [Symbol.asyncDispose]() {
      await script.close();
      await host.close();
    },
  };
}

const nodeOf = (system: ActorSystem) => system.node;

describe.skipIf(nats.missing !== undefined)(`on a real server (${nats.missing ?? "there"})`, () => {
  test("actors are spawned, called and streamed from on the node that hosts; handles travel", async () => {
    await using fleet = await openFleet();
    const { script, host } = fleet;
    const keeper = await script.spawn(Keeper);
    expect(await keeper.where()).toBe(nodeOf(host));
    const own = await script.spawn(Keeper, { node: script.node });
    // Asked by the remote one through a handle that came as an argument.
    expect(await keeper.askOther(own, "from afar")).toBe(1);
    expect(await own.kept()).toEqual(["from afar"]);
    let seen = 0;
    for await (const at of keeper.count(2_000)) expect(at).toBe(seen++);
    expect(seen).toBe(2_000);
    expect(script.facts).toMatchObject({ durability: "fast", replicas: 1, server: { version: expect.any(String) } });
  });

  test("payloads of megabytes go by blob, in order with the small ones, and leave no blob behind", async () => {
    await using fleet = await openFleet();
    const keeper = await fleet.script.spawn(Keeper);
    const bytes = new Uint8Array(3 * MEGABYTE).fill(9);
    const answers = [keeper.keep("before"), keeper.sum(bytes), keeper.keep("after"), keeper.large(2 * MEGABYTE)];
    const [before, sum, after, large] = await Promise.all(answers);
    expect([before, after]).toEqual([1, 2]);
    expect(sum).toBe(createHash("sha256").update(bytes).digest("hex"));
    expect((large as Uint8Array).length).toBe(2 * MEGABYTE);
    expect(await keeper.kept()).toEqual(["before", "after"]);
    const { code, data } = await caught(keeper.sum(new Uint8Array(65 * MEGABYTE)));
    expect(code).toBe("PayloadTooLarge");
    expect(data.maxBytes).toBeGreaterThan(63 * MEGABYTE);
    expect(await keeper.keep("still here")).toBe(3);
  });

  test("tasks of a type that no node has: one that allows code is sent it and runs them", async () => {
    await using fleet = await openFleet({ allowCode: true, actors: [] });
    const { script } = fleet;
    const id = await script.submit(Shipped, "add", [3]);
    expect(await script.result(id, { timeoutMs: 20_000 })).toBe(3);
    const more = await Promise.all([1, 2, 3].map((by) => script.submit(Shipped, "add", [by])));
    expect((await script.wait(more, { timeoutMs: 20_000 })).done).toEqual(more);
  });

  test("with nobody who accepts actors, a spawn says what to start", async () => {
    const system = await connect({ ...nats.options, prefix: nats.prefix() });
    expect(await caught(system.spawn(Keeper))).toMatchObject({
      code: "Unplaceable",
      message: expect.stringContaining("flotilla node --servers"),
    });
    await system.close();
  });
});
