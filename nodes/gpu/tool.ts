// The port to a vendor's tool: what each of nvidia-smi, amd-smi and rocm-smi can be asked. One file has each form.
//
// TL1  It never rejects, and it tells what it could read even where part of it failed: `problems` has the rest in words.
// TL2  `refresh` is cheap: it asks for what changes. It returns the devices that answered, of those it is given; a missing one did not.

import type { Gpu, GpuVendor } from "./gpu.ts";
import type { RunTool } from "./tool-run.ts";

export type ToolAnswer =
  | {
      readonly kind: "found";
      readonly gpus: readonly Gpu[];
      readonly driver: string;
      readonly problems: readonly string[];
    }
  | { readonly kind: "none"; readonly why: string }
  | { readonly kind: "failed"; readonly why: string };

export interface GpuTool {
  readonly program: string;
  readonly vendor: GpuVendor;
  /** How often it may be asked: some are interpreted programs that take a second of a core. */
  readonly everyMs: number;
  discover(run: RunTool): Promise<ToolAnswer>;
  refresh(run: RunTool, gpus: readonly Gpu[]): Promise<ToolAnswer>;
}
