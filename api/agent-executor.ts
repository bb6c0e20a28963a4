// `flotilla agent-executor`: the program inside a workspace. It joins the fleet, works on one task, posts its result and ends.
// What it does in between: actors/agent-executor.ts. Who starts it: the workspace runner, or a person.
//
// AE1  Status 0: the result is posted, also one that says that the agent has failed. 1: there is none, and why is in one sentence on stderr.
//      3: another executor of this job is at work (AX2). 143: it was told to stop, and its processes have ended.
// AE2  The agent is loaded while the fleet is joined: both take their time, and most of it is waiting.

import type { Command } from "commander";
import { loadExecutor } from "../actors/index.ts";
import { connect, isFlotillaError, systemClock, systemRandom } from "../runtime/index.ts";
import type { Terminal } from "./cli.ts";
import { type ExecutorFlags, type ExecutorOptions, executorOptions, TEXT_HELP } from "./executor/options.ts";
import { makePaper, plain } from "./paper.ts";
import { progressLine } from "./progress.ts";

const SECOND_COPY = 3;
const COLUMNS = 160;

export function addAgentExecutorCommand(program: Command, terminal: Terminal, done: (status: number) => void): void {
  program
    .command("agent-executor")
    .description("work on one task in this workspace and post the result to the fleet; started by the workspace runner")
    .option("--task-id <id>", "of the task, within its story (required)")
    .option("--story-id <id>", "of the story (default: none)")
    .option("--attempt <number>", "which try of the task it is (default: 1)")
    .option("--job-id <id>", "names it in the fleet, alone (default: story, task and attempt)")
    .option("--agent-id <name>", "who works (default: agent-<role>-001)")
    .option("--role <name>", "role of the agent (default: DEV)")
    .option("--task <text>", "what to do (required)")
    .option("--context <text>", "what else the fleet knows about it")
    .option("--workspace <folder>", "a clone; or an empty folder, with --repo (required)")
    .option("--repo <path-or-url>", "what to clone into an empty workspace")
    .option("--branch <name>", "branch to clone (default: what its HEAD names)")
    .option("--base <commit>", "commit to start from (default: where the clone stands)")
    .option("--bundle <hash>", "blob with the commits between the clone and --base")
    .option("--nats-url <addresses>", "NATS servers of the fleet, nats://host:4222,… (FLOTILLA_SERVERS)")
    .option("--prefix <name>", "begins the fleet's names on the server (FLOTILLA_PREFIX)")
    .option("--creds <file>", "NATS credentials file (FLOTILLA_CREDS)")
    .option("--model <name>", "model of a node, with --model-url of that server, or mock (FLOTILLA_MODEL)")
    .option("--model-url <url>", "OpenAI-compatible server (FLOTILLA_MODEL_URL)")
    .option("--model-node <name>", "node of this machine whose model servers are asked")
    .option("--timeout <duration>", "all the time there is (default: 10m)")
    .addHelpText("after", TEXT_HELP)
    .allowExcessArguments(false)
    .action(async (flags: ExecutorFlags) => done(await runExecutor(executorOptions(flags), terminal)));
}

async function runExecutor({ fleet, name, order }: ExecutorOptions, terminal: Terminal): Promise<number> {
  const { out, err, signal } = terminal;
  const startMs = systemClock.monotonic();
  const say = (line: string) => void out.write(`${line}\n`);
  try {
    const loading = loadExecutor();
    await using system = await connect({ ...fleet, name });
    const executeTask = await loading;
    signal.throwIfAborted();
    const paper = makePaper(COLUMNS, false);
    const result = await executeTask(system, order, {
      ...{ clock: systemClock, random: systemRandom, signal },
      onProgress(progress) {
        const event = { kind: "agent", agentId: order.agentId, progress } as const;
        const line = progressLine(event, systemClock.monotonic() - startMs, paper);
        if (line !== undefined) say(line);
      },
      log: (_, message) => say(message),
    });
    say(
      `posted: ${result.finalState}${result.error === null ? "" : `, ${result.error.code}: ${result.error.message}`}`,
    );
    return 0;
  } catch (error) {
    if (!isFlotillaError(error, "NodeNameTaken")) throw error;
    err.write(`flotilla: ${plain(error.message)}\n`);
    return SECOND_COPY;
  }
}
