// The contract on a real container engine, where this host has one with an image that has a shell: busybox:1.37, or FLOTILLA_TEST_IMAGE.

import { mkdir, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, test } from "vitest";
import { systemClock, systemRandom } from "../../../runtime/index.ts";
import { WORKSPACE_ARGUMENT } from "../../../tools/index.ts";
import { ContainerBackend } from "../../../tools/jobs/backends.ts";
import { ContainerEngine } from "../../../tools/jobs/container-engine.ts";
import { type BackendForm, workspaceBackendContract } from "../../contracts/workspace-backend.ts";
import { commandLines, countCarrying } from "../../support/command-lines.ts";
import { makeFolder } from "../../support/git-repository.ts";

const image = process.env.FLOTILLA_TEST_IMAGE || "busybox:1.37";

async function openEngine(): Promise<ContainerEngine | string> {
  try {
    const engine = await ContainerEngine.open(undefined, systemClock);
    if (await engine.hasImage(image)) return engine;
    return `the engine at ${engine.address} has no ${image}: pull it, or name another in FLOTILLA_TEST_IMAGE`;
  } catch (error) {
    return (error as Error).message;
  }
}

async function makeForm(engine: ContainerEngine): Promise<BackendForm> {
  const place = await makeFolder("flotilla-container-");
  const path = join(place.path, "workspace");
  await mkdir(path);
  await writeFile(join(path, "seed.txt"), "seed\n");
  const fleet = `t-${systemRandom.id()}`;
  const opened: ContainerBackend[] = [];
  const open = () => {
    const backend = new ContainerBackend({ clock: systemClock, fleet, image });
    opened.push(backend);
    return backend;
  };
  const name = (jobId: string) => `${fleet}.${jobId}`;
  return {
    backend: open(),
    reopen: async () => open(),
    spec: (jobId, script, more = {}) => ({
      jobId,
      labels: { story: "s", task: "t" },
      source: { kind: "folder", path },
      command: ["sh", "-c", script, "script", WORKSPACE_ARGUMENT],
      env: {},
      secretEnv: {},
      timeoutMs: 60_000,
      ...more,
    }),
    countProcesses: async (word) => countCarrying(word),
    visible: async (jobId) => JSON.stringify([commandLines(), (await engine.inspect(name(jobId)))?.labels]),
    async remains(jobId) {
      const found = [await engine.inspect(name(jobId)), await engine.volume(`${name(jobId)}.end`)];
      return found.flatMap((each) => (each === undefined ? [] : [name(jobId)]));
    },
    takeAway: (jobId) => engine.remove(name(jobId)),
    async close() {
      const last = open();
      for (const jobId of await last.list()) await (await last.find(jobId))?.remove();
      for (const backend of opened) await backend[Symbol.asyncDispose]();
      await place[Symbol.asyncDispose]();
    },
  };
}

const engine = await openEngine();

if (typeof engine === "string") {
  describe("ContainerBackend on a real engine", () => {
    test.skip(`the whole suite (skipped: ${engine})`, () => {});
  });
} else {
  workspaceBackendContract("ContainerBackend on a real engine", () => makeForm(engine), { isConcurrent: true });
}
