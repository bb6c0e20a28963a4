// How the tests run. The closing line is what .ci/run and people read.
//
//     npm test             all but those below; at most six minutes on two cores
//     npm run test:long    whole flows of many processes, and what waits for real programs; .ci/run runs them, too
//     npm run test:chaos   long counts of faults              by hand
//     npm run test:vllm    a real vLLM                         by hand
//     npm run test:k8s     a real Kubernetes API server        by hand

import { configDefaults, defineConfig } from "vitest/config";
import { ClosingLine } from "./test/support/closing-line.ts";

const LONG = [
  "test/flow/**/*.test.ts",
  "test/e2e/{daemon,daemon-input,fleet,fleet-task,up}.test.ts",
  "test/chaos/{drain,kill,outage,pause,tasks}.test.ts",
  "test/bench/run.test.ts",
  "test/runtime/isolation/isolation.test.ts",
  "test/runtime/isolation/process.test.ts",
  "test/tools/tests-runners.test.ts",
];
/** What each mode alone runs. */
const BY_HAND: Readonly<Record<string, readonly string[]>> = {
  chaos: ["test/chaos/full.test.ts", "test/chaos/daemon*.test.ts", "test/chaos/services*.test.ts"],
  vllm: ["test/vllm/**"],
  k8s: ["test/kubernetes/**"],
};

export default defineConfig(({ mode }) => {
  const others = Object.entries(BY_HAND).filter(([name]) => name !== mode);
  return {
    test: {
      reporters: ["default", new ClosingLine()],
      // Finds or builds the nats-server, once and before the workers.
      globalSetup: ["./test/support/nats-program.ts"],
      include: mode === "long" ? LONG : ["test/**/*.test.ts"],
      exclude: [
        ...configDefaults.exclude,
        ...others.flatMap(([, files]) => files),
        // Named on the command line they run in every mode.
        ...(mode === "test" && !process.argv.some((argument) => argument.startsWith("test/")) ? LONG : []),
      ],
      // Two cores are the smallest machine the suite promises to pass on.
      maxWorkers: 2,
      testTimeout: 30_000,
      hookTimeout: 60_000,
    },
  };
});
