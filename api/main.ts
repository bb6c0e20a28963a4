#!/usr/bin/env node
// The program `flotilla`: ties the command line (cli.ts) to this process.
//
// P1  The first signal cancels and lets the command clean up; the second one ends the process at once.
// P2  The status is set and not forced, so that output still on its way to a slow reader arrives.

import { constants } from "node:os";
import { runCli } from "./cli.ts";

const stop = new AbortController();
for (const name of ["SIGINT", "SIGTERM", "SIGHUP"] as const) {
  const status = 128 + constants.signals[name];
  process.on(name, () => (stop.signal.aborted ? process.exit(status) : stop.abort(status)));
}
// A reader that leaves early (`| head`) ends the work in order: ending at once would leave clones and processes behind.
process.stdout.on("error", () => stop.abort(128 + constants.signals.SIGPIPE));

process.exitCode = await runCli(process.argv.slice(2), {
  out: process.stdout,
  err: process.stderr,
  signal: stop.signal,
});
