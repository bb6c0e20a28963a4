// Where the chaos tests' parts are.

import { join } from "node:path";
import { ROOT } from "../tidy/source.ts";

/** The module of actor types that every node process loads. */
export const ACTORS = join(ROOT, "test/chaos/actors.ts");
