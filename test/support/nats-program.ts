// Before any test file starts: finds or builds the nats-server that tests use, once. Vitest's globalSetup.

import type { TestProject } from "vitest/node";
import { findNatsServer } from "../../nodes/index.ts";

/** Path of the program; or why there is none. */
export type NatsProgram = { readonly path: string } | { readonly missing: string };

// Vitest types what is provided by a declaration that the house does not allow, so both ends name the key and the type here.
export const NATS_PROGRAM = "natsProgram" as never;

export async function setup(project: TestProject): Promise<void> {
  const provide = (program: NatsProgram) => project.provide(NATS_PROGRAM, program as never);
  try {
    provide({ path: await findNatsServer({ say: (line) => console.error(`tests: ${line}`) }) });
  } catch (error) {
    // A check of a clean clone must not pass because its tests were left out.
    if (process.env.CI === "true") throw error;
    provide({ missing: (error as Error).message });
  }
}
