// The machine's clock set wrong: the time of day is off, durations are right.

import { type Clock, systemClock } from "../../runtime/index.ts";

export const shiftedClock = (byMs: number): Clock => ({ ...systemClock, now: () => systemClock.now() + byMs });
