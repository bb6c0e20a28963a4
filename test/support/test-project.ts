// A small project in a temp folder and a real workspace on it: what the tests of the tests tools run against.

import { access, mkdir, mkdtemp, readdir, realpath, rm, writeFile } from "node:fs/promises";
import { tmpdir } from "node:os";
import { delimiter, dirname, join } from "node:path";
import { systemClock, systemRandom } from "../../runtime/index.ts";
import { MemoryAudit } from "../../tools/audit.ts";
import { toolsOptions } from "../../tools/options.ts";
import { ToolRegistry } from "../../tools/registry.ts";
import { runTool } from "../../tools/run-tool.ts";
import { type TestReport, testTools } from "../../tools/tests/index.ts";
import type { ToolResult } from "../../tools/tool.ts";
import { openProcessWorkspace } from "../../tools/workspace/process-workspace.ts";
import type { Sandbox } from "../../tools/workspace/workspace.ts";

export interface SuiteRun {
  readonly result: ToolResult;
  /** Undefined when the tool refused to run. */
  readonly report: TestReport | undefined;
  /** What the run left in the checkout, relative paths. */
  readonly leftovers: readonly string[];
}

export interface SuiteRequest {
  readonly files: Readonly<Record<string, string>>;
  readonly tool: string;
  readonly params?: Readonly<Record<string, unknown>>;
  readonly timeoutMs?: number;
  readonly signal?: AbortSignal;
  /** Search path for programs; the machine's own unless given. */
  readonly path?: string;
  readonly sandbox?: "auto" | Sandbox;
  /** Where Go keeps what it has built; the workspace's own, empty cache unless given. */
  readonly goCache?: string;
  /** Called with the checkout before the run: links, modes, large files. */
  readonly prepare?: (root: string) => Promise<void>;
}

/** Runs one tests tool on a project made of `files`, the whole tool path included. */
export async function runProject(request: SuiteRequest): Promise<SuiteRun> {
  const folder = await realpath(await mkdtemp(join(tmpdir(), "flotilla-suite-")));
  const root = join(folder, "checkout");
  await writeFiles(root, request.files);
  await request.prepare?.(root);
  const options = toolsOptions();
  const toolchains = request.goCache === undefined ? {} : { GOCACHE: request.goCache };
  const workspace = await openProcessWorkspace({
    root,
    scratchParent: folder,
    clock: systemClock,
    random: systemRandom,
    sandbox: request.sandbox ?? "auto",
    options: { ...options, path: request.path ?? options.path, toolchains: { ...options.toolchains, ...toolchains } },
  });
  try {
    const before = await filesIn(root);
    const result = await runTool(
      {
        tool: request.tool,
        params: request.params ?? {},
        caller: { agentId: "a1", role: "DEV", taskId: "t1", traceId: "x1" },
        ...(request.timeoutMs === undefined ? {} : { timeoutMs: request.timeoutMs }),
        ...(request.signal === undefined ? {} : { signal: request.signal }),
      },
      {
        registry: new ToolRegistry(testTools),
        workspace,
        policy: { rules: [{ id: "all", effect: "allow", roles: ["*"], tools: ["*"], reason: "a test" }] },
        audit: new MemoryAudit(),
        clock: systemClock,
      },
    );
    const leftovers = (await filesIn(root)).filter((path) => !before.includes(path));
    return { result, report: result.data.report as TestReport | undefined, leftovers };
  } finally {
    await workspace.close();
    await rm(folder, { recursive: true, force: true });
  }
}

/** Writes files by relative path, making their folders. */
export async function writeFiles(root: string, files: Readonly<Record<string, string>>): Promise<void> {
  await mkdir(root, { recursive: true });
  for (const [path, text] of Object.entries(files)) {
    await mkdir(dirname(join(root, path)), { recursive: true });
    await writeFile(join(root, path), text);
  }
}

async function filesIn(root: string): Promise<readonly string[]> {
  return (await readdir(root, { recursive: true })).filter((path) => !path.startsWith("node_modules"));
}

/** Whether a program is on the machine's search path: a test that needs it skips otherwise. */
export async function hasProgram(program: string): Promise<boolean> {
  const tries = toolsOptions()
    .path.split(delimiter)
    .map((folder) =>
      access(join(folder, program)).then(
        () => true,
        () => false,
      ),
    );
  return (await Promise.all(tries)).includes(true);
}

/** A title that says why its tests are skipped where they are. */
export const titleFor = (title: string, able: boolean, lack: string) => (able ? title : `${title} (skipped: ${lack})`);
