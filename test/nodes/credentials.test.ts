// The two identities of a fleet's own server: a node with its credentials can do all that a node does, and nothing beside it.

import { readFile, stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { keepCredentials, makeCredentials, startNatsServer } from "../../nodes/index.ts";
import { type ActorSystem, actorContext, connect, defineActor, prepareFleet, userKeyOf } from "../../runtime/index.ts";
import { type Connection, connectNats } from "../../runtime/nats/connection.ts";
import { authenticatorOf } from "../../runtime/nats/credentials.ts";
import { bytes } from "../contracts/contract.ts";
import { Echo } from "../fixtures/fleet/actors.ts";
import { caught } from "../support/caught.ts";
import { makeFolder } from "../support/git-repository.ts";
import { natsMissing, openNats } from "../support/nats-server.ts";
import { waitUntil } from "../support/wait-until.ts";

const missing = natsMissing();
const LARGE_BYTES = 700_000;

/** Uses what a node has: state, reminders, topics, streams, large values. */
const Clerk = defineActor(
  "clerk",
  class {
    async count(): Promise<number> {
      const { state } = actorContext();
      const count = ((await state.read<number>()) ?? 0) + 1;
      await state.write(count);
      return count;
    }
    size(content: Uint8Array): number {
      return content.byteLength;
    }
    async *ticks(count: number): AsyncGenerator<number> {
      for (let tick = 0; tick < count; tick++) yield tick;
    }
    async announce(what: string): Promise<void> {
      await actorContext().system.publish("news.fresh", what);
    }
    hold(): Promise<never> {
      return new Promise<never>(() => {});
    }
  },
);

describe("files of credentials", () => {
  it("are made once, for their owner alone, and are what --creds takes", async () => {
    await using folder = await makeFolder();
    const place = join(folder.path, "fleet");
    const made = await keepCredentials(place);
    expect(made.admin.publicKey).toMatch(/^U[A-Z2-7]{55}$/);
    expect(made.node.publicKey).not.toBe(made.admin.publicKey);
    for (const file of [made.adminFile, made.nodeFile]) expect((await stat(file)).mode & 0o777).toBe(0o600);
    expect((await stat(place)).mode & 0o777).toBe(0o700);
    expect(await keepCredentials(place)).toEqual(made);
    const authenticator = authenticatorOf({ creds: await readFile(made.nodeFile, "utf8") });
    expect(authenticator?.("nonce")).toMatchObject({ nkey: made.node.publicKey });
    expect(await userKeyOf(made.admin.seed)).toEqual(made.admin);
  });

  it("that are damaged are named, and neither replaced nor repeated", async () => {
    await using folder = await makeFolder();
    const { node, nodeFile } = await keepCredentials(folder.path);
    const text = await readFile(nodeFile, "utf8");
    for (const damaged of ["", "hello", text.replace(node.seed, node.seed.slice(0, 40)), text.replace("SU", "SA")]) {
      await writeFile(nodeFile, damaged);
      const error = await caught(keepCredentials(folder.path));
      expect(error).toMatchObject({ code: "CredentialsInvalid", retryable: false });
      expect(error.message).toContain("node.creds");
      expect(error.message).not.toContain(node.seed.slice(0, 20));
      expect(await readFile(nodeFile, "utf8")).toBe(damaged);
    }
    await expect(connect({ servers: "nats://127.0.0.1:1", creds: "hello" })).rejects.toMatchObject({
      code: "InvalidOption",
      message: expect.stringMatching(/option creds: expected the content of a credentials file/),
    });
  });

  it("with a JWT still show it to the server", () => {
    const jwt = "eyJ0eXAiOiJKV1QifQ.e30.c2ln";
    const seed = "SUACSSL3UAHUDXKFSNVUZRF5UHPMWZ6BFDTJ7M6USDXIEDNPPQYYYCU3VY";
    const block = (name: string, text: string) => `-----BEGIN ${name}-----\n${text}\n------END ${name}------\n`;
    const creds = `${block("NATS USER JWT", jwt)}\n${block("USER NKEY SEED", seed)}`;
    expect(authenticatorOf({ creds })?.("nonce")).toMatchObject({ jwt });
    expect(authenticatorOf({ creds: block("USER NKEY SEED", seed) })?.("nonce")).not.toHaveProperty("jwt");
  });
});

const JS = "$JS.API";
/** Publishes with a reply, as any client may try. */
const outcomeOf = async (connection: Connection, subject: string, body: object = {}) =>
  (await connection.askOnce(subject, bytes(JSON.stringify(body)), 1_000)).kind;

/** What comes of listening: the server's refusal, or nothing within the time of a round trip. */
async function refusalToListen({ nc }: Connection, subject: string): Promise<string | undefined> {
  let refusal: string | undefined;
  nc.subscribe(subject, {
    callback: (error) => {
      refusal = error?.name;
    },
  });
  await nc.flush();
  await nc.flush();
  return refusal;
}

async function useEverything(script: ActorSystem, isHosting: ActorSystem): Promise<void> {
  const clerk = await script.spawn(Clerk, { name: "clerk", detached: true, node: "north" });
  expect([await clerk.count(), await clerk.count()]).toEqual([1, 2]);
  expect(await clerk.size(new Uint8Array(LARGE_BYTES))).toBe(LARGE_BYTES);
  const ticks: number[] = [];
  for await (const tick of clerk.ticks(3)) ticks.push(tick);
  expect(ticks).toEqual([0, 1, 2]);
  await using news = script.subscribe<string>("news.*");
  await clerk.announce("it works");
  for await (const { event } of news) {
    expect(event).toBe("it works");
    break;
  }
  expect(await script.result(await script.submit(Echo, "say", ["by task"]))).toBe("by task");
  const held = await script.submit(Clerk, "hold", []);
  expect(await script.cancel(held)).toBe(true);
  const apart = await script.spawn(Echo, { isolation: "process", node: "north" });
  expect(await apart.say("apart")).toBe("apart");
  await script.kill(clerk);
  expect(isHosting.nodes().length).toBeGreaterThanOrEqual(2);
}

describe.skipIf(missing !== undefined)(
  `a server with credentials (${missing ?? "there"})`,
  { concurrent: true },
  () => {
    it("lets a node do all that a node does, once an administrator has been there", async ({ expect }) => {
      const credentials = await makeCredentials();
      await using server = await openNats({ credentials, prefix: "own" });
      const fleet = { servers: server.servers, prefix: "own" };
      const early = await caught(connect({ ...fleet, nkeySeed: credentials.node.seed }));
      expect(early.code).toBe("ServerRefused");
      expect(early.message).toMatch(/stream \w*own_\w+ is not there, and this connection may not make it/);
      const facts = await prepareFleet({ ...fleet, nkeySeed: credentials.admin.seed });
      expect(facts).toMatchObject({ durability: "fast", replicas: 1 });
      const creds = `-----BEGIN USER NKEY SEED-----\n${credentials.node.seed}\n------END USER NKEY SEED------\n`;
      const node = { ...fleet, creds, lease: "fast" as const };
      await using north = await connect({
        ...node,
        name: "north",
        accepts: true,
        allowCode: true,
        actors: [Echo, Clerk],
      });
      await using script = await connect(node);
      await useEverything(script, north);
      // Five were the early one's, and the log shows that this server writes them down.
      const violations = server.log.filter((line) => line.includes("Violation"));
      expect(violations).toEqual(Array(5).fill(expect.stringContaining("STREAM.CREATE")));
    });

    it("keeps a node from streams, other subjects and other fleets", async ({ expect }) => {
      const credentials = await makeCredentials();
      await using server = await openNats({ credentials });
      const { servers } = server;
      await prepareFleet({ servers, nkeySeed: credentials.admin.seed });
      await prepareFleet({ servers, prefix: "other", nkeySeed: credentials.admin.seed });
      const node = await connectNats({ servers, nkeySeed: credentials.node.seed });
      const admin = await connectNats({ servers, nkeySeed: credentials.admin.seed });
      const stream = "KV_flotilla_store";
      expect(await outcomeOf(node, `${JS}.STREAM.INFO.${stream}`)).toBe("answered");
      for (const subject of [
        `${JS}.STREAM.DELETE.${stream}`,
        `${JS}.STREAM.PURGE.${stream}`,
        `${JS}.STREAM.PURGE.flotilla_results`,
        `${JS}.STREAM.UPDATE.${stream}`,
        `${JS}.STREAM.CREATE.flotilla_more`,
        `${JS}.STREAM.MSG.DELETE.${stream}`,
        `${JS}.CONSUMER.CREATE.${stream}.mine`,
        `${JS}.CONSUMER.DELETE.flotilla_queue.echo_bulk`,
        `${JS}.STREAM.INFO.KV_other_store`,
        `${JS}.STREAM.NAMES`,
        "$KV.other_store.name.x",
        "other.n.north.south",
        "flotilla.tail.store.name.x",
        "flotilla.l.north.south.1",
        "_I.north.x.r.1",
        "elsewhere",
      ])
        expect({ subject, is: await outcomeOf(node, subject) }).toEqual({ subject, is: "refused" });
      for (const subject of [">", "other.>", "flotilla.>", "$JS.>", "$KV.>", "flotilla.queue.>"]) {
        expect({ subject, is: await refusalToListen(node, subject) }).toEqual({
          subject,
          is: "PermissionViolationError",
        });
      }
      expect(await refusalToListen(node, "flotilla.n.north.*")).toBeUndefined();
      expect(await outcomeOf(admin, `${JS}.STREAM.DELETE.KV_other_store`)).toBe("answered");
      await Promise.all([node.close(), admin.close()]);
    });

    it("lets nobody in by password, and elsewhere than on the loopback only with credentials", async ({ expect }) => {
      const credentials = await makeCredentials();
      await using server = await openNats({ credentials, host: "0.0.0.0" });
      expect({ user: server.user, pass: server.pass }).toEqual({ user: "", pass: "" });
      expect(server.servers).toBe(`nats://127.0.0.1:${server.port}`);
      const { servers } = server;
      for (const who of [{}, { user: "flotilla", pass: "" }, { nkeySeed: (await makeCredentials()).admin.seed }]) {
        expect((await caught(connectNats({ servers, ...who }))).code).toBe("ServerRefused");
      }
      const admin = await connectNats({ servers, nkeySeed: credentials.admin.seed });
      const { pid } = server;
      await server.restart();
      expect(server.pid).not.toBe(pid);
      await waitUntil("the same key is good after a restart", () => admin.isConnected);
      await admin.close();
      const open = startNatsServer({ folder: "/nowhere", host: "0.0.0.0", program: "/nowhere" });
      expect(await caught(open)).toMatchObject({ code: "HostNeedsCredentials" });
    });
  },
);
