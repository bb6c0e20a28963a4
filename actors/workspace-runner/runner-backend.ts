// The backend that the runner's settings name. What its options mean, and whether they are right, is the backend's own affair.

import { join } from "node:path";
import type { Clock, Random } from "../../runtime/index.ts";
import {
  type ContainerBackendOptions,
  type KubernetesBackendOptions,
  loadBackends,
  type WorkspaceBackend,
} from "../../tools/index.ts";
import { fail } from "./errors.ts";
import type { RunnerSetup } from "./runner-settings.ts";

type Host = { readonly clock: Clock; readonly random: Random };

/** Throws RunnerSettingInvalid for options that a backend does not take, JobRefused for values that are wrong. */
export async function openBackend(setup: RunnerSetup, { clock, random }: Host): Promise<WorkspaceBackend> {
  const { backend, backendOptions, prefix, folder } = setup;
  const { ContainerBackend, KubernetesBackend, ProcessBackend } = await loadBackends();
  // The runner removes jobs that it does not know: those of other fleets must not look like its own.
  const fleet = prefix === undefined ? {} : { fleet: prefix.toLowerCase().replaceAll("_", "-") };
  const options = { ...fleet, ...backendOptions, clock };
  switch (backend) {
    case "process":
      if (Object.keys(backendOptions).length > 0)
        throw fail("RunnerSettingInvalid", "The runner's setting backendOptions: processes of the host take none.");
      return new ProcessBackend({ folder: join(folder, "jobs"), clock, random });
    case "container":
      return new ContainerBackend(options as ContainerBackendOptions);
    case "kubernetes":
      return new KubernetesBackend(options as KubernetesBackendOptions);
  }
}
