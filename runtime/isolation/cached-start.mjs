// `node cached-start.mjs FOLDER MODULE`: runs a module with its compiled code, and that of all it imports, kept in FOLDER.
// Every process after the first starts in a third of the time: most of it would go into stripping types and compiling the same files again.
// The one file that is no TypeScript, because what strips types takes longer to load than all the rest.

import { enableCompileCache } from "node:module";

const [, , folder, module] = process.argv;
enableCompileCache(folder);
await import(module);
