// The Transport contract: what every form of runtime/transport.ts does, between nodes "north", "south" and "west" of one network.
// Numbers are that file's invariants.

import { expect } from "vitest";
import type { Transport } from "../../runtime/transport.ts";
import { hearing } from "../support/listener.ts";
import { waitUntil } from "../support/wait-until.ts";
import { bytes, type Cases, runContract, type Skips, text } from "./contract.ts";

export interface TransportForm {
  /** A node's way into the network. */
  join(node: string): Promise<Transport>;
  close(): Promise<void>;
}

interface Got {
  readonly from: string;
  readonly frame: string;
}

/** Joins and listens; what arrives is kept in order. */
async function listening(form: TransportForm, node: string): Promise<{ transport: Transport; got: Got[] }> {
  const transport = await form.join(node);
  const got: Got[] = [];
  await transport.listen(hearing((from, frame) => void got.push({ from, frame: text(frame) ?? "" })));
  return { transport, got };
}

const FRAMES = 500;

const cases: Cases<TransportForm> = {
  "a frame arrives once, whole, and says who sent it (TP1)": async (make) => {
    const form = await make();
    const north = await listening(form, "north");
    const south = await listening(form, "south");
    expect(north.transport.send("south", bytes("hello"))).toBe(true);
    expect(south.transport.send("north", bytes(""))).toBe(true);
    await waitUntil("both frames arrived", () => south.got.length > 0 && north.got.length > 0);
    expect(south.got).toEqual([{ from: "north", frame: "hello" }]);
    expect(north.got).toEqual([{ from: "south", frame: "" }]);
  },
  "a frame of the largest size passes (TP1)": async (make) => {
    const form = await make();
    const north = await form.join("north");
    const south = await form.join("south");
    const sizes: number[] = [];
    await north.listen(hearing());
    await south.listen(hearing((_from, frame) => void sizes.push(frame.length)));
    expect(north.send("south", new Uint8Array(north.frameMaxBytes))).toBe(true);
    await waitUntil("the frame arrived", () => sizes.length > 0);
    expect(sizes).toEqual([north.frameMaxBytes]);
  },
  "frames of one sender arrive in order, also when others send as well (TP2)": async (make) => {
    const form = await make();
    const north = await listening(form, "north");
    const west = await listening(form, "west");
    const south = await listening(form, "south");
    for (let index = 0; index < FRAMES; index++) {
      north.transport.send("south", bytes(String(index)));
      west.transport.send("south", bytes(String(index)));
    }
    await waitUntil("all frames arrived", () => south.got.length === 2 * FRAMES);
    const expected = Array.from({ length: FRAMES }, (_, index) => String(index));
    for (const sender of ["north", "west"]) {
      expect(south.got.filter(({ from }) => from === sender).map(({ frame }) => frame)).toEqual(expected);
    }
  },
  "send calls no receiver before it returns, not even the sender's own (TP3)": async (make) => {
    const form = await make();
    const north = await listening(form, "north");
    const south = await listening(form, "south");
    north.transport.send("south", bytes("a"));
    north.transport.send("north", bytes("b"));
    expect([north.got, south.got]).toEqual([[], []]);
    await waitUntil("both frames arrived", () => south.got.length + north.got.length === 2);
  },
  "a frame for nobody is refused at once, or its receipt comes back as lost (TP3, TP4)": async (make) => {
    const form = await make();
    const north = await form.join("north");
    const lost: string[] = [];
    await north.listen({ ...hearing(), lost: (peer, receipt) => void lost.push(`${peer} ${receipt}`) });
    if (!north.send("nobody", bytes("a"), "7-9-0")) return;
    await waitUntil("the loss was told", () => lost.length > 0);
    expect(lost).toEqual(["nobody 7-9-0"]);
  },
  "after close nothing is taken and nothing delivered; close twice does no harm (TP7)": async (make) => {
    const form = await make();
    const north = await listening(form, "north");
    const south = await listening(form, "south");
    const west = await listening(form, "west");
    await south.transport.close();
    await south.transport.close();
    expect(south.transport.send("north", bytes("from the dead"))).toBe(false);
    north.transport.send("south", bytes("to the dead"));
    // What was sent after it has arrived elsewhere: the frame above has had its time.
    north.transport.send("west", bytes("proof"));
    await waitUntil("the later frame arrived", () => west.got.length === 1);
    expect([south.got, north.got]).toEqual([[], []]);
  },
};

export function transportContract(
  name: string,
  make: () => Promise<TransportForm>,
  { skips = {} }: { readonly skips?: Skips } = {},
): void {
  runContract(`Transport: ${name}`, cases, make, skips);
}
