// Reporter: ends a run with one plain line, "N passed, N failed, N skipped", for people and for programs that read the log.
// It does not replace the default reporter, which tells what failed.
//
// L1  Whatever kept a test from being judged counts as failed: a file that could not be loaded, a broken hook, an unhandled
//     error, a run cut short. A green line must mean that everything ran.

import type { Reporter, SerializedError, TestModule } from "vitest/node";

export interface Counts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

export function countTests(modules: readonly TestModule[], unhandled: readonly SerializedError[]): Counts {
  let [passed, failed, skipped] = [0, unhandled.length, 0];
  for (const module of modules) {
    if (module.errors().length > 0) failed++;
    for (const suite of module.children.allSuites()) if (suite.errors().length > 0) failed++;
    for (const test of module.children.allTests()) {
      const { state } = test.result();
      if (state === "passed") passed++;
      else if (state === "skipped") skipped++;
      else failed++;
    }
  }
  return { passed, failed, skipped };
}

export class ClosingLine implements Reporter {
  onTestRunEnd(modules: readonly TestModule[], unhandled: readonly SerializedError[]): void {
    const { passed, failed, skipped } = countTests(modules, unhandled);
    // At exit, so that nothing vitest still has to say comes after it.
    process.once("exit", () => process.stdout.write(`${passed} passed, ${failed} failed, ${skipped} skipped\n`));
  }
}
