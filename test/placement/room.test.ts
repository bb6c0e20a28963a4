// What is left of a node when something is granted, by table. What does not fit is in filters.test.ts, in the words that people read.

import { expect, test } from "vitest";
import { exceeds, NO_NEED, needOf, type Room, take } from "../../placement/room.ts";
import type { Amounts } from "../../runtime/index.ts";
import { GIB, gpu } from "./snapshots.ts";

const left = (room: Room, resources: Amounts) => take(room, needOf(resources) ?? NO_NEED);
/** Shares and GiB left of each device. */
const devices = (room: Room, resources: Amounts) =>
  left(room, resources)?.gpus.map(({ free, freeBytes }) => [free, freeBytes / GIB]);

const three: Room = { free: { cpus: 4, gpus: 2.25 }, gpus: [gpu(1), gpu(0.5), gpu(0.75)] };

test.each([
  ["a share fills the device that it fills best", { gpus: 0.5 }, [1, 80], [0, 0], [0.75, 60]],
  ["also when another has been begun", { gpus: 0.75 }, [1, 80], [0.5, 40], [0, 0]],
  ["a whole one leaves nothing of it", { gpus: 1 }, [0, 0], [0.5, 40], [0.75, 60]],
  ["memory that is named", { gpus: 0.25, gpuMemoryBytes: 30 * GIB }, [1, 80], [0.25, 10], [0.75, 60]],
  ["memory alone", { gpuMemoryBytes: 50 * GIB }, [1, 80], [0.5, 40], [0.75, 10]],
  ["none", { cpus: 1 }, [1, 80], [0.5, 40], [0.75, 60]],
] as const)("%s", (_, resources, ...expected) => {
  expect(devices(three, resources)).toEqual(expected);
});

test("amounts are counted, and GPUs too where no device is known", () => {
  expect(left(three, { cpus: 1, gpus: 1 })?.free).toEqual({ cpus: 3, gpus: 1.25 });
  expect(left({ free: { gpus: 3 }, gpus: [] }, { gpus: 2 })).toMatchObject({ free: { gpus: 1 }, gpus: [] });
  expect(left(three, { gpus: 2 })).toBeUndefined();
  expect(three.gpus[1]).toEqual(gpu(0.5));
});

test("more than there is in all rooms", () => {
  const needs = (...asked: Amounts[]) => asked.map((each) => needOf(each) ?? NO_NEED);
  expect(exceeds(needs({ cpus: 4 }, { cpus: 4, gpus: 2 }), [three, three])).toBe(false);
  expect(exceeds(needs({ cpus: 4 }, { cpus: 5 }), [three, three])).toBe(true);
  expect(exceeds(needs({ gpus: 3 }), [three])).toBe(true);
  expect(exceeds(needs({ gpus: 3 }), [{ free: { gpus: 3 }, gpus: [] }])).toBe(false);
});
