// Which devices a demand gets. Pure: rooms in, rooms or a refusal out; taking is for the pool.
//
//     0.25 + 10 GiB ─▶ the fullest device that fits          (a free device stays free for those who need a whole one)
//     memory alone  ─▶ the same, with no share
//     2             ─▶ empty devices, those with most free memory first
//
// DV1  The choice is the same for the same rooms: ties go to the first.
// DV2  A whole device is empty when it is given and takes all of its memory with it: nobody gets a part of what somebody has whole.

import type { Refusal } from "../../runtime/index.ts";
import { amountInWords, refused, UNITS_IN_ONE } from "./amounts.ts";

/** A device, or the part of one that a reservation holds, and what is taken of it. Shares in units (AU2). */
export interface DeviceRoom {
  readonly id: string;
  readonly shareInAll: number;
  readonly bytesInAll: number;
  readonly share: number;
  readonly bytes: number;
  /** Memory that others use, who have not been granted it. */
  readonly usedBytes: number;
  /** Why nothing new is put there. */
  readonly shutFor?: string;
}

export interface DeviceWish {
  /** Of each device: a part of one, or UNITS_IN_ONE. */
  readonly share: number;
  readonly count: number;
  /** On each device. */
  readonly bytes: number;
}

const SHOWN_MAX = 4;

export const freeShare = ({ shareInAll, share }: DeviceRoom): number => shareInAll - share;
export const freeBytes = ({ bytesInAll, bytes, usedBytes }: DeviceRoom): number =>
  Math.max(0, bytesInAll - bytes - usedBytes);

const isWhole = (wish: DeviceWish): boolean => wish.share === UNITS_IN_ONE;
const isEmpty = (room: DeviceRoom): boolean => room.share === 0 && room.bytes === 0;

const usable = (rooms: readonly DeviceRoom[]): readonly DeviceRoom[] =>
  rooms.filter(({ shutFor }) => shutFor === undefined);
const able = (rooms: readonly DeviceRoom[], wish: DeviceWish): readonly DeviceRoom[] =>
  usable(rooms).filter((room) => room.shareInAll >= wish.share && room.bytesInAll >= wish.bytes);

/** Why the wish can never be met with these devices, in use or not; undefined when it can. `owner`: whose they are, in words. */
export function neverMet(rooms: readonly DeviceRoom[], wish: DeviceWish, owner: string): Refusal | undefined {
  if (able(rooms, wish).length >= wish.count) return undefined;
  const asked = inWords(wish);
  if (rooms.length === 0) return refused(`${asked}, ${owner} has none`, false);
  const shut = rooms.filter(({ shutFor }) => shutFor !== undefined);
  const why = shut.length === 0 ? "" : `; ${shut.length} taken out of use: ${shut[0]?.shutFor}`;
  const most = Math.max(0, ...usable(rooms).map(({ bytesInAll }) => bytesInAll));
  const size = most < wish.bytes ? ` with at most ${amountInWords("gpuMemoryBytes", most)} each` : "";
  return refused(`${asked}, ${owner} has ${usable(rooms).length}${size}${why}`, false);
}

/** The devices for a wish that can be met some time, or why not now. */
export function chosenDevices(rooms: readonly DeviceRoom[], wish: DeviceWish): readonly DeviceRoom[] | Refusal {
  const fit = able(rooms, wish).filter(
    (room) => freeShare(room) >= wish.share && freeBytes(room) >= wish.bytes && (!isWhole(wish) || isEmpty(room)),
  );
  if (fit.length < wish.count) return refused(lackInWords(able(rooms, wish), fit.length, wish), true);
  return inOrder(fit, wish).slice(0, wish.count);
}

/** Sorting is stable: DV1. */
function inOrder(fit: readonly DeviceRoom[], wish: DeviceWish): readonly DeviceRoom[] {
  if (isWhole(wish)) return fit.toSorted((a, b) => freeBytes(b) - freeBytes(a));
  return fit.toSorted((a, b) => freeShare(a) - freeShare(b) || freeBytes(a) - freeBytes(b));
}

/** "gpus: 2 whole with gpuMemoryBytes: 40 GiB asked". */
function inWords({ share, count, bytes }: DeviceWish): string {
  const gpus = share === UNITS_IN_ONE ? `gpus: ${count} whole` : `gpus: ${amountInWords("gpus", share)} of one`;
  const memory = `gpuMemoryBytes: ${amountInWords("gpuMemoryBytes", bytes)}`;
  const parts = [...(share === 0 ? [] : [gpus]), ...(bytes === 0 ? [] : [memory])];
  return `${parts.join(" with ")} asked`;
}

function lackInWords(rooms: readonly DeviceRoom[], fit: number, wish: DeviceWish): string {
  if (isWhole(wish)) return `${inWords(wish)}, ${fit} of ${rooms.length} are free for that`;
  const shown = rooms.slice(0, SHOWN_MAX).map((room) => {
    return `${room.id} ${amountInWords("gpus", freeShare(room))} and ${amountInWords("gpuMemoryBytes", freeBytes(room))}`;
  });
  return `${inWords(wish)}, no device has that free: ${shown.join(", ")}${rooms.length > SHOWN_MAX ? ", …" : ""}`;
}
