// The memory blobs keep the Blobs contract, and their own bound.

import { describe, expect, test } from "vitest";
import { MemoryBlobs } from "../../../runtime/memory/blobs.ts";
import { blobsContract } from "../../contracts/blobs.ts";

blobsContract("memory", async () => {
  const blobs = new MemoryBlobs({ blobMaxBytes: 2_000_000 });
  return { blobs, close: () => blobs.close() };
});

describe("MemoryBlobs", () => {
  test("refuses what does not fit beside the others, and takes it once there is room", async () => {
    const blobs = new MemoryBlobs({ maxBytes: 100 });
    const first = await blobs.put(new Uint8Array(60).fill(1));
    await expect(blobs.put(new Uint8Array(60).fill(2))).rejects.toMatchObject({ code: "StorageFull", retryable: true });
    expect(await blobs.put(new Uint8Array(60).fill(1))).toBe(first);
    await blobs.delete(first);
    await blobs.delete(first);
    const second = await blobs.put(new Uint8Array(60).fill(2));
    expect(await blobs.has(second)).toBe(true);
    await expect(blobs.put(new Uint8Array(60).fill(3))).rejects.toMatchObject({ code: "StorageFull" });
  });
});
