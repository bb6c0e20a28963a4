// The process that stands between a job and whoever asked for it: a few lines of shell that outlive their caller, run the program, keep what it
// prints within bounds and write down its end.
//
//     <folder>/started      "pid start", made by whoever makes it first: only that supervisor runs the program
//              stdout.log   the first OUTPUT_MAX_BYTES of it; stderr.log likewise
//              exit         the program's status, written whole
//
// JS1  The program is run by the supervisor that has made `started`, and by none other: so starting one twice is harmless, and so is a crash
//      between asking for a start and knowing of it.
// JS2  SIGTERM is passed on to the program alone: those who read its output, and what it has started itself, are ended by it or after it.

import { spawn } from "node:child_process";
import { readFileSync } from "node:fs";

/** Kept of each stream. */
export const OUTPUT_MAX_BYTES = 16 * 1_024 * 1_024;
/** Unit of the shell's limit on a file's size. */
const BLOCK_BYTES = 512;

const SCRIPT = `
set -f
folder=$1 blocks=$2
shift 2
twentieth() { shift 19; start=$1; }
read -r stat < "/proc/$$/stat" && twentieth \${stat##*) }
set -C
echo "$$ $start" > "$folder/started" || exit 0
set +C
mkfifo "$folder/out" "$folder/err" || exit 1
keep() {
  trap '' XFSZ
  (ulimit -f "$blocks"; exec cat > "$folder/$1.log")
  exec cat > /dev/null
}
keep stdout < "$folder/out" &
keep stderr < "$folder/err" &
"$@" > "$folder/out" 2> "$folder/err" < /dev/null &
program=$!
told=1
trap 'told=1; kill -TERM "$program"' TERM
while [ "$told" ]; do told=; wait "$program"; status=$?; done
echo "$status" > "$folder/exit.new" && mv "$folder/exit.new" "$folder/exit"
wait
`;

export interface Supervised {
  /** The job's own folder. */
  readonly folder: string;
  readonly command: readonly string[];
  readonly cwd: string;
  /** The whole environment. */
  readonly env: Readonly<Record<string, string>>;
}

/** Starts a supervisor in a session of its own and leaves it. `failed` is called when there is no shell to run it. */
export function startSupervisor({ folder, command, cwd, env }: Supervised, failed: (error: Error) => void): void {
  const args = ["-c", SCRIPT, "flotilla-job", folder, String(OUTPUT_MAX_BYTES / BLOCK_BYTES), ...command];
  const child = spawn("/bin/sh", args, { cwd, env, detached: true, stdio: "ignore" });
  child.on("error", failed);
  child.unref();
}

/** A process by its number and its start, which no later process of that number shares. */
export interface ProcessIdentity {
  readonly pid: number;
  /** In clock ticks since the machine's start; "" where the machine does not tell. */
  readonly start: string;
}

/** "running", "gone", or "reused": the number is another process's now. */
export function lookFor({ pid, start }: ProcessIdentity): "running" | "gone" | "reused" {
  let stat: string;
  try {
    stat = readFileSync(`/proc/${pid}/stat`, "latin1");
  } catch {
    return start === "" && isThere(pid) ? "running" : "gone";
  }
  const [state, ...rest] = stat.slice(stat.lastIndexOf(")") + 2).split(" ");
  if (start !== "" && rest[18] !== start) return "reused";
  return state === "Z" || state === "X" ? "gone" : "running";
}

function isThere(pid: number): boolean {
  try {
    return process.kill(pid, 0);
  } catch {
    return false;
  }
}
