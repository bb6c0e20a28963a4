// The runner as an actor: found by its name, answering as its service does, refusing what it cannot be.

import { afterEach, expect, it, vi } from "vitest";
import { runnerOf, SERVICES } from "../../../actors/service-handles.ts";
import { WorkspaceRunner } from "../../../actors/workspace-runner/workspace-runner.ts";
import { connect } from "../../../runtime/index.ts";
import { makeFolder } from "../../support/git-repository.ts";

afterEach(() => vi.unstubAllEnvs());

it("is found by its name and answers; what it cannot be is refused by name", async () => {
  await using folder = await makeFolder("flotilla-runner-");
  vi.stubEnv("FLOTILLA_SERVICES", folder.path);
  vi.stubEnv("FLOTILLA_SERVERS", "nats://user:secret@127.0.0.1:4222");
  await using system = await connect();
  const place = { name: "workspace-runner", namespace: SERVICES, concurrency: 32 };
  await system.spawn(WorkspaceRunner, { ...place, args: [{ backend: "process" }] });
  expect(await runnerOf(system).jobs()).toEqual([]);
  await expect(runnerOf(system).job("none")).rejects.toMatchObject({ code: "JobUnknown" });
  const wrong = system.spawn(WorkspaceRunner, { args: [{ runningMax: 0 }] });
  await expect(wrong).rejects.toThrow(/runningMax/);
});
