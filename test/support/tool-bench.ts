// Calls tools the way agents do, through runTool, against a folder: what the tests of tools share.

import { systemClock, systemRandom } from "../../runtime/index.ts";
import {
  MemoryAudit,
  openProcessWorkspace,
  type Policy,
  runTool,
  standardPolicy,
  standardTools,
  type Tool,
  ToolFailure,
  ToolRegistry,
  type ToolResult,
  type Workspace,
} from "../../tools/index.ts";

export const CALLER = { agentId: "agent-dev-001", role: "DEV", taskId: "task-1", traceId: "trace-1" } as const;

/** A workspace for tools that start no program. */
export function programlessWorkspace(root: string): Workspace {
  const exec = () => Promise.reject(new ToolFailure("no-such-program", "This workspace starts no programs."));
  return { id: "programless", root, scratch: `${root}-scratch`, sandbox: "none", exec, close: () => Promise.resolve() };
}

export interface ToolBench {
  readonly audit: MemoryAudit;
  call(tool: string, params: unknown, timeoutMs?: number): Promise<ToolResult>;
}

export function benchOn(
  workspace: Workspace,
  tools: readonly Tool[] = standardTools(),
  policy: Policy = standardPolicy,
): ToolBench {
  const audit = new MemoryAudit();
  const env = { registry: new ToolRegistry(tools), workspace, policy, audit, clock: systemClock };
  return {
    audit,
    call: (tool, params, timeoutMs = 30_000) => runTool({ tool, params, caller: CALLER, timeoutMs }, env),
  };
}

/** Opens a process workspace on `root` for the length of `use`. */
export async function withBench<T>(root: string, use: (bench: ToolBench) => Promise<T>): Promise<T> {
  const workspace = await openProcessWorkspace({ root, clock: systemClock, random: systemRandom });
  try {
    return await use(benchOn(workspace));
  } finally {
    await workspace.close();
  }
}
