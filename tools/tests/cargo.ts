// tests.cargo: `cargo test` with the test harness's JSON, which stable Rust gives only to a program told to act like nightly.
// So the tests are built first, as they are, and only then run with RUSTC_BOOTSTRAP=1: nothing is compiled with it but doc tests.
// A target with a harness of its own (`harness = false`) has no JSON; only its exit status counts.

import { access, rm } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { defineTool, type ToolContext, type ToolOutput } from "../tool.ts";
import { jsonLines, LINES_MAX_BYTES } from "./json-lines.ts";
import { judge, type ReadReport, type TestCase } from "./report.ts";
import { endOf, filterInput, outputOf, SUITE_BOUNDS, start } from "./run-suite.ts";

/** Status of a test program with failures; cargo passes it on. */
const FAILED_STATUS = 101;
const OUTCOMES = { ok: "passed", failed: "failed", ignored: "skipped" } as const;

const line = z.discriminatedUnion("type", [
  z.object({ type: z.literal("suite"), event: z.enum(["started", "ok", "failed"]) }),
  z.object({
    type: z.literal("test"),
    event: z.enum(["started", "ok", "failed", "ignored", "timeout"]),
    name: z.string(),
    stdout: z.string().default(""),
    message: z.string().default(""),
  }),
]);

/** The cases in the harness's events; never throws. */
export function parseCargo(stdout: string): ReadReport {
  const cases: TestCase[] = [];
  let open = 0;
  for (const said of jsonLines(stdout, line)) {
    if (said.type === "suite") open += said.event === "started" ? 1 : -1;
    else if (said.event !== "started" && said.event !== "timeout") {
      const outcome = OUTCOMES[said.event];
      cases.push({
        name: said.name,
        outcome,
        message: outcome === "failed" ? `${said.message}\n${said.stdout}`.trim() : "",
      });
    }
  }
  if (open > 0) return { kind: "unreadable", reason: "crashed: a test program ended before its tests did", cases };
  return { kind: "cases", cases };
}

async function runCargo(context: ToolContext, filter: string | undefined): Promise<ToolOutput> {
  const common = {
    program: "cargo",
    env: {
      CARGO_TARGET_DIR: join(context.workspace.scratch, "cargo-target"),
      CARGO_NET_OFFLINE: "true",
      CARGO_TERM_COLOR: "never",
      RUST_BACKTRACE: "0",
    },
    outputMaxBytes: LINES_MAX_BYTES,
    remedy: "install Rust from https://rustup.rs",
  };
  const built = await start(context, { ...common, args: ["test", "--no-run"] });
  if (built.exitCode !== 0) {
    return outputOf(
      judge("cargo", endOf(built, FAILED_STATUS), { kind: "unreadable", reason: "could not build the tests" }),
      built,
    );
  }
  const run = await start(context, {
    ...common,
    args: [
      "test",
      "--no-fail-fast",
      "--",
      "-Z",
      "unstable-options",
      "--format",
      "json",
      ...(filter === undefined ? [] : [filter]),
    ],
    env: { ...common.env, RUSTC_BOOTSTRAP: "1" },
  });
  const tooLong: ReadReport = { kind: "unreadable", reason: `wrote more than ${LINES_MAX_BYTES} bytes of output` };
  return outputOf(judge("cargo", endOf(run, FAILED_STATUS), run.truncated ? tooLong : parseCargo(run.stdout)), run);
}

export const cargoTool = defineTool({
  name: "tests.cargo",
  description: "Runs Rust tests (`cargo test`) and reports counts and failing tests.",
  input: z.strictObject({ filter: filterInput.describe("Part of a test's name.") }),
  ...SUITE_BOUNDS,
  async run({ filter }, context) {
    const lock = join(context.workspace.root, "Cargo.lock");
    const hadLock = await access(lock).then(
      () => true,
      () => false,
    );
    try {
      return await runCargo(context, filter);
    } finally {
      // A library that keeps no lock file must not find one in its diff.
      if (!hadLock) await rm(lock, { force: true });
    }
  },
});
