// What a thread prints, taken where it is printed: Node would keep it all until the thread's loop turns, and then hand it to the node in one piece.
// What is written to the descriptors 1 and 2 past `process.stdout` and `process.stderr` (by native code) goes where the node's own output goes.

import { Writable } from "node:stream";
import { OutputLines, type OutputStream } from "./output.ts";

/** Has `take` get each line that is printed on this thread from now on; also what nobody has caught, which a process prints by itself. */
export function takeThreadOutput(take: (stream: OutputStream, line: string) => void): void {
  takeStream("stdout", take);
  const errors = takeStream("stderr", take);
  process.on("uncaughtExceptionMonitor", (error) => void errors.write(`${error?.stack ?? String(error)}\n`));
}

function takeStream(stream: OutputStream, take: (stream: OutputStream, line: string) => void): Writable {
  const lines = new OutputLines((line) => take(stream, line));
  const taken = new Writable({
    write(chunk: Uint8Array, _, done) {
      lines.write(chunk);
      done();
    },
  });
  Object.defineProperty(process, stream, { value: taken });
  process.once("exit", () => lines.end());
  return taken;
}
