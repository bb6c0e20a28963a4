// The door of placement/: where an actor should live, decided from plain data. It starts nothing and asks nobody.

import type { Placer, PlacerView } from "../runtime/index.ts";
import { WeighingPlacer } from "./placer.ts";

export { explain } from "./explain.ts";
export { planGroup } from "./group.ts";
export { place } from "./place.ts";
export type { Room } from "./room.ts";
export type { Recent, Snapshot } from "./snapshot.ts";

/** A placer that weighs every node by its report, its load and who is there; it remembers what it placed until that is reported. */
export function openPlacer(view: PlacerView): Required<Placer> {
  return new WeighingPlacer(view);
}
