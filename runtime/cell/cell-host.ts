// What a cell needs of the host it lives in. The host itself is host.ts.

import type { Address } from "../address.ts";
import type { Clock } from "../clock.ts";
import type { WireError } from "../envelope.ts";
import type { Cell } from "./cell.ts";
import type { Directive } from "./supervisor.ts";

export interface CellHost {
  readonly clock: Clock;
  /** Milliseconds an onStart may take when its spawn did not say. */
  readonly startTimeoutMs: number;
  /** Gives the cell a turn soon. */
  schedule(cell: Cell): void;
  /** The cell's ActorContext, asked for once. */
  contextOf(cell: Cell): unknown;
  /** Told once, when nothing of the cell runs any more. */
  ended(cell: Cell): void;
  deadLetter(address: Address, method: string, why: WireError): void;
  failed(cell: Cell, why: WireError, directive: Directive["kind"]): void;
}
