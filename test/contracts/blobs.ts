// The Blobs contract: what every form of runtime/blobs.ts does. Numbers are that file's invariants.

import { createHash } from "node:crypto";
import fc from "fast-check";
import { expect } from "vitest";
import type { Blobs } from "../../runtime/blobs.ts";
import { bytes, type Cases, runContract, type Skips, text } from "./contract.ts";

export interface BlobsForm {
  readonly blobs: Blobs;
  close(): Promise<void>;
}

const sha256 = (value: Uint8Array): string => createHash("sha256").update(value).digest("hex");

/** Larger than one chunk of any form. */
const LARGE_BYTES = 1_000_003;

const cases: Cases<BlobsForm> = {
  "put answers the hash of the bytes, and get the bytes (BL1)": async (make) => {
    const { blobs } = await make();
    const name = await blobs.put(bytes("hello"));
    expect(name).toBe(sha256(bytes("hello")));
    expect(text(await blobs.get(name))).toBe("hello");
    expect(await blobs.has(name)).toBe(true);
  },
  "a large and an empty blob come back unchanged (BL1)": async (make) => {
    const { blobs } = await make();
    const large = Uint8Array.from({ length: LARGE_BYTES }, (_, at) => (at * 31) % 251);
    expect(sha256((await blobs.get(await blobs.put(large))) ?? bytes("nothing"))).toBe(sha256(large));
    expect(await blobs.get(await blobs.put(new Uint8Array(0)))).toHaveLength(0);
  },
  "the same bytes are one blob, also when put at once (BL2)": async (make) => {
    const { blobs } = await make();
    const names = await Promise.all(Array.from({ length: 50 }, () => blobs.put(bytes("same"))));
    expect(new Set(names).size).toBe(1);
    await blobs.delete(names[0] ?? "");
    expect(await blobs.has(names[0] ?? "")).toBe(false);
    expect(await blobs.get(names[0] ?? "")).toBeUndefined();
    expect(await blobs.put(bytes("same"))).toBe(names[0]);
    expect(text(await blobs.get(names[0] ?? ""))).toBe("same");
  },
  "what is not there is undefined, and deleting it does nothing (BL3)": async (make) => {
    const { blobs } = await make();
    for (const name of [sha256(bytes("never put")), "", "no hash", "../x", "a.b.>"]) {
      expect(await blobs.get(name)).toBeUndefined();
      expect(await blobs.has(name)).toBe(false);
      await blobs.delete(name);
    }
  },
  "bytes are copied in and out (BL4)": async (make) => {
    const { blobs } = await make();
    const given = bytes("good");
    const name = await blobs.put(given);
    given.fill(0);
    (await blobs.get(name))?.fill(0);
    expect(text(await blobs.get(name))).toBe("good");
  },
  "a part of a larger buffer is stored as that part": async (make) => {
    const { blobs } = await make();
    const name = await blobs.put(bytes("xxhelloxx").subarray(2, 7));
    expect(name).toBe(sha256(bytes("hello")));
    expect(text(await blobs.get(name))).toBe("hello");
  },
  "one byte more than the largest is refused": async (make) => {
    const { blobs } = await make();
    await expect(blobs.put(new Uint8Array(blobs.blobMaxBytes + 1))).rejects.toMatchObject({ code: "ValueTooLarge" });
  },
  "any bytes come back unchanged (BL1)": async (make) => {
    const { blobs } = await make();
    await fc.assert(
      fc.asyncProperty(fc.uint8Array({ maxLength: 300 }), async (value) => {
        const name = await blobs.put(value);
        expect(name).toBe(sha256(value));
        expect([...((await blobs.get(name)) ?? [])]).toEqual([...value]);
      }),
      { numRuns: 50 },
    );
  },
  "close may come twice, and later uses reject with Closed (BL5)": async (make) => {
    const { blobs } = await make();
    const name = await blobs.put(bytes("x"));
    await blobs.close();
    await blobs.close();
    for (const use of [blobs.put(bytes("x")), blobs.get(name), blobs.has(name), blobs.delete(name)]) {
      await expect(use).rejects.toMatchObject({ code: "Closed" });
    }
  },
  "two forms share nothing": async (make) => {
    const [one, two] = [await make(), await make()];
    const name = await one.blobs.put(bytes("x"));
    expect(await two.blobs.has(name)).toBe(false);
  },
};

export function blobsContract(
  name: string,
  make: () => Promise<BlobsForm>,
  { skips = {} }: { readonly skips?: Skips } = {},
): void {
  runContract(`Blobs: ${name}`, cases, make, skips);
}
