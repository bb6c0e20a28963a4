#!/usr/bin/env node
// The program `flotilla` (main.ts) with its compiled code kept from one start to the next, in the project's cache: half of a start would go
// into stripping types and compiling the same files again, and what strips them holds 18 MB for as long as the process lives.
// No TypeScript for that very reason. Where the folder cannot be written Node goes on without it.

import { enableCompileCache } from "node:module";
import { homedir } from "node:os";
import { join } from "node:path";

enableCompileCache(join(process.env.FLOTILLA_CACHE || join(homedir(), ".cache", "flotilla"), "compiled"));
await import("./main.ts");
