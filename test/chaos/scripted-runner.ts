// A workspace runner whose agents are done at once: the runner's Api over StageRunner, as an actor of the test's process.

import { actorContext, defineActor } from "../../runtime/index.ts";
import { StageRunner } from "../actors/orchestrator/story-flow-runner.ts";

type Integrate = Parameters<StageRunner["integrate"]>[0];

export const ScriptedRunner = defineActor(
  "scripted-runner",
  class {
    #runner: StageRunner | undefined;

    async onStart(): Promise<void> {
      const { system, life } = actorContext();
      this.#runner = new StageRunner(system);
      void this.#runner.run(life).catch(() => {});
    }

    get #started(): StageRunner {
      return this.#runner as StageRunner;
    }

    integrate(work: Integrate) {
      return this.#started.integrate(work);
    }
    verify() {
      return this.#started.verify();
    }
    deliver(request: { readonly storyId: string }) {
      return this.#started.deliver(request);
    }
    job(jobId: string) {
      return this.#started.job(jobId);
    }
    /** What it was asked for and did, for the test. */
    done() {
      const { posted, merged, delivered, verified } = this.#started;
      return { posted, merged, delivered, verified };
    }
  },
);
