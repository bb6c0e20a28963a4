// The services of a fleet, their door, agents and the server between them, each killed ten times in the middle of stories that are built: every
// story still ends, once. `npm run test:chaos` runs it; CHAOS_SEED replays a run's order and CHAOS_KILLS sets another number.

import { describe, expect, test } from "vitest";
import { seededRandom, systemRandom } from "../../runtime/index.ts";
import { natsMissing } from "../support/nats-server.ts";
import { openServiceFleet } from "../support/service-fleet.ts";
import { ServiceProcesses } from "../support/service-processes.ts";
import { auditStories } from "../support/story-audit.ts";
import { addSecondFile, StoryTeam } from "../support/story-team.ts";
import { ServiceKills } from "./service-kills.ts";

const missing = natsMissing();
const KILLS = Number(process.env.CHAOS_KILLS ?? 10);
const SEED = Number(process.env.CHAOS_SEED ?? systemRandom.below(2 ** 31));
/** Stories that are built beside each other. */
const LANES = 3;

describe.skipIf(missing !== undefined)(`services killed (${missing ?? "there"})`, { timeout: 1_800_000 }, () => {
  test(`kill -9 of each, ${KILLS} times: every story ends, once`, async () => {
    console.log("seed:", SEED);
    await using fleet = await openServiceFleet();
    await addSecondFile(fleet.repository);
    const services = new ServiceProcesses(fleet);
    await services.start();
    const team = new StoryTeam(fleet, services);
    const kills = new ServiceKills({ fleet, services, team, random: seededRandom(SEED) });
    try {
      const working = team.work(LANES);
      await Promise.race([working, kills.all(KILLS)]);
      team.finish();
      await working;
      const stories = [...team.stories.values()];
      const audit = await auditStories(fleet.system, stories, fleet.repository);
      await services.end();
      console.log("stories:", { stories: stories.length, ...audit });
      expect(services.left()).toEqual([]);
    } catch (error) {
      console.log(services.said().slice(-100_000));
      throw error;
    } finally {
      console.log(kills.table());
      console.log([...new Set(services.complaints())].join("\n"));
    }
  });
});
