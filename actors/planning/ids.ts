// Ids of things that were given none. Made from the key where there is one, so that a creation that is asked for again, because its answer
// was lost, finds what the first one made.

import { createHash } from "node:crypto";
import type { Random } from "../../runtime/index.ts";

export const newId = (kind: string, key: string | undefined, random: Random): string =>
  `${kind}-${key === undefined ? random.id() : createHash("sha256").update(key).digest("hex").slice(0, 16)}`;
