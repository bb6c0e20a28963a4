// The actor types that every node of a fleet hosts, so that `flotilla task` can run its agents and its collector there.

import type { ActorType } from "../runtime/index.ts";
import { Agent } from "./agent-actor.ts";
import { Collector } from "./collector.ts";

/** For `connect({ accepts: true, actors: fleetActorTypes })`. */
export const fleetActorTypes: readonly ActorType[] = [Agent, Collector];
