// Planning, one of the fleet's services, alone in this process: a story, what stands against it, a person's yes, and what it told the others.
// On a fleet `flotilla services` hosts it beside the others, and `planningOf` finds it there (docs/services.md).

import { loadServices } from "../actors/index.ts";
import { connect } from "../runtime/index.ts";

const { CHANNELS, feed, planningOf, startServices } = await loadServices();
await using fleet = await connect();
await startServices(
  fleet,
  ["planning"],
  { graph: { kind: "embedded" }, workspaces: {}, taskTimeoutMs: 60_000 },
  { log: () => {}, signal: new AbortController().signal },
);

const planning = planningOf(fleet);
const ada = { kind: "human", id: "ada", role: "po" } as const;
const draft = { id: "greet", title: "Greet visitors by name", description: "", criteria: [], by: ada };
const { id: storyId, state, readiness } = await planning.createStory({ ...draft, key: "once" });
console.log(`${storyId} is in ${state}, ready: ${Math.round(readiness.score)} of ${readiness.threshold}`);

for (const { event, blocked } of await planning.available(storyId))
  console.log(event, "is blocked by:", blocked.map(({ guard }) => guard).join(", ") || "nothing");

const description = "As a visitor I want to be greeted so that I feel welcome.";
const criteria = ["Given a visitor, when the page opens, then a greeting is shown"];
await planning.editStory({ storyId, description, criteria, by: ada });

const [gate] = await planning.approvals({ role: "po" });
console.log(gate?.question);
await planning.decide({ approvalId: gate?.id ?? "", decision: "approve", by: ada });
console.log(`${storyId} is in ${(await planning.story(storyId)).state}`);

const agile = CHANNELS.find(({ address }) => address === "agile.events");
if (agile !== undefined)
  for await (const fed of feed(fleet, agile, { from: 1 })) {
    if (fed.kind === "event") console.log(`${fed.sequence}: ${fed.event.type}`);
    if (fed.kind === "event" && fed.event.type === "approval.decided") break;
  }
