// What a discovery of GPUs means to somebody who looks whether a machine is sound.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, it } from "vitest";
import { gpusVerdict } from "../../../nodes/doctor/gpus.ts";
import { discoverGpus } from "../../../nodes/gpu/discovery.ts";
import { makeFolder } from "../../support/git-repository.ts";
import { gpu, H100S, says, scripted } from "../gpu/tools.ts";

const FAULT = { kind: "ecc", message: "GPU-a has 2 uncorrected errors" } as const;
const found = (...gpus: Parameters<typeof gpu>[0][]) =>
  ({
    kind: "found",
    vendor: "nvidia",
    gpus: gpus.map(gpu),
    driver: "580.1",
    tool: "nvidia-smi",
    problems: [],
  }) as const;

it("tells kinds, memory and driver", async () => {
  expect(await gpusVerdict(found({}, {}))).toEqual({
    status: "ok",
    found: "2 H100 (80.0 GiB each); driver 580.1, by nvidia-smi",
  });
  const verdict = await gpusVerdict(await discoverGpus({ run: scripted(H100S) }));
  expect(verdict.found).toMatch(/H100 .+GiB each\).*; driver \d+\.\d+.*, by nvidia-smi/);
});

it("warns of one faulty device, and fails when all are", async () => {
  expect(await gpusVerdict(found({}, { faults: [FAULT] }))).toMatchObject({
    status: "warn",
    found: expect.stringContaining(FAULT.message),
  });
  expect(await gpusVerdict(found({ faults: [FAULT] }))).toMatchObject({ status: "fail" });
});

it("fails with a tool that fails", async () => {
  const run = scripted({ "nvidia-smi": says("NVIDIA-SMI has failed: could not talk to the driver", 9) });
  expect(await gpusVerdict(await discoverGpus({ run }))).toMatchObject({
    status: "fail",
    found: expect.stringContaining("could not talk"),
    remedy: expect.stringContaining("driver"),
  });
});

it("takes none for an answer, unless a driver is there", async () => {
  await using folder = await makeFolder();
  const none = await discoverGpus({ run: scripted({}) });
  expect(await gpusVerdict(none, folder.path)).toMatchObject({
    status: "ok",
    found: expect.stringMatching(/^none \(/),
  });
  await mkdir(join(folder.path, "dev"));
  await writeFile(join(folder.path, "dev/nvidiactl"), "");
  expect(await gpusVerdict(none, folder.path)).toMatchObject({
    status: "warn",
    remedy: expect.stringContaining("nvidia-smi"),
  });
});
