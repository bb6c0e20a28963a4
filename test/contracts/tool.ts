// What every tool keeps to, whatever it does. A case is a call that works in the repository the suite is given.

import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, test } from "vitest";
import { z } from "zod";
import { systemClock } from "../../runtime/index.ts";
import { MemoryAudit, type Policy, runTool, type Tool, ToolRegistry, toolSchemas } from "../../tools/index.ts";
import { snapshot } from "../support/folder-snapshot.ts";
import { makeRepository } from "../support/git-repository.ts";
import { CALLER, programlessWorkspace, withBench } from "../support/tool-bench.ts";

export interface ToolCase {
  readonly files: Readonly<Record<string, string>>;
  /** Parameters of a call that ends `ok`; undefined when the call needs something this machine may lack. */
  readonly params: Readonly<Record<string, unknown>> | undefined;
}

const open: Policy = { rules: [{ id: "open", effect: "allow", roles: ["*"], tools: ["*"], reason: "Contract." }] };

/** Runs before anything of the tool does: a programless workspace shows that nothing was started. */
function refusedCall(tool: Tool, params: unknown, signal?: AbortSignal) {
  const registry = new ToolRegistry([tool]);
  const env = {
    registry,
    workspace: programlessWorkspace("/nowhere"),
    policy: open,
    audit: new MemoryAudit(),
    clock: systemClock,
  };
  return runTool({ tool: tool.name, params, caller: CALLER, ...(signal && { signal }) }, env);
}

export function toolContract(tool: Tool, { files, params }: ToolCase): void {
  const [shown] = toolSchemas([tool]);
  const schema = z
    .object({ type: z.literal("object"), properties: z.record(z.string(), z.unknown()) })
    .parse(shown?.schema);

  describe(tool.name, () => {
    test("says what it does in one short line of whole sentences", () => {
      expect(tool.description).toMatch(/^[A-Z][^\n]{10,300}\.$/);
    });

    test("has bounds: time, output, and a risk that fits its side effects", () => {
      expect(tool.timeoutMs).toBeGreaterThan(0);
      expect(tool.timeoutMs).toBeLessThanOrEqual(600_000);
      expect(tool.outputMaxBytes).toBeGreaterThanOrEqual(1_024);
      expect(tool.outputMaxBytes).toBeLessThanOrEqual(1024 * 1024);
      expect(tool.risk === "read").toBe(tool.sideEffects === "none");
    });

    test("shows a model every parameter with its type, and nothing open (T1)", () => {
      expect(shown?.schema.additionalProperties).toBe(false);
      for (const property of Object.values(schema.properties))
        expect(property).toMatchObject({ type: expect.any(String) });
    });

    test("refuses an unknown parameter, a null for each known one, and no object at all", async () => {
      expect(await refusedCall(tool, { ...params, unknownParameter: 1 })).toMatchObject({ outcome: "invalid" });
      for (const name of Object.keys(schema.properties)) {
        expect(await refusedCall(tool, { ...params, [name]: null })).toMatchObject({ outcome: "invalid" });
      }
      for (const wrong of [undefined, null, "x", 1, []])
        expect(await refusedCall(tool, wrong)).toMatchObject({ outcome: "invalid" });
    });

    if (params === undefined) return;

    test("a cancelled call does nothing", async () => {
      expect(await refusedCall(tool, params, AbortSignal.abort())).toMatchObject({ outcome: "cancelled" });
    });

    test("works, and a tool that only reads changes nothing", { timeout: 60_000 }, async () => {
      await using repository = await makeRepository({ files });
      const before = await snapshot(repository.path);
      await withBench(repository.path, async (bench) => {
        const result = await bench.call(tool.name, params);
        expect(result).toMatchObject({ outcome: "ok", tool: tool.name, truncated: false });
        expect(Object.keys(result.data).length).toBeGreaterThan(0);
        expect(structuredClone(result.data)).toEqual(result.data);
        expect(bench.audit.entries()).toMatchObject([{ tool: tool.name, outcome: "ok" }]);
      });
      if (tool.sideEffects === "none") expect(await snapshot(repository.path)).toEqual(before);
    });

    const pathParameters = Object.keys(schema.properties).filter((name) =>
      /^(path|paths|other|folder|junit)$/.test(name),
    );
    if (pathParameters.length === 0) return;
    test("takes no path that leaves the workspace or enters .git", { timeout: 60_000 }, async () => {
      await using repository = await makeRepository({ files });
      const config = () => readFile(join(repository.path, ".git/config"), "utf8");
      const before = await config();
      await withBench(repository.path, async (bench) => {
        for (const name of pathParameters) {
          for (const bad of ["../x", "/etc/hostname", ".git/config", ".GIT/config", "a\0b"]) {
            const value = Array.isArray(params[name]) || name === "paths" ? [bad] : bad;
            const { outcome, error } = await bench.call(tool.name, { ...params, [name]: value });
            expect(outcome).toMatch(/^(failed|invalid|denied)$/);
            expect(error?.code).toMatch(/^(outside-workspace|invalid-path|git-internals|invalid-params|denied)$/);
          }
        }
      });
      expect(await config()).toBe(before);
    });
  });
}
