// The suite of model servers on a real vLLM: `npm run test:vllm`. What it allows stands in docs/vllm-sim.md, too.

import { describe, test } from "vitest";
import { modelServerContract } from "../contracts/model-server.ts";
import { realVllm } from "../support/vllm-program.ts";

const real = await realVllm();

if (real.missing === undefined) {
  modelServerContract("a real vLLM", real.open, real.offers, {
    "one event for each token": "a token that ends within a character has no text yet, and no event",
    "arguments of a tool call satisfy the tool's parameters":
      "a model of random weights is not held to them by every tool parser",
  });
} else {
  describe("model server: a real vLLM", () => {
    test.skip(`the whole suite (skipped: ${real.missing})`, () => {});
  });
}
