// A node that was declared gone: nothing is kept of it, and when it comes back under its id no old answer meets a new question.

import { describe, expect, test } from "vitest";
import { Codec } from "../../runtime/codec.ts";
import { Counts } from "../../runtime/counts.ts";
import { Deadlines } from "../../runtime/deadlines.ts";
import type { Envelope, WireError } from "../../runtime/envelope.ts";
import type { Host } from "../../runtime/host.ts";
import { defineActor } from "../../runtime/index.ts";
import { Peers } from "../../runtime/peers.ts";
import type { Listener } from "../../runtime/transport.ts";
import { codeOf } from "../support/caught.ts";
import { FakeClock, settle } from "../support/fake-clock.ts";
import { openFleet } from "../support/fleet.ts";
import { settleFrames } from "../support/places.ts";

describe("a node that was declared gone", () => {
  /** The other nodes as one of them sees them, with south played by the test. */
  async function alone() {
    const codec = new Codec();
    const sent: Envelope[] = [];
    let listener: Listener | undefined;
    const peers = new Peers({
      node: "north",
      host: { clock: new FakeClock(), log: () => {}, deadLetter: () => {} } as unknown as Host,
      transport: {
        frameMaxBytes: 1_000_000,
        listen: async (given) => {
          listener = given;
        },
        send(_to, frame) {
          sent.push(...(codec.decodeFrame(frame)?.envelopes ?? []));
          return true;
        },
        close: async () => {},
      },
      codec: new Codec(),
      revive: (address) => address,
      deadlines: new Deadlines(new FakeClock()),
      blobs: undefined,
      counts: new Counts(),
      reconnected: () => {},
      load: async () => {},
      endProcess: async () => false,
      isDeparted: () => false,
      spawn: async () => {
        throw new Error("not here");
      },
      moved: () => {},
    });
    await peers.listen();
    const heard: string[] = [];
    const kill = async (what: string): Promise<number> => {
      const note = (how: string) => heard.push(`${what}: ${how}`);
      const sink = { value: () => note("value"), fail: (why: WireError) => note(why.code), chunk() {}, end() {} };
      peers.stop({ node: "south", id: "1", type: "t", incarnation: 1 }, "kill", 0, sink);
      await settle();
      return (sent.findLast(({ kind }) => kind === "stop") as { id: number } | undefined)?.id ?? -1;
    };
    const says = (...envelopes: Envelope[]) => listener?.frame("south", codec.encodeFrame(envelopes));
    return { peers, sent, heard, kill, says };
  }

  test("and comes back under its id answers no new question with an old answer", async () => {
    const { peers, heard, kill, says } = await alone();
    const old = [await kill("old"), await kill("old")];
    peers.gone("south");
    expect(await kill("meanwhile")).toBe(old[1]);
    peers.joined("south");
    await kill("new");
    const last = await kill("new");
    for (const id of old) says({ kind: "reply", id, value: undefined });
    expect(heard).toEqual(["old: Unknown", "old: Unknown", "meanwhile: Unavailable"]);
    says({ kind: "reply", id: last, value: undefined });
    expect(heard.at(-1)).toBe("new: value");
  });

  test("is told to ask what became of its own questions when it comes back, and gives up ours", async () => {
    const { peers, sent, kill } = await alone();
    await kill("old");
    peers.gone("south");
    sent.length = 0;
    peers.joined("south");
    await settle();
    expect(sent).toMatchObject([{ kind: "reconnected" }, { kind: "probe", ids: [] }]);
  });

  test("is not kept, however late its last frames and what came back of ours", async () => {
    const { peers, says, kill } = await alone();
    await kill("old");
    peers.gone("south");
    says({ kind: "reply", id: 1, value: undefined }, { kind: "probe", id: 0, ids: [5] });
    await kill("late");
    const ends: string[] = [];
    peers.watch({ node: "south", id: "1", type: "t", incarnation: 1 }, ({ error }) => ends.push(error?.code ?? ""));
    await settle();
    expect([peers.stats(), ends]).toEqual([{ peers: 0, underWay: 0 }, ["NodeLost"]]);
  });

  const Local = defineActor(
    "local",
    class {
      wait(): Promise<string> {
        return new Promise(() => {});
      }
    },
  );

  test("is not kept: drivers that come and go leave nothing behind, however late their last frames are", async () => {
    await using fleet = openFleet();
    const host = await fleet.add("host", { actors: [Local] });
    await fleet.pass(11_000);
    for (let round = 0; round < 3; round++) {
      const driver = await fleet.add(`driver-${round}`, { record: { accepts: false } });
      const actor = await driver.system.spawn(Local);
      const open = codeOf(actor.wait());
      await settleFrames();
      const closing = driver.system.close();
      await fleet.pass(2_000);
      await closing;
      expect(["Closed", "ActorEnded", "Cancelled"]).toContain(await open);
    }
    await fleet.pass(12_000);
    expect(host.system.stats()).toMatchObject({ actors: 0, peers: 0, underWay: 0 });
  });
});
