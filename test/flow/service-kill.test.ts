// One story, while each service that builds it is killed once: it ends, once. The counts that the issue asks for are in
// test/chaos/services.test.ts.

import { expect, test } from "vitest";
import { SERVICE_NAMES } from "../../actors/service-handles.ts";
import { natsMissing } from "../support/nats-server.ts";
import { openServiceFleet } from "../support/service-fleet.ts";
import { ServiceProcesses } from "../support/service-processes.ts";
import { auditStories } from "../support/story-audit.ts";
import { addSecondFile, StoryTeam } from "../support/story-team.ts";
import { waitUntil } from "../support/wait-until.ts";

const missing = natsMissing();

test.skipIf(missing !== undefined)(
  `kill -9 of each service (${missing ?? "there"})`,
  { timeout: 180_000 },
  async () => {
    await using fleet = await openServiceFleet();
    await addSecondFile(fleet.repository);
    const services = new ServiceProcesses(fleet);
    await services.start();
    const team = new StoryTeam(fleet, services);
    team.finish();
    const working = team.work(1);
    const took: Record<string, number> = {};
    const kills = async () => {
      const isOut = () => team.open.some(({ tasks }) => tasks.some(({ status }) => status === "dispatched"));
      await waitUntil("a task is out", isOut, 60_000);
      for (const name of SERVICE_NAMES) took[name] = Math.round(await services.kill(name));
    };
    await Promise.all([working, kills()]);
    console.log("recovered in ms:", took);
    await auditStories(fleet.system, [...team.stories.values()], fleet.repository);
    await services.end();
    expect(services.left()).toEqual([]);
  },
);
