// The service's ears: one durable consumer for each channel that changes the graph.
//
//     agile.events      context-agile      in order for each story
//     agent.results.*   context-results    in order for each task
//     workspace.jobs    context-jobs       in order for each story
//     context.changes   context-changes    in order for each story; what UpdateContext has applied already changes nothing
//
// CC1  Positions are in the graph, beside what was read: a graph that is lost or new is filled from the oldest events that the log keeps,
//      whatever the fleet's store says; one that is moved or restored goes on from where it was.
// CC2  Positions are those of one log (context-parts.ts names it), and one past its end means another, too: then it is read from its start.
//      What is known already is recognised by its key.

import { type ActorSystem, isFlotillaError, type LogLevel } from "../../runtime/index.ts";
import { agentResults, agileEvents, type Channel, contextChanges, workspaceJobs } from "../events/channels.ts";
import { type ConsumerOptions, type ConsumerPosition, consume } from "../events/consumer.ts";
import { agileChanges } from "./agile-changes.ts";
import type { ContextService } from "./context-service.ts";
import { type Intake, PLANNING } from "./intake.ts";
import type { Ledger } from "./ledger.ts";

/** Events in hand at once, of different stories: they are written to the graph together (LE3). */
const CONCURRENCY = 256;

export interface ContextConsumerParts {
  readonly system: ActorSystem;
  readonly ledger: Ledger;
  readonly intake: Intake;
  readonly service: ContextService;
  readonly log: (level: LogLevel, message: string, data?: Readonly<Record<string, unknown>>) => void;
  readonly signal: AbortSignal;
}

/** Consumes until the signal aborts or the system is closed. Never rejects. */
export async function consumeForContext({ intake, service, ...parts }: ContextConsumerParts): Promise<void> {
  const consumers = [
    consume({
      ...consumer(parts, PLANNING),
      channel: agileEvents,
      laneOf: ({ data }) => ("storyId" in data ? (data.storyId ?? "") : ""),
      handle: async (event, place) => void (await intake.take(event, place, agileChanges(event))),
      // The tasks of a plan come at once: one write instead of one each.
      together: async (events) => {
        await Promise.all(events.map(({ event, ...place }) => intake.take(event, place, agileChanges(event))));
      },
    }),
    consume({
      ...consumer(parts, "context-results"),
      channel: agentResults,
      laneOf: ({ correlationId }) => correlationId,
      handle: (event, place) => intake.takeResult(event, place),
    }),
    consume({
      ...consumer(parts, "context-jobs"),
      channel: workspaceJobs,
      laneOf: ({ data }) => data.storyId,
      handle: (event, place) => intake.takeJob(event, place),
    }),
    consume({
      ...consumer(parts, "context-changes"),
      channel: contextChanges,
      laneOf: ({ data }) => data.storyId,
      handle: async (event, place) => void (await service.takeChange(event, place)),
    }),
  ];
  const ended = consumers.map((consuming) =>
    consuming.catch((error: unknown) => {
      if (!isFlotillaError(error, "Closed")) parts.log("error", "a consumer ended", { error: String(error) });
    }),
  );
  await Promise.all(ended);
}

function consumer(
  { system, ledger, log, signal }: Omit<ContextConsumerParts, "intake" | "service">,
  name: string,
): Pick<ConsumerOptions<Channel>, "system" | "name" | "log" | "signal" | "position" | "onGap" | "concurrency"> {
  const onGap = async () =>
    log("warn", "events were dropped from the log before the graph had them: it lacks what they said", { name });
  return { system, name, log, signal, onGap, position: positionIn(ledger, system, name), concurrency: CONCURRENCY };
}

/** CC1, CC2. */
function positionIn(ledger: Ledger, system: ActorSystem, source: string): ConsumerPosition {
  return {
    async read() {
      const position = await ledger.position(source);
      if (position === undefined) return undefined;
      return position <= (await system.ports.eventLog.lastSequence()) + 1 ? position : 1;
    },
    async write(sequence) {
      await ledger.setPosition(source, sequence);
      return true;
    },
  };
}
