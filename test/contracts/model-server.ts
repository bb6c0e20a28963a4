// What a vLLM server does to a client, whether it is the real one or the simulator (nodes/vllm-sim/). Run on each by its own test file, which
// names the differences it allows by the title of the case, with the reason. The cases are in model-server/.

import { afterAll, beforeAll } from "vitest";
import { type Cases, runContract, type Skips } from "./contract.ts";
import type { ModelServerUnderTest } from "./model-server/case.ts";
import { COUNTED, PUBLISHED, STEERED } from "./model-server/state.ts";
import { CONSTRAINED, REFUSED, TALKING } from "./model-server/talk.ts";

export type { ModelServerUnderTest } from "./model-server/case.ts";

/** What a server was started with; cases that need more are skipped. */
export interface Offers {
  readonly hasKvEvents: boolean;
  readonly hasReplay: boolean;
  readonly hasDevMode: boolean;
}

const because = (titles: readonly string[], has: boolean, reason: string): Skips =>
  has ? {} : Object.fromEntries(titles.map((title) => [title, reason]));

function absent({ hasKvEvents, hasReplay, hasDevMode }: Offers): Skips {
  const clearing = "forgets its cache when told to, and says so";
  return {
    ...because([...Object.keys(PUBLISHED), clearing], hasKvEvents, "it publishes no KV events here"),
    ...because(["replays batches from a sequence on"], hasReplay, "its replay is off"),
    ...because(Object.keys(STEERED), hasDevMode, "its development routes are off"),
  };
}

/** Declares the suite. `open` is called once for all cases; `allows`: title of a case → why this server differs there. */
export function modelServerContract(
  name: string,
  open: () => Promise<ModelServerUnderTest>,
  offers: Offers,
  allows: Skips = {},
): void {
  let server: ModelServerUnderTest | undefined;
  beforeAll(async () => {
    server = await open();
  }, 420_000);
  afterAll(() => server?.close());
  const all = { ...TALKING, ...CONSTRAINED, ...COUNTED, ...REFUSED, ...PUBLISHED, ...STEERED };
  const cases: Cases<{ close(): Promise<void> }> = Object.fromEntries(
    Object.entries(all).map(([title, run]) => [title, () => run(server as ModelServerUnderTest)]),
  );
  runContract(`model server: ${name}`, cases, async () => ({ close: async () => {} }), {
    ...allows,
    ...absent(offers),
  });
}
