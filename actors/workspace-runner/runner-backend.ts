// The backend that the runner's settings name, with its options checked before anything is started.
// What each option means is in the backend's own file (tools/workspace/).

import { join } from "node:path";
import { z } from "zod";
import type { Clock, Random } from "../../runtime/index.ts";
import type { WorkspaceBackend } from "../../tools/index.ts";
import { fail } from "./errors.ts";
import type { RunnerSetup } from "./runner-settings.ts";

const name = z.string().min(1).max(500);
const bounds = { cpus: z.number().positive().exactOptional(), memoryBytes: z.int().positive().exactOptional() };
const shared = { fleet: name.exactOptional(), image: name.exactOptional(), ...bounds };

const SCHEMAS = {
  process: z.strictObject({}),
  container: z.strictObject({
    ...shared,
    engine: name.exactOptional(),
    network: name.exactOptional(),
    processesMax: z.int().positive().exactOptional(),
    user: name.exactOptional(),
  }),
  kubernetes: z.strictObject({
    ...shared,
    kubeconfig: name.exactOptional(),
    context: name.exactOptional(),
    namespace: name.exactOptional(),
    cloneImage: name.exactOptional(),
    imagePullSecrets: z.array(name).exactOptional(),
    secrets: z.array(name).exactOptional(),
    gitSecret: name.exactOptional(),
    serviceAccount: name.exactOptional(),
    nodeSelector: z.record(z.string(), z.string()).exactOptional(),
    workspaceBytes: z.int().positive().exactOptional(),
    startWithinMs: z.int().positive().exactOptional(),
    keepEndedS: z.int().positive().exactOptional(),
  }),
};

type Host = { readonly clock: Clock; readonly random: Random };

/** Throws RunnerSettingInvalid, and what making the backend throws. */
export async function openBackend(setup: RunnerSetup, { clock, random }: Host): Promise<WorkspaceBackend> {
  const { ContainerBackend, KubernetesBackend, ProcessBackend } = await import("../../tools/index.ts");
  // Which fleet's jobs they are is ours to say; the rest is theirs to understand.
  const fleet = setup.prefix === undefined ? {} : { fleet: setup.prefix.toLowerCase().replaceAll("_", "-") };
  switch (setup.backend) {
    case "process":
      checked("process", setup);
      return new ProcessBackend({ folder: join(setup.folder, "jobs"), clock, random });
    case "container":
      return new ContainerBackend({ ...fleet, ...checked("container", setup), clock });
    case "kubernetes":
      return new KubernetesBackend({ ...fleet, ...checked("kubernetes", setup), clock });
  }
}

function checked<Kind extends keyof typeof SCHEMAS>(kind: Kind, { backendOptions }: RunnerSetup) {
  const parsed = SCHEMAS[kind].safeParse(backendOptions);
  if (parsed.success) return parsed.data as z.output<(typeof SCHEMAS)[Kind]>;
  const [issue] = parsed.error.issues;
  const path = ["backendOptions", ...(issue?.path ?? [])].join(".");
  throw fail("RunnerSettingInvalid", `The runner's setting ${path} of the ${kind} backend: ${issue?.message}.`);
}
