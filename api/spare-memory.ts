// What starting leaves behind, given back. A host that waits for work makes hardly any garbage, so V8 would not collect for hours and hold on to
// some 15 MB of what loading modules has allocated.

import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";

type Collect = (options: { readonly type: "major"; readonly flavor: "last-resort" }) => void;

/** Collects all that can be, once: 60 to 100 ms in which nothing else runs. */
export function giveBackMemory(): void {
  // The collector's own entry, had without a flag on the command line. The flag goes back: compiled code is kept by the flags it was made under.
  setFlagsFromString("--expose-gc");
  const collect: Collect = runInNewContext("gc");
  setFlagsFromString("--no-expose-gc");
  // Only this flavour gives back the young generation's pages as well.
  collect({ type: "major", flavor: "last-resort" });
}
