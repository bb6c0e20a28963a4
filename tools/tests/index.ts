// The tests family of tools, and what others need to read its reports.

import type { Tool } from "../tool.ts";
import { cargoTool } from "./cargo.ts";
import { goTool } from "./go.ts";
import { makeTool } from "./make.ts";
import { nodeTool } from "./node.ts";
import { npmTool } from "./npm.ts";
import { pytestTool } from "./pytest.ts";

export { detectRunners, type RunnerName } from "./detect.ts";
export { summaryOf, type TestCounts, type TestFailure, type TestReport } from "./report.ts";

export const testTools: readonly Tool[] = [pytestTool, nodeTool, npmTool, goTool, cargoTool, makeTool];
