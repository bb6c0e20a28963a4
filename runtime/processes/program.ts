// The program that an actor's own process runs: `node program.ts FOLDER`. Compiled code is kept in FOLDER, so that every process after the
// first starts in a third of the time: most of it would go into stripping types and compiling the same files again.

import { enableCompileCache, flushCompileCache } from "node:module";

const [, , folder] = process.argv;
if (folder !== undefined) enableCompileCache(folder);
const { runActorProcess } = await import("./actor-process.ts");
await runActorProcess(flushCompileCache);
