// How the tests run. The closing line is what .ci/run and people read.

import { configDefaults, defineConfig } from "vitest/config";
import { ClosingLine } from "./test/support/closing-line.ts";

export default defineConfig(({ mode }) => ({
  test: {
    reporters: ["default", new ClosingLine()],
    // Finds or builds the nats-server, once and before the workers.
    globalSetup: ["./test/support/nats-program.ts"],
    include: ["test/**/*.test.ts"],
    // Long counts, which `npm run test:chaos` runs, a real vLLM, which `npm run test:vllm` does, and a real control plane (`npm run test:k8s`).
    exclude: [
      ...configDefaults.exclude,
      ...(mode === "chaos" ? [] : ["test/chaos/full.test.ts", "test/chaos/daemon*.test.ts"]),
      ...(mode === "vllm" ? [] : ["test/vllm/**"]),
      ...(mode === "k8s" ? [] : ["test/kubernetes/**"]),
    ],
    // Two cores are the smallest machine the suite promises to pass on.
    maxWorkers: 2,
    testTimeout: 30_000,
    hookTimeout: 60_000,
  },
}));
