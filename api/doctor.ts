// `flotilla doctor`: looks at this machine and, with --servers, at a fleet, and says how to mend what is wrong. The looking: nodes/doctor/.
//
// DR1  Status 0 when nothing failed (warnings may be there), 1 when something did.
// DR2  Checks are shown in their order, each as soon as those before it have ended; what takes long is named on stderr.
// DR3  With --json stdout holds one object, written at the end.

import type { Command } from "commander";
import { type Check, type CheckStatus, doctorPlans, examine } from "../nodes/index.ts";
import { systemClock } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { addFleetFlags } from "./fleet-flags.ts";
import { type DoctorChoice, type DoctorFlags, doctorOptions, wantsColour } from "./options.ts";
import { makePaper, type Paper, plain, wrap } from "./paper.ts";

const COLUMNS = 80;
/** After it those that still look are named. */
const SLOW_MS = 2_000;

export function addDoctorCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  addFleetFlags(
    program.command("doctor").description("check this machine and its way to a fleet, and say how to mend it"),
  )
    .option("--adopt <urls...>", "model servers to look at: http://127.0.0.1:8000")
    .option("--folder <path>", "where data is to be kept (default: the cache of flotilla)")
    .option("--json", "print one JSON object and nothing else")
    .allowExcessArguments(false)
    .action(async (flags: DoctorFlags) => done(await doctorCommand(doctorOptions(flags), terminal)));
}

async function doctorCommand({ json, ...options }: DoctorChoice, { out, err, signal }: Terminal): Promise<number> {
  const paper = makePaper(out.columns ?? COLUMNS, !json && wantsColour(out.isTTY === true));
  const plans = doctorPlans(options);
  const width = Math.max(...plans.map(({ title }) => title.length));
  const ended = new Map<string, Check>();
  let shown = 0;
  const show = (check: Check) => {
    ended.set(check.id, check);
    for (; shown < plans.length; shown++) {
      const next = ended.get(plans[shown]?.id ?? "");
      if (next === undefined) return;
      if (!json) out.write(checkText(next, width, paper));
    }
  };
  const slow = systemClock.schedule(SLOW_MS, () => {
    const late = plans.filter(({ id }) => !ended.has(id));
    err.write(
      `flotilla: still asking: ${late.map(({ title, limitMs }) => `${title} (up to ${limitMs / 1_000} s)`).join(", ")} …\n`,
    );
  });
  const checks = await examine({ ...options, signal, onCheck: show }).finally(() => slow.cancel());
  signal.throwIfAborted();
  const isSound = checks.every(({ status }) => status !== "fail");
  if (json) out.write(`${JSON.stringify({ ok: isSound, checks })}\n`);
  else out.write(`\n${countText(checks)}\n`);
  return isSound ? 0 : 1;
}

const SIGNS = { ok: "ok", warn: "warn", fail: "FAIL", skipped: "-" } satisfies Record<CheckStatus, string>;
const SIGN_WIDTH = 4;
const REMEDY_SIGN = "→ ";

/** What was found beside its title, and below it what to do, within the paper's width. */
export function checkText(
  { status, title, found, remedy }: Check,
  titleWidth: number,
  { columns, colour }: Paper,
): string {
  const sign = SIGNS[status].padEnd(SIGN_WIDTH);
  const coloured = { ok: colour.green, warn: colour.yellow, fail: colour.red, skipped: colour.dim }[status](sign);
  const margin = SIGN_WIDTH + titleWidth + 4;
  const room = columns - margin;
  const [first = "", ...rest] = wrap(found, room);
  const head = `${coloured}  ${plain(title).padEnd(titleWidth)}  ${first}`;
  const what = wrap(remedy ?? "", room - REMEDY_SIGN.length).map((line, at) => (at === 0 ? REMEDY_SIGN : "  ") + line);
  const below = [...rest, ...what.map((line) => colour.cyan(line))].map((line) => " ".repeat(margin) + line);
  return `${[head, ...below].join("\n")}\n`;
}

function countText(checks: readonly Check[]): string {
  const count = (status: CheckStatus) => checks.filter((check) => check.status === status).length;
  const many = (number: number, word: string) => `${number} ${word}${number === 1 ? "" : "s"}`;
  return [
    `${count("ok")} ok`,
    many(count("warn"), "warning"),
    many(count("fail"), "failure"),
    `${count("skipped")} skipped`,
  ].join(", ");
}
