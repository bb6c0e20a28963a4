// The workspace runner as an actor: named "workspace-runner" in the namespace of services, detached, one of it. What it does is in
// workspace-runner-service.ts.
//
// WA1  Its constructor takes plain data; secrets and folders come from the host it lives on (options.ts).

import { actorContext, defineActor } from "../../runtime/index.ts";
import { ownNode } from "../own-node.ts";
import { stopWithLife } from "../service-life.ts";
import { runnerHostOptions } from "./options.ts";
import { openBackend } from "./runner-backend.ts";
import { type RunnerSettings, type RunnerSetup, runnerSetup } from "./runner-settings.ts";
import type { WorkspaceRunnerApi } from "./workspace-runner-api.ts";
import type { WorkspaceRunnerService } from "./workspace-runner-service.ts";

class WorkspaceRunnerActor implements WorkspaceRunnerApi {
  readonly #setup: RunnerSetup;
  #running: WorkspaceRunnerService | undefined;

  constructor(settings: RunnerSettings = {}) {
    const { system } = actorContext();
    const host = runnerHostOptions();
    const address = system.facts && `nats://${system.facts.server.address}`;
    const setup = runnerSetup(settings, { ...host, natsUrl: host.natsUrl ?? address });
    this.#setup = { ...setup, modelNode: setup.modelNode ?? ownNode(system)?.name };
  }

  async onStart(): Promise<void> {
    const { system, clock, random, log } = actorContext();
    const { Depot } = await import("../../tools/index.ts");
    const { StoryBranches } = await import("./story-branches.ts");
    const { WorkspaceRunnerService: Service } = await import("./workspace-runner-service.ts");
    const backend = await openBackend(this.#setup, { clock, random });
    const depot = new Depot(this.#setup.folder, new StoryBranches(system));
    const service = new Service({ system, backend, depot, setup: this.#setup, random, log });
    stopWithLife(() => service.stop());
    try {
      await service.start();
    } catch (error) {
      await service.stop();
      throw error;
    }
    this.#running = service;
  }

  async onStop(): Promise<void> {
    await this.#running?.stop();
  }

  get #service(): WorkspaceRunnerService {
    if (this.#running === undefined) throw new Error("the runner has not started");
    return this.#running;
  }

  async jobs(filter?: Parameters<WorkspaceRunnerApi["jobs"]>[0]) {
    return this.#service.jobs(filter);
  }

  async job(jobId: string) {
    return this.#service.job(jobId);
  }

  async cancel(jobId: string) {
    return this.#service.cancel(jobId);
  }

  async integrate(work: Parameters<WorkspaceRunnerApi["integrate"]>[0]) {
    return this.#service.integrate(work);
  }

  async verify(request: Parameters<WorkspaceRunnerApi["verify"]>[0]) {
    return this.#service.verify(request);
  }

  async deliver(request: Parameters<WorkspaceRunnerApi["deliver"]>[0]) {
    return this.#service.deliver(request);
  }
}

/**
 * Spawned with one RunnerSettings. Its calls wait for git and for tests, so it is spawned with a `concurrency` of 32 or so; otherwise one
 * `verify` holds up every other question.
 */
export const WorkspaceRunner = defineActor("workspace-runner", WorkspaceRunnerActor, { version: "1" });
