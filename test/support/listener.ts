// A transport's listener that only cares for frames.

import type { Listener } from "../../runtime/transport.ts";

export const hearing = (frame: Listener["frame"] = () => {}): Listener => ({
  frame,
  lost() {},
  broken() {},
  restored() {},
});
