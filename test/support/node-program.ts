// A node of a fleet as a process of its own, for tests that end, pause and restart processes: `node node-program.ts`. It is no test.
//
//     stdin   one line of JSON (NodeStart), then nothing; its end is the end of this process, so that no test leaves one behind
//     stdout  lines of JSON: { ready: { node } }, { log: LogLine } …, { failed: text }
//
// SIGTERM closes it in order, as a service manager does.

import { createInterface } from "node:readline";
import { type ConnectOptions, connect, loadActorModule } from "../../runtime/index.ts";

export interface NodeStart {
  /** Path of a module that exports actor types. */
  readonly actors: string;
  readonly connect: Omit<ConnectOptions, "actors" | "log">;
}

const say = (line: object): void => void process.stdout.write(`${JSON.stringify(line)}\n`);

async function run({ actors, connect: options }: NodeStart): Promise<void> {
  const types = await loadActorModule(actors);
  const system = await connect({ ...options, actors: types, log: (log) => say({ log }) });
  process.once("SIGTERM", () => {
    system.close().then(
      () => process.exit(0),
      (error: unknown) => {
        say({ failed: String(error) });
        process.exit(1);
      },
    );
  });
  say({ ready: { node: system.node } });
}

const lines = createInterface({ input: process.stdin });
lines.once("line", (line) => {
  run(JSON.parse(line) as NodeStart).catch((error: unknown) => {
    say({ failed: String(error) });
    process.exit(1);
  });
});
lines.once("close", () => process.exit(0));
