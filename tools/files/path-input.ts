// The path parameter that all file tools share.

import { z } from "zod";

export const pathInput = z.string().describe("Path relative to the root of the workspace, with / between names");
